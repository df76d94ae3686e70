package flow

import (
	"fmt"
	"slices"
)

// Graph is what the engine needs to know of a valid Definition, worked out once. Steps are named by their index in the
// definition. It is immutable and safe for concurrent use.
type Graph struct {
	Def    *Definition
	Digest Digest
	Index  map[string]int32

	Deps       [][]int32        // in the order of Dependencies
	Dependents [][]int32        // ascending
	OnTimeout  []int32          // for a wait: the step that its on_timeout names, else -1
	NamedBy    [][]int32        // for a step: the waits whose on_timeout names it, ascending; a step with any is dormant
	Sinks      []int32          // steps nothing depends on, ascending; only their outputs make the run's output
	Beside     [][]int32        // for a task: the timers with max_retries > 0 directly beside it: those it depends on, then those that depend on it, each in definition order
	Timers     map[string]int32 // timer key -> step

	// Joins[s] holds, for a step s with two or more dependencies, one Join for each wait on whose two branches
	// dependencies of s stand.
	Joins [][]Join
}

// Join is one wait W and the dependencies of a step that stand on W's branches, as indexes into Deps[s].
type Join struct {
	Wait     int32
	Answered []int32
	TimedOut []int32
}

// NewGraph works out the graph of a definition. One that Validate refuses is an error.
func NewGraph(d *Definition) (*Graph, error) {
	if problems := Validate(d); len(problems) > 0 {
		return nil, problems
	}
	body, err := Canonical(d)
	if err != nil {
		return nil, fmt.Errorf("flow: %w", err)
	}
	n := len(d.Steps)
	g := &Graph{Def: d, Digest: DigestOf(body), Index: make(map[string]int32, n), Deps: make([][]int32, n), Dependents: make([][]int32, n),
		OnTimeout: make([]int32, n), NamedBy: make([][]int32, n), Beside: make([][]int32, n), Timers: map[string]int32{}, Joins: make([][]Join, n)}
	for i := range d.Steps {
		if d.Steps[i].Type == "" {
			d.Steps[i].Type = TypeTask
		}
		g.Index[d.Steps[i].Name] = int32(i)
		g.OnTimeout[i] = -1
	}
	for i := range d.Steps {
		s := &d.Steps[i]
		for _, dep := range s.Dependencies {
			at := g.Index[dep]
			g.Deps[i] = append(g.Deps[i], at)
			g.Dependents[at] = append(g.Dependents[at], int32(i))
		}
		if s.Signal != nil && s.Signal.OnTimeout != "" {
			e := g.Index[s.Signal.OnTimeout]
			g.OnTimeout[i] = e
			g.NamedBy[e] = append(g.NamedBy[e], int32(i))
		}
		if s.Timer != nil {
			g.Timers[s.Timer.Key] = int32(i)
		}
	}
	for i := range d.Steps {
		if len(g.Dependents[i]) == 0 {
			g.Sinks = append(g.Sinks, int32(i))
		}
		if d.Steps[i].Type == TypeTask {
			g.beside(int32(i))
		}
	}
	g.joins()
	return g, nil
}

// beside notes the timers that may absorb a failure of the task.
func (g *Graph) beside(i int32) {
	for _, near := range [...][]int32{slices.Sorted(slices.Values(g.Deps[i])), g.Dependents[i]} {
		for _, t := range near {
			if timer := g.Def.Steps[t].Timer; timer != nil && timer.MaxRetries != nil && *timer.MaxRetries > 0 {
				g.Beside[i] = append(g.Beside[i], t)
			}
		}
	}
}

// Branch marks of a step, for one wait.
const (
	onAnswered = 1 << iota
	onTimedOut
)

// joins finds, for each wait with on_timeout, the steps whose dependencies stand on both of its branches.
//
// The timed-out branch is the named step and all that follows from it; the answered branch is the wait and all that follows
// from it on ways that do not pass through the named step. Following means dependencies, and on_timeout of waits further on.
// What is on both belongs to neither: it stands after the join, and so does all that follows from it, so the search stops
// there. It also stops where no step with two dependencies is ahead.
func (g *Graph) joins() {
	ahead := g.joinAhead()
	n := len(g.Def.Steps)
	mark := make([]uint8, n)
	for w := range n {
		e := g.OnTimeout[w]
		if e < 0 || !ahead[w] && !ahead[e] {
			continue
		}
		g.joinsOf(int32(w), e, mark, ahead)
	}
}

// joinAhead says from which steps one with two or more dependencies can be reached.
func (g *Graph) joinAhead() []bool {
	n := len(g.Def.Steps)
	ahead := make([]bool, n)
	var stack []int32
	add := func(i int32) {
		if !ahead[i] {
			ahead[i] = true
			stack = append(stack, i)
		}
	}
	for i := range n {
		if len(g.Deps[i]) >= 2 {
			for _, d := range g.Deps[i] {
				add(d)
			}
		}
	}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, d := range g.Deps[i] {
			add(d)
		}
		for _, w := range g.NamedBy[i] {
			add(w)
		}
	}
	return ahead
}

func (g *Graph) joinsOf(w, e int32, mark []uint8, ahead []bool) {
	var touched, queue []int32
	visit := func(i int32, b uint8) {
		if mark[i]&b == 0 {
			if mark[i] == 0 {
				touched = append(touched, i)
			}
			mark[i] |= b
			queue = append(queue, i)
		}
	}
	spread := func(from int32, b uint8) {
		visit(from, b)
		for len(queue) > 0 {
			i := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			if mark[i] == onAnswered|onTimedOut || !ahead[i] {
				continue // after the join, or nothing to join any more
			}
			for _, d := range g.Dependents[i] {
				if b == onAnswered && d == e {
					continue
				}
				visit(d, b)
			}
			if t := g.OnTimeout[i]; t >= 0 && !(b == onAnswered && t == e) {
				visit(t, b)
			}
		}
	}
	spread(e, onTimedOut)
	spread(w, onAnswered)
	// What the first search reached beyond a step that the second one found to be on both is after the join, too.
	for _, i := range touched {
		if mark[i] == onAnswered|onTimedOut {
			queue = append(queue, i)
		}
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		follow := g.Dependents[i]
		if t := g.OnTimeout[i]; t >= 0 {
			follow = append(follow[:len(follow):len(follow)], t)
		}
		for _, d := range follow {
			if mark[d] != 0 && mark[d] != onAnswered|onTimedOut {
				mark[d] = onAnswered | onTimedOut
				queue = append(queue, d)
			}
		}
	}
	g.collect(w, touched, mark)
	for _, i := range touched {
		mark[i] = 0
	}
}

// collect notes the joins of w: the steps with dependencies on both branches.
func (g *Graph) collect(w int32, touched []int32, mark []uint8) {
	seen := map[int32]bool{}
	for _, i := range touched {
		if mark[i] != onTimedOut {
			continue
		}
		for _, s := range g.Dependents[i] {
			if len(g.Deps[s]) < 2 || seen[s] {
				continue
			}
			seen[s] = true
			j := Join{Wait: w}
			for at, d := range g.Deps[s] {
				switch mark[d] {
				case onAnswered:
					j.Answered = append(j.Answered, int32(at))
				case onTimedOut:
					j.TimedOut = append(j.TimedOut, int32(at))
				}
			}
			if len(j.Answered) > 0 && len(j.TimedOut) > 0 {
				g.Joins[s] = append(g.Joins[s], j)
			}
		}
	}
}
