package replay

import (
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/pack"
)

// Branches of failures: a step with on_failure that fails for good does not fail the run. The step that its on_failure names starts as its
// own dependencies, join and condition allow, and catches the failure when it does; from then on the failed step counts as settled. A
// failure that nothing will catch any more stands, and fails the run.

// onFailure gives the step that the on_failure of a step names; -1: none.
func (s *State) onFailure(i Instance) Instance {
	if int(i) >= len(s.Steps) || s.Graph.Def.Steps[i].OnFailure == "" {
		return -1
	}
	return s.Graph.Branch[i]
}

// settled says whether nothing more is to come of a step, as all others see it: a failure settles a step when it was caught, or is kept
// in a fork.
func (s *State) settled(i Instance) bool {
	st := &s.Steps[i]
	return st.State.Settled() || st.Caught || st.State == StepFailed && (st.Kept || s.Graph.Final(i))
}

// settledFor says the same as the step by sees it: to the one that its on_failure names, a failed step is settled.
func (s *State) settledFor(i, by Instance) bool {
	return s.settled(i) || s.Steps[i].State == StepFailed && s.onFailure(i) == by
}

// failed folds that a step has failed for good.
func (s *State) failed(i Instance) {
	if int(i) < len(s.Steps) && s.Graph.Final(i) { // it stops only what depends on it
		s.settle(i)
		return
	}
	e := s.onFailure(i)
	if e < 0 {
		return
	}
	s.failures = append(s.failures, i)
	if slices.Contains(s.Graph.Needs[e], i) {
		s.Steps[e].need--
	}
}

// caught folds that the branch of a failed step has started.
func (s *State) caught(i Instance, st *Step) {
	st.Caught = true
	if s.Graph.Final(i) {
		return
	}
	s.Handled++
	s.failures = slices.DeleteFunc(s.failures, func(f Instance) bool { return f == i })
	if st.Kept { // it counted as settled already
		return
	}
	s.open--
	for _, d := range s.Graph.Needed[i] {
		if d != s.Graph.Branch[i] {
			s.Steps[d].need--
		}
	}
}

// unfail folds that the failures which nothing caught are taken back.
func (s *State) unfail() {
	s.failures = slices.DeleteFunc(s.failures, func(i Instance) bool {
		if s.Steps[i].Kept {
			return false
		}
		if e := s.Graph.Branch[i]; slices.Contains(s.Graph.Needs[e], i) {
			s.Steps[e].need++
		}
		return true
	})
}

// Failures gives the failures that nothing has caught and nothing has failed the run for, in the order in which they came.
func (s *State) Failures() []Instance { return s.failures }

// Errors gives the failed steps that the on_failure of which names a step, by name.
func (s *State) Errors(i Instance) map[string]*StepError {
	i = s.of(i)
	var all map[string]*StepError
	for _, w := range s.Graph.NamedBy[i] {
		if s.Steps[w].State != StepFailed {
			continue
		}
		if all == nil {
			all = map[string]*StepError{}
		}
		all[s.Name(w)] = s.Steps[w].Error
	}
	return all
}

// hasFailed decides what the failure of a step means for the run.
func (g Graph) hasFailed(t *Turn, i Instance) {
	s := t.S
	switch e := s.onFailure(i); {
	case e < 0 || s.Steps[e].State == StepSkipped && s.Steps[e].Skip != SkipOperator: // one that an operator skipped counts as having started
		t.over(event.Event{Kind: event.RunFailed, Step: i})
	case s.Steps[e].State == StepDormant:
		s.agenda.push(e)
	default: // it has started, for another one
		t.add(event.Event{Kind: event.FailureCaught, Step: i})
	}
}

// Caught looks at those that wait for the failed step to count as settled.
func (g Graph) Caught(t *Turn, i Instance) {
	s := t.S
	for _, of := range [...][]Instance{g.Needed[i], g.Joined[i]} {
		for _, d := range of {
			if s.Steps[d].need == 0 {
				s.agenda.push(d)
			}
		}
	}
}

// catch is what happens when a step starts: the failures that name it are caught.
func (t *Turn) catch(i Instance) {
	if !t.S.Graph.Language || int(i) >= len(t.S.Steps) {
		return
	}
	for _, w := range t.S.Graph.NamedBy[i] {
		if st := &t.S.Steps[w]; st.State == StepFailed && !st.Caught {
			t.add(event.Event{Kind: event.FailureCaught, Step: w})
		}
	}
}

// stands fails the run when the step will not start and so does not catch a failure that names it. It reports whether it did.
func (t *Turn) stands(i Instance) bool {
	for _, w := range t.S.failures {
		if t.S.Graph.Branch[w] == i {
			t.over(event.Event{Kind: event.RunFailed, Step: w})
			return true
		}
	}
	return false
}

// uncaught gives the first failure that nothing has caught and that does not stand for good as one that a fork kept does; -1: there is none.
func (s *State) uncaught() Instance {
	for _, i := range s.failures {
		if !s.Steps[i].Kept {
			return i
		}
	}
	return -1
}

// hopeless says that failures are left which nothing will catch: nothing is open any more, and nobody asks.
func (s *State) hopeless() bool {
	if s.uncaught() < 0 || s.live > 0 {
		return false
	}
	for i := range s.Steps {
		if s.Asks(Instance(i)) != AskNothing {
			return false
		}
	}
	return true
}

func (s *State) appendFailures(f *fields) {
	if len(s.failures) == 0 {
		return
	}
	f.key(kUncaught)
	f.buf = pack.AppendArray(f.buf, len(s.failures))
	for _, i := range s.failures {
		f.buf = pack.AppendUint(f.buf, uint64(i))
	}
}

func (s *State) readFailures(r *pack.Reader) error {
	for range r.Array() {
		i := Instance(r.Uint())
		if r.Err() != nil {
			return nil // the caller says so
		}
		if uint(i) >= uint(len(s.Steps)) || s.onFailure(i) < 0 {
			return fmt.Errorf("replay: encoded state: a failure of step %d, which nothing can catch: %w", i, event.ErrFormat)
		}
		s.failures = append(s.failures, i)
	}
	return nil
}
