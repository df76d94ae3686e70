package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/refusal"
)

// Corrections: an operator ends a step as he says, instead of what does it or waits for it. StepCorrected takes the step from whoever has
// it, and what it ends as follows in the same record, as if it had come by itself.

// Correction is what an operator makes of a step.
type Correction string

const (
	CorrectComplete Correction = "complete"
	CorrectSkip     Correction = "skip"
	CorrectFail     Correction = "fail"
)

// MatchCorrect says why a step cannot be corrected so, and gives it. It must be open, or have failed without anything that caught that;
// while a run is finishing, a step whose compensation is under way stands for that. Of a run that has failed, only what failed it can be corrected, and not as failed: the run is opened again then. An item, such as
// fetch[3], must not have settled, and its step must go over its list.
func (s *State) MatchCorrect(step string, as Correction, output []byte) (Instance, error) {
	i, ok := s.Graph.Instance(step)
	if !ok || !s.Known(i) {
		if of, is := s.listless(step); ok && is {
			return 0, fmt.Errorf("%w: the list of step %q has not been made yet", refusal.ErrStepNotOpen, of)
		}
		return 0, refusal.ErrStepNotFound
	}
	i = s.Target(i) // STEP/undo, as a history has it, is the compensation of STEP
	if s.undo != nil && s.Status == Finishing && s.Target(s.undo.i) == i {
		return s.undo.i, nil
	}
	if s.Status == Finishing && !s.moves(i) {
		return i, refusal.ErrRunFinishing
	}
	if s.isItem(i) {
		return i, s.matchItem(i)
	}
	st := &s.Steps[i]
	failed := st.State == StepFailed && (!s.settled(i) || s.failedInFinally(i)) && as != CorrectFail
	switch {
	case s.Status == Quarantined || s.Status == Failed && s.Hurt:
		return i, refusal.ErrRunQuarantined
	case s.Status == Failed && failed: // it is opened again, as a retry does
		if err := s.MatchRetry(); err != nil {
			return i, err
		}
	case !s.Status.Live():
		return i, refusal.ErrRunFinished
	case !st.State.Open() && !failed:
		return i, refusal.ErrStepNotOpen
	}
	if as == CorrectComplete && s.sink(i) && s.overOutput(len(output)) {
		return i, refusal.ErrRunOutputTooLarge
	}
	return i, nil
}

// listless says whether the name is that of an item whose step is to go over a list that is not there yet, and names the step.
func (s *State) listless(name string) (step string, is bool) {
	step, _, is = strings.Cut(name, "[")
	i, ok := s.Graph.Index[step]
	return step, is && ok && s.Status.Live() && !s.settled(i) && s.itemsOf(i) == nil
}

// failedInFinally says whether the run has failed by the step, which is one of finally. When it is mended, the run is opened again as by a
// retry: the others of finally run anew.
func (s *State) failedInFinally(i Instance) bool {
	return s.Status == Failed && s.Fault != nil && s.Fault.Code == failure.FinallyFailed && s.Graph.Final(i) && !s.Steps[i].Caught
}

// mends says whether the event ends a step of finally by hand in a run that was opened again for that, before finally has begun.
func (s *State) mends(e *event.Event, st *Step) bool {
	return s.Status == Running && int(e.Step) < len(s.Steps) && s.Graph.Final(e.Step) && (e.Kind == event.StepCorrected || st.corrected)
}

// matchItem says why an item cannot be corrected.
func (s *State) matchItem(i Instance) error {
	l, k := s.itemAt(i)
	if err := s.closed(); err != nil {
		return err
	}
	if it := &l.each[k]; s.Steps[l.of].State != StepWaiting || it.completed() || it.st != nil && it.st.State != StepPending && !it.st.State.Open() {
		return fmt.Errorf("%w: the item has settled, or its step has", refusal.ErrStepNotOpen)
	}
	return nil
}

// Correct ends a step, or an item, as an operator says. MatchCorrect must have allowed it. A failed run is opened again for it.
func (t *Turn) Correct(i Instance, as Correction, output []byte, why string) {
	if t.S.Status == Failed {
		t.Reopen("")
	}
	t.add(event.Event{Kind: event.StepCorrected, Step: i, Code: string(as), Message: why, By: t.By})
	if t.Err != nil {
		return
	}
	switch as {
	case CorrectComplete:
		t.add(event.Event{Kind: event.StepCompleted, Step: i, Payload: output})
	case CorrectSkip:
		if t.S.Target(i) != i { // it is a compensation, and was not done
			t.fail(i, t.S.At(i).Attempt, failure.FailedByOperator, "an operator skipped it")
			return
		}
		t.add(event.Event{Kind: event.StepSkipped, Step: i, Code: SkipOperator.String()})
	default:
		message := "an operator failed it"
		if why != "" {
			message += ": " + why
		}
		t.fail(i, t.S.At(i).Attempt, failure.FailedByOperator, message)
	}
}

// corrected folds that an operator takes a step from whoever has it. An attempt that a worker has is out until it answers.
func (s *State) corrected(i Instance, st *Step, at int64) string {
	switch {
	case st.Caught, st.Kept:
		return "its failure is caught"
	case st.State == StepFailed:
		s.takeBack(i)
	case st.State.Open():
		if st.Kind().mail {
			s.Mail.Leave(s.Spec(i).Signal.Name, i)
		}
		if l := s.itemsOf(i); l != nil {
			s.cancelItems(l, at)
		}
		s.cancel(i, st, at)
	}
	st.Was, st.Due, st.again, st.corrected = 0, 0, false, true
	s.to(st, StepPending, at)
	return ""
}

// takeBack folds that the failure of a step, which nothing has caught, counts no more.
func (s *State) takeBack(i Instance) {
	e := s.onFailure(i)
	if e < 0 {
		return
	}
	s.failures = slices.DeleteFunc(s.failures, func(f Instance) bool { return f == i })
	if slices.Contains(s.Graph.Needs[e], i) {
		s.Steps[e].need++
	}
}
