package failure

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table into docs/errors.md")

// The table of the docs stands at the end of the page.
func TestTheDocsListEachCode(t *testing.T) {
	const page, head = "../../docs/errors.md", "\n## Failures of attempts and steps\n"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text, have, _ := strings.Cut(string(b), head)
	want := &strings.Builder{}
	want.WriteString("\nThese codes stand in a run's status and history (`error.code`, `code`), not in answers of HTTP. A handler's own errors have the code\n" +
		"that the handler gives them. A failed attempt counts in the step's retry budget, a lost one does not.\n\n| code | what happened | |\n|---|---|---|\n")
	seen := map[string]bool{}
	for _, f := range All {
		if seen[f.Code] {
			t.Errorf("%s is listed twice", f.Code)
		}
		seen[f.Code] = true
		fmt.Fprintf(want, "| `%s` | %s | %s |\n", f.Code, f.Kind, f.Means)
	}
	if *update {
		if err := os.WriteFile(page, []byte(text+head+want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want.String() {
		t.Error("docs/errors.md lists other codes (go test ./internal/failure -update)")
	}
}
