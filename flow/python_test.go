package flow_test

import (
	"os"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

// What the Python SDK writes of every combination of fields goes through unchanged. Its own tests hold the file to what it
// writes.
func TestWhatPythonWritesGoesThroughUnchanged(t *testing.T) {
	b, err := os.ReadFile("../testdata/flow/python.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		def, problems := flow.Read([]byte(line))
		if len(problems) > 0 {
			t.Errorf("%s: %v", line, problems)
			continue
		}
		if got, err := flow.Canonical(def); err != nil || string(got) != line {
			t.Errorf("%s became %s: %v", line, got, err)
		}
		n++
	}
	if n < 200 {
		t.Errorf("%d lines prove little", n)
	}
}
