package replay

import (
	"fmt"
	"maps"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/pack"
)

// Rounds: a step with repeat runs until its condition is true of what it gave. A round that has completed is recorded (RoundCompleted),
// and its step waits: at first until the condition was worked out, then, if that was false, for the time of the next round. It holds its
// keys from the first round to the end.

// round is where a step stands that has completed rounds.
type round struct {
	n    uint32  // of the round that runs, comes next, or was the last one: from 0
	prev Payload // what the round before that gave
}

// Round gives the number of the round of an instance, from 0, and what the round before it gave. Of a step that does not repeat that is
// round 0.
func (s *State) Round(i Instance) (n uint32, previous Payload) {
	r := s.rounds[i]
	return r.n, r.prev
}

// asksUntil says that a round of the instance has completed, and nobody knows yet whether it was the last one.
func (s *State) asksUntil(i Instance) bool {
	st := s.At(i)
	return st != nil && st.State == StepWaiting && st.Due == 0 && (st.Kind() == &task || st.Kind().children && !s.openChild(i)) && s.itemsOf(i) == nil
}

// roundOver says that a round of the step has completed with that output.
func (t *Turn) roundOver(step Instance, attempt uint32, output []byte, objects []event.ObjectWrite, hash uint64) {
	t.add(event.Event{Kind: event.RoundCompleted, Step: step, Attempt: attempt, Payload: output, Objects: objects, Hash: hash})
	t.S.wanted = append(t.S.wanted, step)
}

// until folds whether the last round was enough.
func (t *Turn) until(i Instance, got Evaluated) {
	s := t.S
	st, repeat := s.At(i), s.Spec(i).Repeat
	if got.Err != "" {
		t.fail(i, st.Attempt, failure.ExpressionFailed, got.Err)
		return
	}
	e := event.Event{Kind: event.ConditionEvaluated, Step: i, Forced: got.Yes, Payload: got.Saw, Code: "until"}
	n := int64(s.rounds[i].n) + 1 // rounds so far
	switch {
	case got.Yes:
		t.add(e)
		t.settleRounds(i)
	case repeat.MaxRounds != nil && n >= *repeat.MaxRounds:
		t.add(e)
		t.fail(i, st.Attempt, failure.RoundsUsedUp, fmt.Sprintf("after %d rounds, which is its max_rounds, until is not true: %s", n, repeat.Until))
	default:
		e.Due = max(t.At+repeat.Interval(n).Milliseconds(), 1)
		t.add(e)
		if e.Due <= t.At {
			t.schedule(i)
		}
	}
}

// settleRounds completes a step with the output of its last round.
func (t *Turn) settleRounds(i Instance) {
	if t.Err != nil {
		return
	}
	st := t.S.At(i)
	if t.S.sink(i) && t.S.overOutput(int(st.Output.Len)) {
		t.fail(i, st.Attempt, failure.TaskTooLarge, fmt.Sprintf("with this output of %d bytes the run's output is over %d bytes", st.Output.Len, MaxTask))
		return
	}
	t.add(event.Event{Kind: event.StepCompleted, Step: i, Ref: st.Output.Seq})
}

// roundCompleted folds the end of a round: the budgets are fresh, the keys stay.
func (s *State) roundCompleted(seq uint64, at int64, e *event.Event, st *Step) string {
	if e.Attempt > st.Attempt {
		return fmt.Sprintf("the step is %s at attempt %d", st.State, st.Attempt)
	}
	st.Output = keep(seq, e.Payload)
	st.Worker, st.Due, st.Failures, st.Losses, st.Error = "", 0, 0, 0, nil
	st.answered(e)
	st.forget()
	s.closeChild(e.Step)
	s.to(st, StepWaiting, at)
	return ""
}

// nextRound folds that the last round was not enough, and when the next one begins. due 0: there is none.
func (s *State) nextRound(i Instance, st *Step, due int64) {
	if due == 0 {
		return
	}
	if s.rounds == nil {
		s.rounds = map[Instance]round{}
	}
	s.forgetChild(i)
	s.rounds[i] = round{n: s.rounds[i].n + 1, prev: st.Output}
	st.Due = due
}

// Numbers of the fields of a round; kOf is the instance.
const (
	kRound = iota + 1
	kPrevious
)

func (s *State) appendRounds(f *fields) {
	if len(s.rounds) == 0 {
		return
	}
	var in fields
	f.key(kRounds)
	f.buf = pack.AppendArray(f.buf, len(s.rounds))
	for _, i := range slices.Sorted(maps.Keys(s.rounds)) {
		in.uint(kOf, uint64(i))
		in.uint(kRound, uint64(s.rounds[i].n))
		in.payload(kPrevious, s.rounds[i].prev)
		f.buf = in.flush(f.buf)
	}
}

func (s *State) readRounds(r *pack.Reader) error {
	s.rounds = map[Instance]round{}
	for range r.Array() {
		var i Instance
		var one round
		for range r.Map() {
			switch k := r.Uint(); k {
			case kOf:
				i = Instance(r.Uint())
			case kRound:
				one.n = uint32(r.Uint())
			case kPrevious:
				one.prev = readPayload(r)
			default:
				return fmt.Errorf("replay: encoded round has an unknown field %d: %w", k, event.ErrFormat)
			}
		}
		if r.Err() != nil {
			return nil // the caller says so
		}
		if s.At(i) == nil && !s.isItem(i) { // items come later
			return fmt.Errorf("replay: encoded state: a round of step %d, which is not there: %w", i, event.ErrFormat)
		}
		s.rounds[i] = one
	}
	return nil
}
