package event

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of events into docs/journal-format.md")

var fieldNames = [...]string{fStep: "step", fAttempt: "attempt", fTimer: "timer", fDue: "due", fTime: "time", fRef: "ref", fHash: "hash", fVersion: "version",
	fForced: "forced", fName: "name", fID: "id", fDigest: "digest", fCode: "code", fMessage: "message", fType: "type", fStack: "stack", fTrace: "trace",
	fPayload: "payload", fObjects: "objects", fBoot: "boot", fBy: "by", fTags: "tags", fParent: "parent"}

// docs/journal-format.md lists every kind of event with its fields, as layouts has them.
func TestDocsListEveryKind(t *testing.T) {
	var b strings.Builder
	b.WriteString("| number | kind | fields |\n|---|---|---|\n")
	for k := range layouts {
		if layouts[k] == nil {
			continue
		}
		var fields []string
		for _, f := range layouts[k] {
			name := ""
			if int(f) < len(fieldNames) {
				name = fieldNames[f]
			}
			if name == "" {
				t.Fatalf("field %d of %s has no name in fieldNames", f, Kind(k))
			}
			fields = append(fields, name)
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", k, Kind(k), strings.Join(fields, ", "))
	}
	const page = "../../docs/journal-format.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)(<!-- events -->\n).*?(<!-- /events -->)`)
	if !table.Match(text) {
		t.Fatalf("%s has no place for the table of events", page)
	}
	want := table.ReplaceAll(text, []byte("${1}"+b.String()+"${2}"))
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(want) != string(text) {
		t.Errorf("%s does not list the events as they are: go test ./internal/event -run Docs -update", page)
	}
}
