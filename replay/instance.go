package replay

import (
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/agnt5/agnt5d/flow"
)

// Instance is the number of one thing that a run does: a step of its definition, by its place there, or one that was added
// while the run went on (an item of a step, a command of a function). Events, tokens, timers, waits and requests for keys name it.
// Items have the numbers behind the definition's steps, see flow.List. Other added instances are numbered behind those, in the order in
// which they were added; a number is never used again.
type Instance = int32

// Spec is what an instance does. For a step of the definition it is that step.
type Spec = flow.Step

// added is an instance beyond the definition.
type added struct {
	Step
	i    Instance
	of   Instance // the step of the definition that it belongs to
	name string
	own  *Spec  // nil: it does what the step does that it belongs to
	body []byte // of own: a definition of one step, in canonical form
}

// At gives an instance; nil when there is none of that number, or it has been dropped. It is good until the next Apply.
func (s *State) At(i Instance) *Step {
	if uint(i) < uint(len(s.Steps)) {
		return &s.Steps[i]
	}
	return s.addedAt(i)
}

//go:noinline
func (s *State) addedAt(i Instance) *Step {
	if l, k := s.itemAt(i); l != nil {
		return l.each[k].st
	}
	if s.undo != nil && s.undo.i == i {
		return &s.undo.Step
	}
	if a := s.find(i); a != nil {
		return &a.Step
	}
	return nil
}

func (s *State) find(i Instance) *added {
	at := sort.Search(len(s.added), func(k int) bool { return s.added[k].i >= i })
	if at < len(s.added) && s.added[at].i == i {
		return s.added[at]
	}
	return nil
}

// All gives every instance that the state holds, by number.
func (s *State) All() iter.Seq2[Instance, *Step] {
	return func(yield func(Instance, *Step) bool) {
		for i := range s.Steps {
			if !yield(Instance(i), &s.Steps[i]) {
				return
			}
		}
		for _, l := range s.lists {
			if l != nil && !s.eachKept(l, yield) {
				return
			}
		}
		if s.undo != nil && !yield(s.undo.i, &s.undo.Step) {
			return
		}
		for _, a := range s.added {
			if !yield(a.i, &a.Step) {
				return
			}
		}
	}
}

// of gives the step of the definition that an instance belongs to.
func (s *State) of(i Instance) Instance {
	if int(i) < len(s.Steps) {
		return i
	}
	if target, ok := s.Graph.Undoes(i); ok {
		i = target
	}
	if int(i) < len(s.Steps) {
		return i
	}
	if step, _, ok := s.ItemOf(i); ok {
		return step
	}
	return s.find(i).of
}

// Spec says what an instance does. It must be there.
func (s *State) Spec(i Instance) *Spec {
	if uint(i) < uint(len(s.Steps)) {
		return &s.Graph.Def.Steps[i]
	}
	return s.addedSpec(i)
}

func (s *State) addedSpec(i Instance) *Spec {
	if undo := s.Graph.UndoSpec(i); undo != nil {
		return undo
	}
	if a := s.find(i); a != nil && a.own != nil {
		return a.own
	}
	return &s.Graph.Def.Steps[s.of(i)]
}

// Name gives the name of an instance, for people. One that has been dropped is named by its number.
func (s *State) Name(i Instance) string {
	if uint(i) < uint(len(s.Steps)) {
		return s.Graph.Def.Steps[i].Name
	}
	if a := s.find(i); a != nil {
		return a.name
	}
	return s.Graph.NameOf(i)
}

// Dropped says that there was an instance of that number, which had settled and is not kept any more.
func (s *State) Dropped(i Instance) bool {
	if l, k := s.itemAt(i); l != nil {
		return l.each[k].completed()
	}
	if of, ok := s.Graph.Undoes(i); ok {
		return slices.Contains(s.queue[:s.undone], of)
	}
	return i >= s.Graph.Numbers() && i < s.next() && s.find(i) == nil
}

// Grown says that the run has, or had, instances beyond its definition.
func (s *State) Grown() bool { return s.grown > 0 }

// next is the number that the next added instance has.
func (s *State) next() Instance { return s.Graph.Numbers() + s.grown }

// add is what an event that adds an instance does: it belongs to a step of the definition, and does what that one does unless it
// has a spec of its own. What it does for good is the event's.
func (s *State) add(of Instance, name string, own *Spec, at int64) (Instance, error) {
	a := &added{i: s.next(), of: of, name: name, own: own}
	if uint(of) >= uint(len(s.Steps)) {
		return 0, fmt.Errorf("step %d of %d", of, len(s.Steps))
	}
	if own != nil {
		var err error
		if a.body, err = flow.Canonical(&flow.Definition{Steps: []flow.Step{*own}}); err != nil {
			return 0, err
		}
	}
	s.added = append(s.added, a)
	s.grown++
	a.Since, a.kind = at, kindOf(s.Spec(a.i).Type)
	return a.i, nil
}

// drop takes an added instance that has settled out of the state. The journal has what became of it.
func (s *State) drop(i Instance) {
	s.added = slices.DeleteFunc(s.added, func(a *added) bool { return a.i == i && a.State.Settled() })
}

// Deps gives the steps whose outputs an instance is given, in the order of the definition's text: its dependencies but for those that are
// for order alone.
func (s *State) Deps(i Instance) []Instance {
	i = s.of(i)
	return s.Graph.Deps[i][:len(s.Graph.Def.Steps[i].Dependencies)]
}

// before gives all that an instance depends on.
func (s *State) before(i Instance) []Instance {
	i = s.of(i)
	return s.Graph.Deps[i]
}

// dependents gives the steps that depend on an instance: nothing depends on an added one by itself.
func (s *State) dependents(i Instance) []Instance {
	if int(i) >= len(s.Steps) {
		return nil
	}
	return s.Graph.Dependents[i]
}

// waiting gives the steps that cannot start before an instance has settled: its dependents, and those whose expressions name it.
func (s *State) waiting(i Instance) []Instance {
	if int(i) >= len(s.Steps) {
		return nil
	}
	return s.Graph.Needed[i]
}

// Refs gives the steps that the expressions of an instance name.
func (s *State) Refs(i Instance) []Instance {
	i = s.of(i)
	return s.Graph.Refs[i]
}

// sink says whether the instance's output is part of the run's.
func (s *State) sink(i Instance) bool {
	return i < s.Graph.Main && len(s.Graph.Dependents[i]) == 0
}

// Dues calls fn for each instance that waits for a time, RunItself among them, with that time (Unix ms).
func (s *State) Dues(fn func(i Instance, due int64)) {
	if s.Pause != nil { // they come when it is resumed
		return
	}
	s.runDues(fn)
	for i, st := range s.All() {
		if st.Due != 0 && st.State.Open() {
			fn(i, st.Due)
		}
	}
}
