package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

func TestTheDrawingOfAGraph(t *testing.T) {
	for name, want := range map[string][]string{
		"parallel_processing": {"@", "│ @", "│ │ @", "@─┴─┘"},
		"nightly_etl":         {"@", "├─@", "├─│─@", "@ │ │", "@─┴─┘"},
		"document_approval":   {"@", "@", "@", "├─@", "│ @", "@─┘"},
	} {
		b, err := os.ReadFile(filepath.Join("../../testdata/flow/document", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		def, problems := flow.Parse(b)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		got := draw(def)
		if !strings.HasPrefix(strings.Join(got, "\n"), strings.Join(want, "\n")) {
			t.Errorf("%s is drawn as\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
