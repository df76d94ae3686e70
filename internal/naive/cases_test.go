package naive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// oracleCase is a definition with what happens in a run of it, and what the run must then be. Its facts happen in their order; outcomes in any.
type oracleCase struct {
	Kind       string
	Definition json.RawMessage
	Input      json.RawMessage
	Facts      []Fact
	Outcomes   map[string]json.RawMessage
	Expect     map[string]json.RawMessage
}

// TestCases holds the model against all 2,000 cases that another model worked out: of runs that end as completed all is compared, of
// others with outcomes only how they end.
func TestCases(t *testing.T) {
	for file, want := range map[string]int{"cases": 505, "endings": 945, "children": 550} {
		t.Run(file, func(t *testing.T) { testCases(t, file, want) })
	}
}

func testCases(t *testing.T, file string, want int) {
	f, err := os.Open("../../testdata/language/" + file + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		n++
		var c oracleCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		orders := 1
		if c.Kind == "outcomes" {
			orders = 2
		}
		for seed := range orders {
			if why := c.check(uint64(seed)); why != "" {
				t.Errorf("line %d: %s\n%s", n, why, lines.Bytes())
				break
			}
		}
	}
	if n != want {
		t.Errorf("%d cases, want %d", n, want)
	}
}

// TestForks holds forks of the model against cases that another model worked out: a run that ended, how it was forked, and what happened then.
func TestForks(t *testing.T) {
	f, err := os.Open("../../testdata/language/forks.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var c struct {
			oracleCase
			From      string
			Set, Kept []string
			Then      []Fact
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if why := c.checkFork(c.From, c.Set, c.Kept, c.Then); why != "" {
			t.Errorf("line %d: %s\n%s", n+1, why, lines.Bytes())
		}
	}
	if n != 120 {
		t.Errorf("%d cases", n)
	}
}

func (c *oracleCase) checkFork(from string, sets, kept []string, then []Fact) string {
	r, err := New(c.Definition, c.Input)
	if err != nil {
		return err.Error()
	}
	for _, f := range c.Facts {
		if err := r.Do(f); err != nil {
			return f.String() + ": " + err.Error()
		}
	}
	fork, err := r.Fork(from, sets)
	if err != nil {
		return err.Error()
	}
	got := fork.Kept()
	if slices.Sort(got); !slices.Equal(got, kept) {
		return "it keeps " + strings.Join(got, ", ") + ", want " + strings.Join(kept, ", ")
	}
	for _, f := range then {
		if err := fork.Do(f); err != nil {
			return "fork: " + f.String() + ": " + err.Error()
		}
	}
	return c.differs(fork)
}

// happens lets a fact happen. In the other model nobody waits for what force takes from somebody.
func (c *oracleCase) happens(r *Run, f Fact) error {
	before := maps.Clone(r.orphans)
	err := r.Do(f)
	for name := range r.orphans {
		if f[0] == "force" && !before[name] {
			delete(r.orphans, name)
		}
	}
	return err
}

func (c *oracleCase) check(seed uint64) string {
	r, err := New(c.Definition, c.Input)
	if err != nil {
		return err.Error()
	}
	for _, f := range c.Facts {
		if err := c.happens(r, f); err != nil {
			return f.String() + ": " + err.Error()
		}
	}
	if c.Kind == "outcomes" {
		rng := rand.New(rand.NewPCG(seed, 1))
		for r.live() {
			all := slices.DeleteFunc(r.Enabled(), func(f Fact) bool { return !c.agrees(f) })
			if len(all) == 0 {
				return "nothing can happen"
			}
			if err := r.Do(all[rng.IntN(len(all))]); err != nil {
				return err.Error()
			}
		}
	}
	return c.differs(r)
}

// differs says what of the run is not as expected.
func (c *oracleCase) differs(r *Run) string {
	b, _ := json.Marshal(r.Result())
	var got map[string]json.RawMessage
	_ = json.Unmarshal(b, &got)
	for k, want := range c.Expect {
		if want == nil || c.Kind == "outcomes" && string(want) == "null" {
			continue
		}
		if k == "skip_reasons" { // the other model keeps those of a finally step that a retry took back
			want = c.skipped(want)
		}
		if !sameJSON(want, got[k]) {
			return k + " is " + string(got[k]) + ", want " + string(want)
		}
	}
	return ""
}

// skipped gives the reasons of the steps that are skipped.
func (c *oracleCase) skipped(all json.RawMessage) json.RawMessage {
	var why, steps map[string]string
	_ = json.Unmarshal(all, &why)
	_ = json.Unmarshal(c.Expect["steps"], &steps)
	maps.DeleteFunc(why, func(step, _ string) bool { return steps[step] != Skipped })
	out, _ := json.Marshal(why)
	return out
}

// agrees says whether a fact is what the case says will come of its step.
func (c *oracleCase) agrees(f Fact) bool {
	step, index := split(f[1])
	outcome := "ok"
	if o := c.Outcomes[step]; o != nil && index < 0 {
		_ = json.Unmarshal(o, &outcome)
	} else if o != nil {
		var each []string
		if _ = json.Unmarshal(o, &each); index < len(each) {
			outcome = each[index]
		}
	}
	switch f[0] {
	case "comp_fail":
		return false
	case "ok", "fail", "child_cancel":
		return f[0] == outcome
	case "signal", "timeout":
		return (f[0] == "timeout") == (outcome == "timeout")
	}
	return true
}

func sameJSON(a, b []byte) bool {
	norm := func(x []byte) []byte {
		var v any
		_ = json.Unmarshal(x, &v)
		out, _ := json.Marshal(v)
		return out
	}
	return bytes.Equal(norm(a), norm(b))
}
