package naive

import (
	"bufio"
	"bytes"
	"encoding/json"
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

// TestCases holds the model against cases that another model worked out, testdata/language/cases.jsonl: of runs that end as completed
// all is compared, of others with outcomes only how they end.
func TestCases(t *testing.T) {
	f, err := os.Open("../../testdata/language/cases.jsonl")
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
			orders = 4
		}
		for seed := range orders {
			if why := c.check(uint64(seed)); why != "" {
				t.Errorf("line %d: %s\n%s", n, why, lines.Bytes())
				break
			}
		}
	}
	if n != 505 {
		t.Errorf("%d cases", n)
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

func (c *oracleCase) check(seed uint64) string {
	r, err := New(c.Definition, c.Input)
	if err != nil {
		return err.Error()
	}
	for _, f := range c.Facts {
		if err := r.Do(f); err != nil {
			return f.String() + ": " + err.Error()
		}
	}
	if c.Kind == "outcomes" {
		rng := rand.New(rand.NewPCG(seed, 1))
		for r.State == Running {
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
		if !sameJSON(want, got[k]) {
			return k + " is " + string(got[k]) + ", want " + string(want)
		}
	}
	return ""
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
	case "ok", "fail":
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
