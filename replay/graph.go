package replay

import (
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/timers"
)

// Graph is the Program of a workflow that is a graph of steps. Its part of the state are the steps' counts of dependencies that
// have not settled, the agenda, and the size of the run's output so far.
type Graph struct{ *flow.Graph }

// Begin looks at the steps that depend on nothing.
func (g Graph) Begin(t *Turn) {
	for i := range g.Main {
		if st := &t.S.Steps[i]; st.need == 0 && st.State == StepPending {
			t.S.agenda.push(i)
		}
	}
}

// Last looks at the steps of finally that depend on nothing.
func (g Graph) Last(t *Turn) { g.beginFinally(t) }

// Settled looks at those that wait for the step: its dependents, the step that its on_timeout names, and the joins of its branches. One
// that failed for good fails the run.
func (g Graph) Settled(t *Turn, i Instance) {
	s := t.S
	if g.UndoSpec(i) != nil { // Decide says what is next
		return
	}
	if l, _ := s.itemAt(i); l != nil {
		t.itemSettled(l)
		return
	}
	switch failed := s.At(i).State == StepFailed; {
	case failed && g.Final(i):
		t.finalFailed(i)
	case failed:
		g.hasFailed(t, i)
		return
	}
	for _, d := range s.waiting(i) {
		if s.Steps[d].need == 0 {
			s.agenda.push(d)
		}
	}
	if int(i) < len(g.Branch) && g.Branch[i] >= 0 {
		s.agenda.push(g.Branch[i])
		for _, j := range g.Joined[i] {
			if s.Steps[j].need == 0 {
				s.agenda.push(j)
			}
		}
	}
}

// Decide starts and skips the steps whose turn has come, in the order of the definition, and completes the run.
func (g Graph) Decide(t *Turn) {
	s := t.S
	for t.Err == nil && s.Status == Running && len(s.agenda) > 0 {
		t.consider(s.agenda.pop())
	}
	switch {
	case t.Err != nil || s.Status != Running:
	case s.open == 0:
		t.done()
	case s.hopeless():
		t.over(event.Event{Kind: event.RunFailed, Step: s.uncaught()})
	}
	t.finish()
}

// Freed looks at the steps that an operator freed from a timer.
func (g Graph) Freed(t *Turn, timer Instance) {
	for _, near := range [...][]Instance{g.Deps[timer], g.Dependents[timer]} {
		for _, i := range near {
			if t.S.Steps[i].again {
				t.S.agenda.push(i)
			}
		}
	}
}

// Reopen lets the run go on: what failed or was cancelled is ready anew, and what it waited for may have settled in the very turn
// that ended the run.
func (g Graph) Reopen(t *Turn, reason string) {
	t.add(event.Event{Kind: event.RunReopened, Message: reason, By: t.By})
	if t.Err != nil {
		return
	}
	for i := range g.Main {
		if ready(&t.S.Steps[i]) {
			t.S.agenda.push(i)
		}
	}
}

// Cancel ends the run.
func (g Graph) Cancel(t *Turn, reason string) {
	t.over(event.Event{Kind: event.RunCancelled, Message: reason, By: t.By})
}

// settle counts, for those that wait for the step, one less.
func (s *State) settle(i Instance) {
	if int(i) >= len(s.Steps) {
		return
	}
	if s.Graph.Final(i) {
		s.finals--
	} else {
		s.open--
	}
	for _, d := range s.Graph.Needed[i] {
		s.Steps[d].need--
	}
}

// consider starts or skips a step whose turn may have come.
func (t *Turn) consider(i Instance) {
	if t.S.Steps[i].State == StepWaiting {
		t.goOver(i)
		return
	}
	switch v, why := t.S.verdict(i); v {
	case begin:
		t.catch(i)
		t.begin(i)
	case skip:
		t.skip(i, why)
	case ask:
		t.S.wanted = append(t.S.wanted, i)
	}
}

// verdict is what becomes of a step that is looked at.
type verdict uint8

const (
	leave verdict = iota // it is not its turn, or it has had it
	begin
	skip
	ask // its turn has come, and its condition says whether it starts
)

func (s *State) verdict(i Instance) (verdict, SkipReason) {
	st := &s.Steps[i]
	if !ready(st) || s.Held || !s.moves(i) {
		return leave, 0
	}
	if st.again {
		if s.asksItems(i) {
			return ask, 0
		}
		return begin, 0
	}
	if st.State == StepDormant {
		woken, all := s.woken(i)
		switch {
		case !woken && all:
			return skip, SkipNotNeeded
		case !woken:
			return leave, 0
		}
	}
	if st.need > 0 {
		return leave, 0
	}
	v, why := s.joined(i)
	if v == begin && s.Graph.Asks && (s.asksStart(i) || s.asksItems(i)) {
		v = ask
	}
	return v, why
}

// joined says what becomes of a step whose dependencies have all settled, by its join.
func (s *State) joined(i Instance) (verdict, SkipReason) {
	join := s.Graph.Def.Steps[i].Join
	if join == flow.JoinSettled || s.allCount(i) {
		return begin, 0
	}
	good := s.good(i)
	some, all, failed := false, true, false
	for at, d := range s.Graph.Deps[i] {
		some, all = some || good[at], all && good[at]
		st := &s.Steps[d]
		failed = failed || !good[at] && (st.State == StepTimedOut || st.State == StepFailed || st.Skip == SkipFailure)
	}
	switch {
	case all, join == flow.JoinAny && some && !failed:
		return begin, 0
	case !s.decided(i):
		return leave, 0
	case failed:
		return skip, SkipFailure
	}
	return skip, SkipDependency
}

// decided says whether it is known, of each wait on whose two branches dependencies of the step stand, which branch was taken. A join is
// not skipped before: else the order in which waits time out could decide it.
func (s *State) decided(i Instance) bool {
	for _, j := range s.Graph.Joins[i] {
		if !s.settled(j.Wait) {
			return false
		}
	}
	return true
}

// absorb defers the step to the first timer beside it that has budget left.
func (t *Turn) absorb(step Instance) bool {
	if int(step) >= len(t.S.Steps) { // timers absorb steps of the definition
		return false
	}
	for _, i := range t.S.Graph.Beside[step] {
		timer, def := &t.S.Steps[i], t.S.Graph.Def.Steps[i].Timer
		if timer.State == StepSkipped || def.MaxRetries == nil || int64(timer.Failures) >= *def.MaxRetries {
			continue
		}
		due, err := timers.AbsorbDue(def, int(timer.Failures)+1, time.UnixMilli(t.At))
		if err != nil {
			continue
		}
		t.add(event.Event{Kind: event.StepDeferred, Step: step, Timer: i, Due: due.UnixMilli()})
		return true
	}
	return false
}

// fired frees the deferred steps of a timer that an operator fired; the timer itself completes by its own StepCompleted.
func (s *State) fired(at int64, e *event.Event) {
	if !e.Forced {
		return
	}
	if int(e.Step) >= len(s.Steps) {
		return
	}
	for _, near := range [...][]Instance{s.Graph.Deps[e.Step], s.Graph.Dependents[e.Step]} {
		for _, i := range near {
			if st := &s.Steps[i]; st.State == StepDeferred && st.Timer == e.Step {
				s.becomeReadyAgain(st, at)
			}
		}
	}
}

// becomeReadyAgain makes a step that has been ready before ready anew, with fresh budgets.
func (s *State) becomeReadyAgain(st *Step, at int64) {
	st.Failures, st.Losses, st.Due, st.again = 0, 0, 0, true
	s.to(st, StepPending, at)
}

// WaitsOn says that the timer of that step is waiting, or that steps deferred to it are.
func (s *State) WaitsOn(timer Instance) bool {
	if !s.Status.Live() {
		return false
	}
	if s.At(timer).State == StepWaiting {
		return true
	}
	if int(timer) >= len(s.Steps) {
		return false
	}
	for _, near := range [...][]Instance{s.Graph.Deps[timer], s.Graph.Dependents[timer]} {
		for _, i := range near {
			if s.Steps[i].State == StepDeferred && s.Steps[i].Timer == timer {
				return true
			}
		}
	}
	return false
}

// woken says, of a step that on_timeout or on_failure names, whether one of those timed out or failed, and whether all of them are
// settled.
func (s *State) woken(i Instance) (woken, all bool) {
	all = true
	for _, w := range s.Graph.NamedBy[i] {
		state := s.Steps[w].State
		woken = woken || state == StepTimedOut || state == StepFailed
		all = all && s.settledFor(w, i)
	}
	return woken, all
}

// allCount says whether each dependency counts as completed.
func (s *State) allCount(i Instance) bool {
	for _, d := range s.Graph.Deps[i] {
		if !s.counts(d, i) {
			return false
		}
	}
	return true
}

// counts says whether the dependency counts as completed for the step; for a step that on_timeout or on_failure of it names, its
// time-out or failure does.
func (s *State) counts(dep, step Instance) bool {
	switch s.Steps[dep].State {
	case StepCompleted:
		return true
	case StepTimedOut, StepFailed:
		return s.Graph.Branch[dep] == step
	}
	return false
}

// good says of each dependency of a step whether it is completed or made good. It follows the joins: a dependency on the branch that a
// wait did not take is made good by a good one on the other.
func (s *State) good(i Instance) []bool {
	deps := s.Graph.Deps[i]
	good := make([]bool, len(deps))
	left := 0
	for at, d := range deps {
		good[at] = s.counts(d, i)
		if !good[at] {
			left++
		}
	}
	mend := func(branch, other []Instance) {
		for _, o := range other {
			if !good[o] {
				continue
			}
			for _, b := range branch {
				if !good[b] {
					good[b] = true
					left--
				}
			}
			return
		}
	}
	for before := -1; left > 0 && left != before; {
		before = left
		for _, j := range s.Graph.Joins[i] {
			if !s.settled(j.Wait) {
				continue
			}
			switch s.Steps[j.Wait].State {
			case StepCompleted:
				mend(j.TimedOut, j.Answered)
			case StepTimedOut, StepFailed:
				mend(j.Answered, j.TimedOut)
			case StepSkipped:
				mend(j.TimedOut, j.Answered)
				mend(j.Answered, j.TimedOut)
			}
		}
	}
	return good
}
