package expression

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSawGivesTheValuesThatAnExpressionReads(t *testing.T) {
	env := &Env{Input: json.RawMessage(`{"mode":"dry","big":"` + strings.Repeat("ä", 200) + `"}`), Steps: map[string]Step{
		"check": {State: "completed", Output: json.RawMessage(`{"rows":[1,2,3],"amount":5}`)}, "odd-name": {State: "skipped"}}}
	p, err := Compile(`steps.check.output.amount > 3 && input.mode != "wet" || any(steps.check.output.rows, # > 2) || steps["odd-name"].output?.x == null || input.big == input.none.x`, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Saw(env)
	for path, want := range map[string]string{"steps.check.output.amount": "5", "input.mode": `"dry"`, "steps.check.output.rows": "[1,2,3]"} {
		if string(got[path]) != want {
			t.Errorf("%s is %s, want %s", path, got[path], want)
		}
	}
	if v := got["input.big"]; !json.Valid(v) || len(v) > 250 || !strings.HasSuffix(string(v), `…"`) {
		t.Errorf("a long value is %s", v)
	}
	if _, there := got["input.none.x"]; there || len(got) != 5 {
		t.Errorf("it saw %s", got)
	}
}
