package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/model"
)

// TestEachReasonIsKnownToThePageAndTheDocs compares the codes that the page names, and those that docs/http-api.md explains, with the
// engine's: the same ones, in the same order.
func TestEachReasonIsKnownToThePageAndTheDocs(t *testing.T) {
	for name, want := range map[string]struct{ table, row *regexp.Regexp }{
		"docs/http-api.md":  {regexp.MustCompile(`(?s)\n### Reasons\n.*?\n### `), regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")},
		"ui/src/banner.tsx": {regexp.MustCompile(`(?s)\nconst codes: .*?\n\]\n`), regexp.MustCompile(`(?m)^  \['([a-z_]+)', '[^']+', '[a-z]+'\],$`)},
	} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range want.row.FindAllStringSubmatch(want.table.FindString(string(text)), -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, model.ReasonCodes()) {
			t.Errorf("%s has the reasons\n%v, want\n%v", name, got, model.ReasonCodes())
		}
	}
}
