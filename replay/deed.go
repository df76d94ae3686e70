package replay

import (
	"github.com/agnt5/agnt5d/internal/refusal"
)

// Deed is something that an operator does to a run: he ends a step of it by hand, retries it, or cancels it.
type Deed struct {
	As     Correction // what he makes of a step; "": the deed is about the run
	Step   string     // which one, or which item of it
	Output []byte     // of one that is completed

	Retry  bool // he retries the run, when the deed is about it; else he cancels it
	Force  bool // of a cancel: whatever is left to do
	Reason string
}

// MatchDeed says why the deed does not apply.
func (s *State) MatchDeed(d *Deed) error {
	switch {
	case d.As != "":
		_, err := s.MatchCorrect(d.Step, d.As, d.Output)
		return err
	case d.Retry:
		return s.MatchRetry()
	case s.Status.Ended():
		_, err := s.Status.MatchCancel()
		return err
	}
	return nil
}

// HasDone says that the run is already as the deed would have it: it was cancelled before.
func (s *State) HasDone(d *Deed) bool { return d.As == "" && !d.Retry && s.Status == Cancelled }

// Do folds the deed, or says why it does not apply. What follows from it, Decide adds: see PlanOf, which does both.
func (t *Turn) Do(d *Deed) error {
	s := t.S
	if err := s.MatchDeed(d); err != nil {
		return err
	}
	if s.Status.Live() {
		t.Decide() // what came before it in this turn may have ended the run, or the step
	}
	switch {
	case d.As != "":
		i, err := s.MatchCorrect(d.Step, d.As, d.Output)
		if err != nil {
			return err
		}
		t.Correct(i, d.As, d.Output, d.Reason)
	case d.Retry:
		if err := s.MatchRetry(); err != nil {
			return err
		}
		t.Reopen(d.Reason)
	case s.Status.Ended():
		_, err := s.Status.MatchCancel()
		return err
	case d.Force:
		t.End(d.Reason)
	case s.Status == Finishing:
		return refusal.ErrRunFinishing
	default:
		t.Cancel(d.Reason)
	}
	return nil
}
