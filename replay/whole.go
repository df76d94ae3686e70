package replay

import (
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/pack"
)

// What concerns a run as a whole: the time until which its first steps wait, its time limit, its output, and why it failed when no step
// did.

// RunItself stands for the run where an instance is asked for: it waits for times, and asks what its output is.
const RunItself Instance = -1

// Fault is why a run failed when no step did.
type Fault struct{ Code, Message string }

// Why says why the run failed: the step by whose failure it did ("": by none), and its last error; nil: it has not failed.
func (s *State) Why() (step string, why *StepError) {
	switch {
	case s.Fault != nil:
		return "", &StepError{Code: s.Fault.Code, Message: s.Fault.Message}
	case s.FailedBy < 0:
		return "", nil
	}
	return s.Name(s.FailedBy), s.At(s.FailedBy).Error
}

// setDeadline counts the time limit of the run from a start or a retry.
func (s *State) setDeadline(at int64) {
	if limit := s.Graph.Def.TimeoutMS; limit != nil {
		if s.Held {
			at = max(at, s.StartAt)
		}
		s.Deadline = at + *limit
	}
}

// runDues gives the times for which the run itself waits.
func (s *State) runDues(fn func(i Instance, due int64)) {
	if s.Status != Running {
		return
	}
	if s.Held {
		fn(RunItself, s.StartAt)
	}
	if s.Deadline != 0 {
		fn(RunItself, s.Deadline)
	}
}

// DueAt says whether the step, or the run itself, waits for that time: whether Dues gives it.
func (s *State) DueAt(i Instance, due int64) bool {
	if s.Pause != nil {
		return false
	}
	if i == RunItself {
		found := false
		s.runDues(func(_ Instance, at int64) { found = found || at == due })
		return found
	}
	st := s.At(i)
	return st != nil && st.Due == due && st.State.Open()
}

// runDue folds that a time has come for which the run itself waits.
func (t *Turn) runDue(due int64) bool {
	s := t.S
	switch {
	case s.Held && due == s.StartAt:
		t.add(event.Event{Kind: event.RunBegan})
	case due == s.Deadline:
		t.Decide() // what came before it in this turn may have ended the run
		if t.Err != nil || s.Status != Running {
			return false
		}
		t.failRun(failure.RunTimeout, fmt.Sprintf("the run was not over within %d ms, which is its workflow's timeout_ms", *s.Graph.Def.TimeoutMS))
	default:
		return false
	}
	return true
}

// failRun fails the run for a reason that is no step's.
func (t *Turn) failRun(code, message string) {
	t.over(event.Event{Kind: event.RunFailed, Code: code, Message: message})
}

func (s *State) fault(at int64, e *event.Event) string {
	if !s.Status.Live() {
		return "the run is " + s.Status.String()
	}
	s.Fault = &Fault{e.Code, e.Message}
	s.end(Failed, at)
	return ""
}

// asksResult says whether it must be worked out what the run's output is.
func (s *State) asksResult() Ask {
	if s.open == 0 && s.Graph.Def.Output != nil {
		return AskResult
	}
	return AskNothing
}

// output folds what the template of the run's output came to.
func (t *Turn) output(got Evaluated) {
	if got.Err != "" {
		t.failRun(got.code(), got.Err)
		return
	}
	t.over(event.Event{Kind: event.RunCompleted, Payload: got.Value})
}

// done completes the run, all of whose steps are settled.
func (t *Turn) done() {
	if t.S.asksResult() == AskResult {
		t.S.wanted = append(t.S.wanted, RunItself)
		return
	}
	t.over(event.Event{Kind: event.RunCompleted})
}

// overOutput says whether the run's output would be too large with that many bytes more. One that a template says is bounded by itself.
func (s *State) overOutput(more int) bool {
	return s.Graph.Def.Output == nil && s.outBytes+uint64(more) > MaxTask
}

// keepIf is keep of what may not be there.
func keepIf(seq uint64, b []byte) Payload {
	if len(b) == 0 {
		return Payload{}
	}
	return keep(seq, b)
}

// appendWhole writes what concerns the run as a whole, and says whether there is any.
func (s *State) appendWhole(f *fields) bool {
	n := f.n
	if s.Fault != nil {
		f.key(kFault)
		f.buf = pack.AppendString(pack.AppendString(pack.AppendArray(f.buf, 2), s.Fault.Code), s.Fault.Message)
	}
	f.payload(kRunOutput, s.Output)
	f.int(kStartAt, s.StartAt)
	if s.Held {
		f.uint(kHeld, 1)
	}
	f.int(kDeadline, s.Deadline)
	return f.n > n
}
