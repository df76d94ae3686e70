package flow

import "slices"

// Graph is what the engine needs to know of a valid Definition, worked out once. Steps are named by their index in the
// definition. It is immutable and safe for concurrent use.
type Graph struct {
	Def    *Definition
	Digest Digest
	Index  map[string]int32

	Deps       [][]int32        // in the order of Dependencies, then of After
	Dependents [][]int32        // ascending
	OnTimeout  []int32          // for a wait: the step that its on_timeout names, else -1
	NamedBy    [][]int32        // for a step: the waits whose on_timeout names it, ascending; a step with any is dormant
	Sinks      []int32          // steps nothing depends on, ascending; only their outputs make the run's output
	Beside     [][]int32        // for a task: the timers with max_retries > 0 directly beside it: those it depends on, then those that depend on it, each in definition order
	Timers     map[string]int32 // timer key -> step

	// Joins[s] holds, for a step s with two or more dependencies, one Join for each wait on whose two branches
	// dependencies of s stand.
	Joins [][]Join
	// Joined[w] holds, for a wait w, the steps that have a Join of it, ascending.
	Joined [][]int32
}

// Join is one wait W and the dependencies of a step that stand on W's branches, as indexes into Deps[s].
type Join struct {
	Wait     int32
	Answered []int32
	TimedOut []int32
}

// NewGraph works out the graph of a definition. One that Validate refuses is an error, of type Problems. The graph has its own
// copy of the list of steps, with every Type filled in.
func NewGraph(d *Definition) (*Graph, error) {
	return newValidator(d).finish()
}

func (v *validator) finish() (*Graph, error) {
	v.check()
	if v.graph == nil {
		return nil, v.problems()
	}
	v.graph.Digest = DigestOf(v.body)
	return v.graph, nil
}

// RecordedGraph is NewGraph for a definition that a journal holds. It takes the names . and .., which were good once.
func RecordedGraph(d *Definition) (*Graph, error) {
	v := newValidator(d)
	v.old = true
	return v.finish()
}

// newGraph is all of the graph but the digest and the joins.
func newGraph(d *Definition, index map[string]int) *Graph {
	n := len(d.Steps)
	g := &Graph{Def: &Definition{Steps: slices.Clone(d.Steps)}, Index: make(map[string]int32, n), Deps: make([][]int32, n),
		Dependents: make([][]int32, n), OnTimeout: make([]int32, n), NamedBy: make([][]int32, n), Beside: make([][]int32, n),
		Timers: map[string]int32{}, Joins: make([][]Join, n), Joined: make([][]int32, n)}
	for name, i := range index {
		g.Index[name] = int32(i)
	}
	for i := range g.Def.Steps {
		s := &g.Def.Steps[i]
		s.Type = typeOf(s)
		g.Deps[i] = make([]int32, 0, len(s.Dependencies)+len(s.After))
		for _, dep := range slices.Concat(s.Dependencies, s.After) {
			at := g.Index[dep]
			g.Deps[i] = append(g.Deps[i], at)
			g.Dependents[at] = append(g.Dependents[at], int32(i))
		}
		g.OnTimeout[i] = -1
		if s.Signal != nil && s.Signal.OnTimeout != "" {
			e := g.Index[s.Signal.OnTimeout]
			g.OnTimeout[i] = e
			g.NamedBy[e] = append(g.NamedBy[e], int32(i))
		}
		if s.Timer != nil {
			g.Timers[s.Timer.Key] = int32(i)
		}
	}
	for i := range g.Def.Steps {
		if len(g.Dependents[i]) == 0 {
			g.Sinks = append(g.Sinks, int32(i))
		}
		if g.Def.Steps[i].Type == TypeTask {
			g.Beside[i] = g.beside(int32(i))
		}
	}
	return g
}

// beside gives the timers that may absorb a failure of the task.
func (g *Graph) beside(i int32) []int32 {
	var timers []int32
	for _, near := range [...][]int32{slices.Sorted(slices.Values(g.Deps[i])), g.Dependents[i]} {
		for _, t := range near {
			if timer := g.Def.Steps[t].Timer; timer != nil && timer.MaxRetries != nil && *timer.MaxRetries > 0 {
				timers = append(timers, t)
			}
		}
	}
	return timers
}

// escalations is how many waits have an on_timeout.
func (g *Graph) escalations() (n int) {
	for _, e := range g.OnTimeout {
		if e >= 0 {
			n++
		}
	}
	return n
}
