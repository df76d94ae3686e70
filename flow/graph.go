package flow

import (
	"slices"

	"github.com/agnt5/agnt5d/internal/expression"
)

// Graph is what the engine needs to know of a valid Definition, worked out once. Steps are named by their index in the
// definition. It is immutable and safe for concurrent use.
type Graph struct {
	Def    *Definition // its Steps are all of them, those of finally last; its Finally is empty
	Main   int32       // how many steps are not of finally
	Digest Digest
	Index  map[string]int32

	Deps       [][]int32        // in the order of Dependencies, then of After
	Dependents [][]int32        // ascending
	Branch     []int32          // the step that a wait's on_timeout, or a step's on_failure, names, else -1
	NamedBy    [][]int32        // for a step: those whose on_timeout or on_failure names it, ascending; a step with any is dormant
	Refs       [][]int32        // the steps that a step's expressions name, ascending, once each
	OutputRefs []int32          // the steps that the template of the run's output names, ascending, once each
	Needs      [][]int32        // Deps, and Refs that are not among them: what must have settled before the step starts
	Needed     [][]int32        // the steps that have it among their Needs, ascending
	Sinks      []int32          // steps nothing depends on, ascending; only their outputs make the run's output
	Beside     [][]int32        // for a task: the timers with max_retries > 0 directly beside it: those it depends on, then those that depend on it, each in definition order
	Timers     map[string]int32 // timer key -> step

	Lists []List // the steps with for_each, ascending; see Item
	Undos []Undo // the steps with compensate, ascending; see Undoes

	Language bool // it uses more than dependencies, waits and timers: conditions, joins, branches of failures, lists or loops
	Asks     bool // a step of it cannot start, or end, before an expression was worked out

	// Joins[s] holds, for a step s with two or more dependencies, one Join for each step with a branch (a wait with on_timeout, a
	// step with on_failure) on whose two branches dependencies of s stand.
	Joins [][]Join
	// Joined[w] holds, for a step w with a branch, the steps that have a Join of it, ascending.
	Joined [][]int32

	TemplatedKeys []bool // by step: ${ in its object keys begins an expression; nil: of none
}

// Join is one step W with a branch, and the dependencies of another step that stand on W's two branches, as indexes into its Deps:
// on that of W itself, which is taken when a signal answers it or it succeeds, and on that of the step that it names.
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

// Templates says whether a step has expressions in its input or object keys, which are worked out before it starts.
func (g *Graph) Templates(i int32) bool { return g.Def.Steps[i].Input != nil || g.KeyTemplates(i) }

// KeyTemplates says whether a step has expressions in its object keys.
func (g *Graph) KeyTemplates(i int32) bool { return g.TemplatedKeys != nil && g.TemplatedKeys[i] }

// Templated says whether any step has expressions in its object keys.
func (g *Graph) Templated() bool { return g.TemplatedKeys != nil }

// RecordedGraph is NewGraph for a definition that a journal holds. It takes the names . and .., which were good once.
// literal: it was stored by a release for which ${ in an object key was what it says.
func RecordedGraph(d *Definition, literal bool) (*Graph, error) {
	v := newValidator(d)
	v.old, v.literal = true, literal
	return v.finish()
}

// newGraph is all of the graph but the digest and the joins.
func newGraph(d *Definition, index map[string]int, literal bool) *Graph {
	n := len(d.Steps) + len(d.Finally)
	g := &Graph{Def: &Definition{TimeoutMS: d.TimeoutMS, Output: d.Output, Steps: slices.Concat(d.Steps, d.Finally)}, Main: int32(len(d.Steps)), Index: make(map[string]int32, n), Deps: make([][]int32, n),
		Dependents: make([][]int32, n), Branch: make([]int32, n), NamedBy: make([][]int32, n), Beside: make([][]int32, n),
		Timers: map[string]int32{}, Joins: make([][]Join, n), Joined: make([][]int32, n)}
	for name, i := range index {
		g.Index[name] = int32(i)
	}
	for i := range g.Def.Steps {
		s := &g.Def.Steps[i]
		s.Type = typeOf(s)
		if !literal && keysHaveTemplates(s) {
			if g.TemplatedKeys == nil {
				g.TemplatedKeys = make([]bool, n)
			}
			g.TemplatedKeys[i] = true
		}
		g.Deps[i] = make([]int32, 0, len(s.Dependencies)+len(s.After))
		for _, dep := range slices.Concat(s.Dependencies, s.After) {
			at := g.Index[dep]
			g.Deps[i] = append(g.Deps[i], at)
			g.Dependents[at] = append(g.Dependents[at], int32(i))
		}
		g.Branch[i] = -1
		if name := s.branch(); name != "" {
			e := g.Index[name]
			g.Branch[i] = e
			g.NamedBy[e] = append(g.NamedBy[e], int32(i))
		}
		if s.Timer != nil {
			g.Timers[s.Timer.Key] = int32(i)
		}
	}
	for i := range g.Def.Steps {
		if int32(i) < g.Main && len(g.Dependents[i]) == 0 {
			g.Sinks = append(g.Sinks, int32(i))
		}
		if g.Def.Steps[i].Type == TypeTask {
			g.Beside[i] = g.beside(int32(i))
		}
	}
	g.Lists, _ = lists(g.Def.Steps)
	g.findUndos()
	g.refer()
	g.Language = g.Language || g.Endings() || d.TimeoutMS != nil || d.Output != nil
	g.Asks = g.Asks || d.Output != nil
	return g
}

// refer works out what the expressions of steps name, and what steps wait for because of that. Of a stored definition an expression may
// be one that this release cannot read: it names nothing, and fails its step when that is to start.
func (g *Graph) refer() {
	if g.Def.Output != nil {
		t, _ := expression.CompileTemplate(g.Def.Output, 0)
		for _, ref := range t.Steps() {
			if at, ok := g.Index[ref.Name]; ok {
				g.OutputRefs = append(g.OutputRefs, at)
			}
		}
		slices.Sort(g.OutputRefs)
		g.OutputRefs = slices.Compact(g.OutputRefs)
	}
	n := len(g.Deps)
	g.Refs, g.Needs, g.Needed = make([][]int32, n), g.Deps, g.Dependents
	for i := range g.Def.Steps {
		s := &g.Def.Steps[i]
		g.Language = g.Language || s.usesLanguage() || g.Templates(int32(i))
		g.Asks = g.Asks || s.Type == TypeWorkflow || s.When != "" || s.ForEach != nil || s.Repeat != nil || g.Templates(int32(i))
		for _, ref := range s.refs(g.KeyTemplates(int32(i)), g.Final(int32(i))) {
			if at, ok := g.Index[ref.Name]; ok && !slices.Contains(g.Refs[i], at) {
				g.Refs[i] = append(g.Refs[i], at)
			}
		}
		slices.Sort(g.Refs[i])
		for _, at := range g.Refs[i] {
			if !slices.Contains(g.Deps[i], at) && g.Final(int32(i)) == g.Final(at) { // for a step of finally, all others are over
				g.need(int32(i), at)
			}
		}
	}
}

// refs gives the steps that the expressions of a step name. keys: there are some in its object keys.
func (s *Step) refs(keys, final bool) (all []expression.Ref) {
	var fate expression.Names
	if final {
		fate = expression.Fate
	}
	add := func(text string, names expression.Names) {
		if p, err := expression.Compile(text, names); err == nil {
			all = append(all, p.Steps()...)
		}
	}
	if s.When != "" {
		add(s.When, fate)
	}
	if text, ok := s.ItemsExpression(); ok {
		add(text, fate)
	}
	if s.Repeat != nil {
		add(s.Repeat.Until, s.names()|fate|expression.Round)
	}
	if s.Input != nil {
		t, _ := expression.CompileTemplate(s.Input, s.names()|fate)
		all = append(all, t.Steps()...)
	}
	for _, key := range s.ObjectKeys {
		if keys && expression.HasTemplate(key) {
			t, _ := expression.CompileText(key, s.names()|fate)
			all = append(all, t.Steps()...)
		}
	}
	return all
}

// need adds to what a step waits for. Most graphs share these lists with the dependencies.
func (g *Graph) need(i, at int32) {
	if &g.Needs[0] == &g.Deps[0] {
		g.Needs, g.Needed = slices.Clone(g.Deps), slices.Clone(g.Dependents)
	}
	g.Needs[i] = append(slices.Clip(g.Needs[i]), at)
	at2, _ := slices.BinarySearch(g.Needed[at], i)
	g.Needed[at] = slices.Insert(slices.Clip(g.Needed[at]), at2, i)
}

// usesLanguage says whether the step uses what came after dependencies, waits and timers.
func (s *Step) usesLanguage() bool {
	return s.Type == TypeWorkflow || s.When != "" || s.Join != "" && s.Join != JoinAll || s.OnFailure != "" || s.ForEach != nil || s.Repeat != nil
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

// escalations is how many steps have a branch.
func (g *Graph) escalations() (n int) {
	for _, e := range g.Branch {
		if e >= 0 {
			n++
		}
	}
	return n
}
