package naive

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Step is a step of a definition, as far as this model knows it.
type Step struct {
	Name         string   `json:"name"`
	Type         string   `json:"type"`
	Dependencies []string `json:"dependencies"`
	After        []string `json:"after"`
	Join         string   `json:"join"`
	When         string   `json:"when"`
	OnFailure    string   `json:"on_failure"`
	ForEach      any      `json:"for_each"`
	MaxParallel  int      `json:"max_parallel"`
	Tolerate     any      `json:"tolerate"`
	Input        any      `json:"input"`
	ObjectKeys   []string `json:"object_keys"`
	Repeat       *Repeat  `json:"repeat"`
	OnParentEnd  string   `json:"on_parent_end"`
	Compensate   *struct {
		AlsoIfStarted bool `json:"also_if_started"`
	} `json:"compensate"`
	Signal struct {
		TimeoutMS *int64 `json:"timeout_ms"`
		OnTimeout string `json:"on_timeout"`
	} `json:"signal"`
	Timer struct {
		MaxRetries int `json:"max_retries"`
	} `json:"timer"`
}

// Repeat says until when a step runs again, and how often it may.
type Repeat struct {
	Until      string `json:"until"`
	IntervalMS int64  `json:"interval_ms"`
	MaxRounds  int    `json:"max_rounds"`
}

// isTask says whether a handler does the step, or a child.
func (s *Step) isTask() bool { return s.Type == "" || s.Type == "task" || s.Type == "workflow" }

// leaves says whether the step's child is left alone when the step ends before it.
func (s *Step) leaves() bool { return s.Type == "workflow" && s.OnParentEnd == "abandon" }

// deps are all dependencies of a step.
func (s *Step) deps() []string { return append(slices.Clone(s.Dependencies), s.After...) }

// branch is the step that starts when this one timed out or failed; "": none.
func (s *Step) branch() string {
	if s.OnFailure != "" {
		return s.OnFailure
	}
	return s.Signal.OnTimeout
}

// set is a set of steps.
type set map[string]bool

// graph is a definition with what can be asked of it.
type graph struct {
	steps   []*Step
	by      map[string]*Step
	namedBy map[string][]string // by whose on_timeout or on_failure a step is named
	output  any                 // a template of the run's output; nil: it has none
	limited bool                // its runs have a time limit
	last    *graph              // the steps of finally; nil: it has none, or is theirs
	main    *graph              // of the steps of finally: the graph of the other ones
}

func newGraph(definition []byte) (*graph, error) {
	var d struct {
		Steps     []*Step `json:"steps"`
		Finally   []*Step `json:"finally"`
		Output    any     `json:"output"`
		TimeoutMS *int64  `json:"timeout_ms"`
	}
	if err := json.Unmarshal(definition, &d); err != nil {
		return nil, err
	}
	g, err := graphOf(d.Steps, nil)
	if err != nil {
		return nil, err
	}
	g.output, g.limited = d.Output, d.TimeoutMS != nil
	if len(d.Finally) > 0 {
		g.last, err = graphOf(d.Finally, g)
	}
	return g, err
}

// graphOf is the graph of steps, or of the steps of finally behind those of main.
func graphOf(steps []*Step, main *graph) (*graph, error) {
	g := &graph{steps: steps, by: map[string]*Step{}, namedBy: map[string][]string{}, main: main}
	for _, s := range steps {
		g.by[s.Name] = s
		if e := s.branch(); e != "" {
			g.namedBy[e] = append(g.namedBy[e], s.Name)
		}
	}
	for _, s := range steps {
		for _, text := range s.expressions() {
			if _, err := parse(text); err != nil {
				return nil, fmt.Errorf("step %s: %q: %w", s.Name, text, err)
			}
		}
		for _, named := range s.named() {
			if main != nil && main.by[named] != nil {
				continue
			}
			if g.by[named] == nil || named == s.Name || !g.reach(named, "")[s.Name] {
				return nil, errors.New("step " + s.Name + " names step " + named + ", which is not before it")
			}
		}
	}
	return g, nil
}

func (s *Step) expressions() (all []string) {
	if s.When != "" {
		all = append(all, s.When)
	}
	if text, ok := s.ForEach.(string); ok {
		all = append(all, text)
	}
	if s.Repeat != nil {
		all = append(all, s.Repeat.Until)
	}
	return all
}

// named are the steps that the expressions of a step name.
func (s *Step) named() (all []string) {
	for _, text := range append(s.expressions(), s.templates()...) {
		if n, err := parse(text); err == nil {
			all = append(all, n.names()...)
		}
	}
	return all
}

// reach gives what follows from a step, itself included, on ways that do not pass through another.
func (g *graph) reach(from, avoid string) set {
	seen := set{}
	var walk func(string)
	walk = func(name string) {
		if name == avoid || seen[name] {
			return
		}
		seen[name] = true
		for _, s := range g.steps {
			if slices.Contains(s.deps(), name) {
				walk(s.Name)
			}
		}
		if e := g.by[name].branch(); e != "" {
			walk(e)
		}
	}
	walk(from)
	return seen
}

// branches gives the two branches of a step with on_timeout or on_failure. What is on both is on neither.
func (g *graph) branches(w string) (answered, other set) {
	e := g.by[w].branch()
	answered, other = g.reach(w, e), g.reach(e, "")
	for name := range other {
		if answered[name] {
			delete(answered, name)
			delete(other, name)
		}
	}
	return answered, other
}

// joinsOf gives the steps on whose two branches dependencies of the step stand.
func (g *graph) joinsOf(s *Step) (all []string) {
	for _, w := range g.steps {
		if w.branch() == "" {
			continue
		}
		answered, other := g.branches(w.Name)
		on := func(branch set) bool { return slices.ContainsFunc(s.deps(), func(d string) bool { return branch[d] }) }
		if on(answered) && on(other) {
			all = append(all, w.Name)
		}
	}
	return all
}
