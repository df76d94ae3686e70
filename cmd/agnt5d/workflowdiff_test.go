package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever two versions do not have in common is said: steps, keys of steps and of the definition, and the order.
func TestWhatDiffersBetweenVersions(t *testing.T) {
	const one = `{"output":"a","steps":[{"name":"a","timeout_ms":5},{"name":"b"},{"name":"c"}]}`
	for name, c := range map[string]struct{ to, want string }{
		"the same":     {one, "they are the same"},
		"a new step":   {`{"output":"a","steps":[{"name":"a","timeout_ms":5},{"name":"d"},{"name":"b"},{"name":"c"}]}`, "+ step d"},
		"another step": {`{"output":"a","steps":[{"name":"a","timeout_ms":5},{"name":"d"},{"name":"c"}]}`, "- step b|+ step d"},
		"keys":         {`{"steps":[{"name":"a","timeout_ms":7},{"name":"b","retry":{"max_attempts":1}},{"name":"c"}]}`, `~ the definition, output: "a" → none|~ step a, timeout_ms: 5 → 7|~ step b, retry: none → {"max_attempts":1}`},
		"the order":    {`{"output":"a","steps":[{"name":"b"},{"name":"a","timeout_ms":5},{"name":"c"}]}`, "~ the steps stand in another order"},
	} {
		var from, to map[string]json.RawMessage
		if err := json.Unmarshal([]byte(one), &from); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(c.to), &to); err != nil {
			t.Fatal(err)
		}
		d := &difference{Name: "w", From: 1, To: 2}
		if err := d.compare(from, to); err != nil {
			t.Fatal(err)
		}
		out := &strings.Builder{}
		if err := d.print(out); err != nil {
			t.Fatal(err)
		}
		if want := "w, version 1 to 2:\n" + strings.ReplaceAll(c.want, "|", "\n") + "\n"; out.String() != want {
			t.Errorf("%s:\n%swant\n%s", name, out, want)
		}
	}
}
