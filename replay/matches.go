package replay

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/refusal"
)

// What is asked of a run may have been asked before, and its answer lost. These are the rules of whether it was, one for each thing
// that can be asked: the same for a run in memory and for one that was folded from the journal.

// Origin is what a run is started with.
type Origin struct {
	Workflow string
	Version  uint32 // of a start: 0: any
	Input    []byte
}

// Match says whether a start is the start of the run again: nil, it is; refusal.ErrRunConflict, with what differs, it is that of
// another.
func (run Origin) Match(start Origin) error {
	var other []string
	if run.Workflow != start.Workflow {
		other = append(other, fmt.Sprintf("its workflow is %q, not %q", run.Workflow, start.Workflow))
	} else if start.Version != 0 && run.Version != start.Version {
		other = append(other, fmt.Sprintf("its version is %d, not %d", run.Version, start.Version))
	}
	if !bytes.Equal(run.Input, start.Input) && !flow.EqualJSON(run.Input, start.Input) {
		other = append(other, "its input is another")
	}
	if other == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", refusal.ErrRunConflict, strings.Join(other, ", "))
}

// MatchStart is Match of the run. known is false when its input is too large to lie in memory: then the journal knows.
func (s *State) MatchStart(start Origin) (known bool, err error) {
	if s.Input.Data == nil {
		return false, nil
	}
	return true, Origin{s.Workflow, s.Version, s.Input.Data}.Match(start)
}

// MatchSignal says whether the run has received a signal: nil and true, it has, and by is the step that took it ("": none yet);
// refusal.ErrSignalConflict, it has one of that id and another name or payload. Otherwise err is why it takes none.
func (s *State) MatchSignal(name, id string, payload []byte) (by string, received bool, err error) {
	a, received := s.Mail.Find(id)
	switch {
	case !received && s.Status == Finishing:
		return "", false, refusal.ErrRunFinishing
	case !received:
		return "", false, s.closed()
	case a.Name != name || a.Payload != HashBytes(payload) || int(a.Size) != len(payload):
		return "", false, refusal.ErrSignalConflict
	case a.By >= 0:
		by = s.Name(a.By)
	}
	return by, true, nil
}

// closed says why a run takes no facts from outside.
func (s *State) closed() error {
	switch {
	case s.Status == Quarantined:
		return refusal.ErrRunQuarantined
	case s.Status.Ended():
		return refusal.ErrRunFinished
	}
	return nil
}

// Repeat says what an outcome is to what was recorded of its attempt.
type Repeat uint8

const (
	Unknown Repeat = iota // nothing of the attempt is remembered
	Nothing               // no outcome of it was recorded
	Same                  // this very outcome was recorded
	Other                 // another one was
	Alien                 // the token was made for no attempt of this step
)

// Match says what an outcome with that hash is to the answer, for a token with that boot.
func (a Answer) Match(boot, hash uint64) Repeat {
	switch {
	case boot != a.Boot:
		return Alien
	case hash == a.Hash:
		return Same
	}
	return Other
}

// MatchOutcome says what an outcome is to the step: a repeat of its newest one, or Unknown: then the run's history knows.
func (st *Step) MatchOutcome(attempt uint32, boot, hash uint64) Repeat {
	if st.Answer.Hash == 0 || st.Answer.Attempt != attempt {
		return Unknown
	}
	return st.Answer.Match(boot, hash)
}

// MatchOutcome says what an outcome is to what was recorded of an instance, whether that is kept or has completed as an item.
func (s *State) MatchOutcome(i Instance, attempt uint32, boot, hash uint64) Repeat {
	if st := s.At(i); st != nil {
		return st.MatchOutcome(attempt, boot, hash)
	}
	if l, k := s.itemAt(i); l != nil {
		if a := l.each[k].answer; a.Hash != 0 && a.Attempt == attempt {
			return a.Match(boot, hash)
		}
	}
	return Unknown
}

// MatchCancel says what a cancel means to a run in that state: nil and true, it was cancelled before; refusal.ErrRunFinished, it
// has ended in another way.
func (s RunState) MatchCancel() (cancelled bool, err error) {
	switch {
	case s == Cancelled:
		return true, nil
	case s.Ended():
		return false, refusal.ErrRunFinished
	}
	return false, nil
}

// MatchRetry says why the run cannot be retried. A run that was retried is running: to ask again is refused, as it may have failed
// anew meanwhile. A child that was not abandoned is retried by its parent.
func (s *State) MatchRetry() error {
	switch {
	case s.Status == Finishing:
		return refusal.ErrRunFinishing
	case s.Status != Failed && s.Status != Cancelled:
		return refusal.ErrRunNotFailed
	case s.Hurt:
		return refusal.ErrRunQuarantined
	case s.Parent != nil && !s.Parent.Abandon:
		return fmt.Errorf("%w: retry run %q, of which it is the child for step %q", refusal.ErrParentDecides, s.Parent.ID, s.Parent.Name)
	case s.Touched:
		return refusal.ErrRunCompensated
	}
	return nil
}

// MatchFire gives the step of a timer that is to fire now, and whether it has fired before and nothing waits on it anew. Otherwise
// err is why it cannot fire.
func (s *State) MatchFire(timer string) (step Instance, fired bool, err error) {
	step, ok := s.Graph.Timers[timer]
	switch {
	case !ok:
		return step, false, noTimer(s.Graph, timer)
	case s.Status == Quarantined:
		return step, false, refusal.ErrRunQuarantined
	case s.WaitsOn(step):
		return step, false, nil
	case s.At(step).State == StepCompleted:
		return step, true, nil
	case s.Status.Ended(): // what it would wait for never comes
		return step, false, refusal.ErrRunFinished
	case s.Status == Finishing && !s.Graph.Final(step):
		return step, false, refusal.ErrRunFinishing
	}
	return step, false, refusal.ErrTimerNotWaiting
}

// noTimer is refusal.ErrTimerNotFound with the names that would have been right.
func noTimer(g *flow.Graph, timer string) error {
	if len(g.Timers) == 0 {
		return fmt.Errorf("%w as %q: it has none", refusal.ErrTimerNotFound, timer)
	}
	return fmt.Errorf("%w as %q; it has: %s", refusal.ErrTimerNotFound, timer, strings.Join(slices.Sorted(maps.Keys(g.Timers)), ", "))
}
