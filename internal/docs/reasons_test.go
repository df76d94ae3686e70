package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/schedules"
)

// TestEachReasonIsKnownToThePageAndTheDocs compares the codes that the page names, and those that docs/http-api.md explains, with the
// engine's: the same ones, in the same order. So it does with the outcomes of due times.
func TestEachReasonIsKnownToThePageAndTheDocs(t *testing.T) {
	var outcomes []string
	for _, o := range schedules.Outcomes {
		outcomes = append(outcomes, string(o))
	}
	row := regexp.MustCompile(`(?m)^  \['([a-z_]+)', '[^']+', '[a-z_]+'(?:, '[a-z]+')?\],$`)
	for name, want := range map[string]struct {
		table, row *regexp.Regexp
		codes      []string
	}{
		"docs/http-api.md":   {regexp.MustCompile(`(?s)\n### Reasons\n.*?\n### `), regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|"), model.ReasonCodes()},
		"ui/src/banner.tsx":  {regexp.MustCompile(`(?s)\nconst codes: .*?\n\]\n`), row, model.ReasonCodes()},
		"ui/src/calendar.ts": {regexp.MustCompile(`(?s)\nexport const outcomes: .*?\n\]\n`), row, outcomes},
	} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range want.row.FindAllStringSubmatch(want.table.FindString(string(text)), -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, want.codes) {
			t.Errorf("%s has\n%v, want\n%v", name, got, want.codes)
		}
	}
}
