package flow

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// definitionOf draws a valid definition with many waits and joins.
func definitionOf(t *rapid.T) *Definition {
	n := rapid.IntRange(1, 14).Draw(t, "steps")
	d := &Definition{}
	name := func(i int) string { return fmt.Sprint("s", i) }
	// Half of the definitions have on_timeout edges that point back: steps are listed in an order of their own.
	for i := range n {
		var after []string
		for j := range i {
			if rapid.IntRange(0, 3).Draw(t, "dep") == 0 {
				after = append(after, name(j))
			}
		}
		switch rapid.IntRange(0, 3).Draw(t, "type") {
		case 0, 1:
			s := WaitSignal(name(i), "x", After(after...))
			if e := rapid.IntRange(-1, n-1).Draw(t, "on_timeout"); e >= 0 {
				Timeout(time.Second, name(e))(&s)
			}
			d.Steps = append(d.Steps, s)
		case 2:
			d.Steps = append(d.Steps, Task(name(i), "s", "h", After(after...)))
		default:
			d.Steps = append(d.Steps, WaitTimer(name(i), name(i), Delay(time.Second), MaxRetries(rapid.Int64Range(0, 1).Draw(t, "max_retries")), After(after...)))
		}
	}
	// What cannot be is taken out, so that more than a few are valid.
	for _, p := range Validate(d) {
		for i := range d.Steps {
			s := &d.Steps[i]
			switch p.Code {
			case CodeOnTimeoutDead:
				if s.Name == p.Step {
					s.Dependencies = nil
				}
			case CodeOnTimeoutSelf, CodeCycle:
				if s.Signal != nil && s.Name == p.Step {
					s.Signal.OnTimeout = ""
				}
			}
		}
	}
	return d
}

// naiveJoins follows the words of the definition: no marks, no order, every branch walked for itself.
func naiveJoins(g *Graph) [][]Join {
	joins := make([][]Join, len(g.Deps))
	for w, e := range g.Branch {
		if e < 0 {
			continue
		}
		timedOut, answered := map[int32]bool{}, map[int32]bool{}
		follow(g, e, -1, timedOut)
		follow(g, int32(w), e, answered)
		for s := range g.Deps {
			j := Join{Wait: int32(w)}
			for at, d := range g.Deps[s] {
				switch {
				case timedOut[d] && !answered[d]:
					j.TimedOut = append(j.TimedOut, int32(at))
				case answered[d] && !timedOut[d]:
					j.Answered = append(j.Answered, int32(at))
				}
			}
			if len(j.Answered) > 0 && len(j.TimedOut) > 0 {
				joins[s] = append(joins[s], j)
			}
		}
	}
	return joins
}

// follow is all that is reached from a step without passing through another.
func follow(g *Graph, from, not int32, into map[int32]bool) {
	if from == not || into[from] {
		return
	}
	into[from] = true
	for _, d := range g.Dependents[from] {
		follow(g, d, not, into)
	}
	if e := g.Branch[from]; e >= 0 {
		follow(g, e, not, into)
	}
}

func TestJoinsAreWhatTheRuleSays(t *testing.T) {
	joins := 0
	rapid.Check(t, func(t *rapid.T) {
		d := definitionOf(t)
		g, err := NewGraph(d)
		if err != nil {
			t.Skip(err)
		}
		if diff := gocmp.Diff(naiveJoins(g), g.Joins); diff != "" {
			body, _ := Canonical(d)
			t.Fatalf("joins (-naive +graph) of %s\n%s", body, diff)
		}
		for _, j := range g.Joins {
			joins += len(j)
		}
	})
	if joins == 0 && !testing.Short() { // -short draws too few to be sure of one
		t.Error("no definition had a join")
	}
}

// The rules about on_timeout, by search: may the wait be reached from what it names, and does a step that an on_timeout names
// depend on a step that depends on the wait?
func TestOrderProblemsAreWhatTheRuleSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := definitionOf(t)
		var stray Definition // valid but for its on_timeouts, which are drawn anew
		for _, s := range d.Steps {
			if s.Signal != nil && s.Signal.TimeoutMS != nil {
				g := *s.Signal
				g.OnTimeout = fmt.Sprint("s", rapid.IntRange(0, len(d.Steps)-1).Draw(t, "on_timeout"))
				s.Signal = &g
			}
			stray.Steps = append(stray.Steps, s)
		}
		index := map[string]int{}
		for i := range stray.Steps {
			index[stray.Steps[i].Name] = i
		}
		g := newGraph(&stray, index, false)
		dead, cycle := false, false
		for w, e := range g.Branch {
			if e < 0 || int(e) == w {
				continue
			}
			back := map[int32]bool{}
			follow(g, e, -1, back)
			cycle = cycle || back[int32(w)]
			after := map[int32]bool{} // dependencies only
			var walk func(i int32)
			walk = func(i int32) {
				for _, s := range g.Dependents[i] {
					if !after[s] {
						after[s] = true
						walk(s)
					}
				}
			}
			walk(int32(w))
			for _, dep := range g.Deps[e] {
				dead = dead || after[dep]
			}
		}
		got := map[string]bool{}
		for _, p := range Validate(&stray) {
			got[p.Code] = true
		}
		if got[CodeOnTimeoutDead] != dead {
			t.Fatalf("dead %v, validate says %v", dead, got)
		}
		if self := got[CodeOnTimeoutSelf]; !self && got[CodeCycle] != cycle { // a self-edge makes follow's cycle moot
			t.Fatalf("cycle %v, validate says %v", cycle, got)
		}
	})
}

func TestGraphOfAnApproval(t *testing.T) {
	two := int64(2)
	retry := WaitTimer("retry", "retry", Delay(time.Second), After("build"))
	retry.Timer.MaxRetries = &two
	d := &Definition{Steps: []Step{
		Task("build", "s", "h"),
		WaitSignal("approval", "approved", After("build"), Timeout(time.Hour, "escalate")),
		{Name: "escalate", Service: "s", Handler: "h"},
		WaitSignal("second", "approved2", After("escalate")),
		retry,
		Task("publish", "s", "h", After("second", "retry", "approval")),
	}}
	g, err := NewGraph(d)
	if err != nil {
		t.Fatal(err)
	}
	if d.Steps[2].Type != "" || g.Def.Steps[2].Type != TypeTask {
		t.Errorf("type %q became %q", d.Steps[2].Type, g.Def.Steps[2].Type)
	}
	want := &Graph{
		Deps:       [][]int32{{}, {0}, {}, {2}, {0}, {3, 4, 1}},
		Dependents: [][]int32{{1, 4}, {5}, {3}, {5}, {5}, nil},
		Branch:     []int32{-1, 2, -1, -1, -1, -1},
		NamedBy:    [][]int32{nil, nil, {1}, nil, nil, nil},
		Refs:       make([][]int32, 6),
		Needs:      [][]int32{{}, {0}, {}, {2}, {0}, {3, 4, 1}},
		Needed:     [][]int32{{1, 4}, {5}, {3}, {5}, {5}, nil},
		Sinks:      []int32{5},
		Beside:     [][]int32{{4}, nil, nil, nil, nil, {4}},
		Timers:     map[string]int32{"retry": 4},
		Index:      map[string]int32{"build": 0, "approval": 1, "escalate": 2, "second": 3, "retry": 4, "publish": 5},
		Joins:      [][]Join{nil, nil, nil, nil, nil, {{Wait: 1, Answered: []int32{2}, TimedOut: []int32{0}}}},
		Joined:     [][]int32{nil, {5}, nil, nil, nil, nil},
		Def:        g.Def,
		Digest:     g.Digest,
		Main:       6,
	}
	if diff := gocmp.Diff(want, g, gocmp.AllowUnexported(Retry{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Large graphs: each must be ordinary. The bound is far above what they take, and far below what anything that grows with the
// square of their size would.
func TestLargeGraphs(t *testing.T) {
	name := func(kind string, i int) string { return fmt.Sprint(kind, i) }
	waits := func(n int, last func(all []string) []Step, each func(i int) []Step) *Definition {
		d := &Definition{}
		var all []string
		for i := range n {
			for _, s := range each(i) {
				d.Steps = append(d.Steps, s)
				all = append(all, s.Name)
			}
		}
		d.Steps = append(d.Steps, last(all)...)
		return d
	}
	none := func([]string) []Step { return nil }
	join := func(all []string) []Step { return []Step{Task("join", "s", "h", After(all...))} }
	for _, c := range []struct {
		name  string
		d     *Definition
		joins int
	}{
		{"a fan-out of 10,000 and a join", waits(10_001, join, func(i int) []Step {
			if i == 0 {
				return []Step{Task("a0", "s", "h")}
			}
			return []Step{Task(name("a", i), "s", "h", After("a0"))}
		}), 0},
		{"a chain of 100,000", waits(100_000, none, func(i int) []Step {
			if i == 0 {
				return []Step{Task("a0", "s", "h")}
			}
			return []Step{Task(name("a", i), "s", "h", After(name("a", i-1)))}
		}), 0},
		{"20,000 escalations side by side, one join", waits(20_000, join, func(i int) []Step {
			return []Step{WaitSignal(name("w", i), "x", Timeout(time.Hour, name("e", i))), Task(name("e", i), "s", "h")}
		}), 20_000},
		{"20,000 escalations one after the other, each with its join", waits(20_000, none, func(i int) []Step {
			var after []string
			if i > 0 {
				after = []string{name("j", i-1)}
			}
			return []Step{WaitSignal(name("w", i), "x", Timeout(time.Hour, name("e", i)), After(after...)), Task(name("e", i), "s", "h"),
				Task(name("j", i), "s", "h", After(name("w", i), name("e", i)))}
		}), 20_000},
		{"20,000 waits that one step is for, which a long chain follows", waits(20_000, func(all []string) []Step {
			d := []Step{Task("e", "s", "h")}
			for i := range 60_000 {
				after := "e"
				if i > 0 {
					after = name("c", i-1)
				}
				d = append(d, Task(name("c", i), "s", "h", After(after)))
			}
			return append(d, Task("join", "s", "h", After("c59999", "w0", "w1")))
		}, func(i int) []Step { return []Step{WaitSignal(name("w", i), "x", Timeout(time.Hour, "e"))} }), 2},
		{"30,000 escalations that depend on what stands before them", waits(30_000, none, func(i int) []Step {
			var after []string
			if i > 0 {
				after = []string{name("e", i-1)}
			}
			return []Step{WaitSignal(name("w", i), "x", Timeout(time.Hour, name("e", i))), Task(name("e", i), "s", "h", After(after...))}
		}), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			g, err := NewGraph(c.d)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d steps in %s", len(g.Deps), time.Since(begin).Round(time.Millisecond))
			joins := 0
			for _, j := range g.Joins {
				joins += len(j)
			}
			if joins != c.joins {
				t.Errorf("%d joins, want %d", joins, c.joins)
			}
		})
	}
}

func TestJoinsThatGrowWithTheSquareAreRefused(t *testing.T) {
	d := &Definition{}
	var ends []string
	const n = 10_000
	for i := range n {
		w := WaitSignal(fmt.Sprint("w", i), "x", Timeout(time.Hour, fmt.Sprint("e", i)))
		if i > 0 {
			After(fmt.Sprint("w", i-1))(&w)
		}
		d.Steps = append(d.Steps, w, Task(fmt.Sprint("e", i), "s", "h"))
		ends = append(ends, fmt.Sprint("e", i))
	}
	d.Steps = append(d.Steps, Task("join", "s", "h", After(ends...), After(fmt.Sprint("w", n-1))))
	p := Validate(d)
	if len(p) != 1 || p[0].Code != CodeTooTangled {
		t.Fatalf("%v", p)
	}
	if _, err := NewGraph(d); cmp.Compare(err.Error(), p.Error()) != 0 {
		t.Errorf("NewGraph: %v", err)
	}
	small := &Definition{Steps: slices.Concat(d.Steps[:200], []Step{Task("join", "s", "h", After(ends[:100]...), After("w99"))})}
	g, err := NewGraph(small)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(naiveJoins(g), g.Joins); diff != "" {
		t.Errorf("-naive +graph\n%s", diff)
	}
}
