package replay

import (
	"fmt"
	"strconv"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/rfc3339"
)

// MaxTask is the largest task with all its dependencies, and the largest output of a run, in bytes.
const MaxTask = 16 << 20

// MaxLosses is how many attempts of a step may be lost in a row before the step fails.
const MaxLosses = 10

// Turn is one turn of one run: facts are folded as they come, then Decide adds what follows. Events is what will be the
// record; the caller gives it the sequences Seq, Seq+1, ...
type Turn struct {
	S      *State
	At     int64  // Unix ms, the only clock that the run sees
	Seq    uint64 // of the first event
	Boot   uint64 // random number of the engine's start, for the tokens of attempts; 0: none
	By     string // who brought the fact that is folded now, if people did; it goes into the fact's event
	Events []event.Event
	Err    error // the first event that could not follow; nothing of the turn may be used then

	// Stopping is called before the first event of the turn that stops a running run, whatever brings it: a fact, or Decide. It
	// journals the starts of attempts that workers have and the journal does not know yet: an attempt that is not known to have
	// started is not known to hold its keys either. nil: nobody keeps starts back.
	Stopping func(*Turn)
}

// add applies the event and puts it into the record. Every event of a run passes here.
func (t *Turn) add(e event.Event) {
	if t.Err != nil {
		return
	}
	stops := e.Kind.Stops() || e.Kind == event.RunPaused || e.Kind == event.StepCorrected || e.Kind == event.StepFailed && t.S.itemsOf(e.Step) != nil // the items that are open then
	if t.Stopping != nil && t.S.Status.Live() && stops {
		t.Stopping(t)
		if t.Err != nil {
			return
		}
	}
	n := len(t.Events)
	t.Events = append(t.Events, e)
	if err := t.S.Apply(t.Seq+uint64(n), t.At, &t.Events[n]); err != nil {
		t.Events, t.Err = t.Events[:n], err
		return
	}
	switch e.Kind {
	case event.RunStarted, event.RunBegan:
		t.S.program().Begin(t)
	case event.FinallyBegan:
		t.S.program().Last(t)
	case event.StepCompleted, event.StepTimedOut, event.StepSkipped, event.StepFailed:
		t.S.program().Settled(t, e.Step)
	case event.FailureCaught:
		t.S.program().Caught(t, e.Step)
	case event.TimerFired:
		if e.Forced {
			t.S.program().Freed(t, e.Step)
		}
	}
}

// Start folds a run's first fact.
func (t *Turn) Start(id, workflow string, version uint32, input []byte, trace string) {
	t.StartAt(id, workflow, version, input, trace, 0, nil)
}

// StartUnder is Start of a child.
func (t *Turn) StartUnder(parent *event.Parent, id, workflow string, version uint32, input []byte, trace string) {
	t.add(event.Event{Kind: event.RunStarted, ID: id, Name: workflow, Version: version, Digest: string(t.S.Graph.Digest), Payload: input, Trace: trace, Boot: t.Boot, Parent: parent})
}

// StartAt is Start of a run whose first steps wait until a time (Unix ms), and which has tags. 0, or a time that has come: they do not.
func (t *Turn) StartAt(id, workflow string, version uint32, input []byte, trace string, at int64, tags []event.Tag) {
	if at <= t.At {
		at = 0
	}
	t.add(event.Event{Kind: event.RunStarted, ID: id, Name: workflow, Version: version,
		Digest: string(t.S.Graph.Digest), Payload: input, Trace: trace, Boot: t.Boot, By: t.By, Due: at, Tags: tags})
}

// Grant says that the step holds all its keys.
func (t *Turn) Grant(step Instance) {
	t.add(event.Event{Kind: event.KeysGranted, Step: step})
	t.schedule(step)
}

// Started says that a worker has the attempt.
func (t *Turn) Started(step Instance, attempt uint32, worker string, at int64, local bool) {
	t.add(event.Event{Kind: event.AttemptStarted, Step: step, Attempt: attempt, Name: worker, Time: at, Forced: local})
}

// Complete says that the attempt completed its step. An output with which the run's output would be too large fails the
// step for good instead.
func (t *Turn) Complete(step Instance, attempt uint32, output []byte, objects []event.ObjectWrite, hash uint64) {
	if t.S.Spec(step).Repeat != nil {
		t.roundOver(step, attempt, output, objects, hash)
		return
	}
	if t.S.sink(step) && t.S.overOutput(len(output)) {
		t.Fail(step, attempt, AttemptError{Code: failure.TaskTooLarge, Final: true, Hash: hash,
			Message: fmt.Sprintf("with this output of %d bytes the run's output is over %d bytes", len(output), MaxTask)})
		return
	}
	t.add(event.Event{Kind: event.StepCompleted, Step: step, Attempt: attempt, Payload: output, Objects: objects, Hash: hash})
}

// AttemptError is why an attempt failed.
type AttemptError struct {
	Code, Message, Type, Stack string
	Final                      bool  // no retry, no absorption
	NotBefore                  int64 // Unix ms: the handler asked not to be tried before; 0: no wish
	Hash                       uint64
}

// Fail says that the attempt failed, and decides what becomes of the step: another attempt, a deferral to a timer beside it,
// or the end of the run.
func (t *Turn) Fail(step Instance, attempt uint32, why AttemptError) {
	t.add(event.Event{Kind: event.AttemptFailed, Step: step, Attempt: attempt, Code: why.Code, Message: why.Message,
		Type: why.Type, Stack: why.Stack, Forced: why.Final, Due: why.NotBefore, Hash: why.Hash})
	if t.Err != nil {
		return
	}
	st := t.S.At(step)
	if !why.Final {
		policy := flow.RetryPolicy(t.S.Spec(step))
		if int64(st.Failures) < policy.MaxAttempts {
			due := max(t.At+policy.Backoff(int(st.Failures)).Milliseconds(), why.NotBefore)
			t.add(event.Event{Kind: event.RetrySet, Step: step, Due: due})
			return
		}
		if t.absorb(step) {
			return
		}
	}
	t.fail(step, attempt, why.Code, why.Message)
}

// fail says that the step has failed for good. The Program decides what that means for the run.
func (t *Turn) fail(step Instance, attempt uint32, code, message string) {
	t.add(event.Event{Kind: event.StepFailed, Step: step, Attempt: attempt, Code: code, Message: message})
}

// Lose says that the worker of the attempt is gone. The step is offered again, its budget untouched.
func (t *Turn) Lose(step Instance, attempt uint32, why string) {
	t.add(event.Event{Kind: event.AttemptLost, Step: step, Attempt: attempt, Code: why})
	if t.Err != nil {
		return
	}
	if n := t.S.At(step).Losses; n >= MaxLosses {
		t.fail(step, attempt, failure.AttemptsLost, fmt.Sprintf("%d attempts in a row were lost: each time the worker went away before it answered", n))
		return
	}
	t.schedule(step)
}

// Signal records a signal and gives it to the wait of its name that became ready first.
func (t *Turn) Signal(name, id string, payload []byte) {
	t.add(event.Event{Kind: event.SignalReceived, Name: name, ID: id, Payload: payload, By: t.By})
	if t.Err != nil {
		return
	}
	if step, ok := t.S.Mail.FirstWait(name); ok {
		t.add(event.Event{Kind: event.StepCompleted, Step: step, Ref: t.Seq + uint64(len(t.Events)) - 1})
	}
}

// Due says that the clock has reached due for the step. It reports whether the step waited for that time.
func (t *Turn) Due(step Instance, due int64) bool {
	if t.Err != nil || !t.S.Status.Live() || t.S.Pause != nil || due == 0 || t.At < due {
		return false
	}
	if step == RunItself {
		return t.runDue(due)
	}
	st := t.S.At(step)
	if st == nil || st.Due != due {
		return false
	}
	switch st.State {
	case StepRetrying:
		t.schedule(step)
	case StepDeferred:
		t.begin(step)
	case StepWaiting:
		st.Kind().due(t, step)
	default:
		return false
	}
	return true
}

// Fire is an operator's wish: it releases the steps deferred to the timer, and the timer itself if it is waiting.
func (t *Turn) Fire(step Instance) { t.fire(step, true) }

func (t *Turn) fire(step Instance, forced bool) {
	by := ""
	if forced {
		by = t.By
	}
	t.add(event.Event{Kind: event.TimerFired, Step: step, Forced: forced, By: by})
	if t.Err == nil && t.S.At(step).State == StepWaiting {
		t.add(event.Event{Kind: event.StepCompleted, Step: step, Payload: FiredAt(t.At)})
	}
}

// FiredAt is the output of a timer that fired at that time.
func FiredAt(ms int64) []byte {
	return []byte(`{"fired_at":` + strconv.Quote(rfc3339.Format(ms)) + `}`)
}

func (t *Turn) timeOut(step Instance) {
	sig := t.S.Spec(step).Signal
	if sig.OnTimeout != "" {
		t.add(event.Event{Kind: event.StepTimedOut, Step: step})
		return
	}
	t.fail(step, 0, failure.SignalTimeout, fmt.Sprintf("signal %q did not come within %d ms", sig.Name, *sig.TimeoutMS))
}

// Cancel ends the run.
func (t *Turn) Cancel(reason string) { t.S.program().Cancel(t, reason) }

// Reopen lets a failed or cancelled run go on.
func (t *Turn) Reopen(reason string) { t.S.program().Reopen(t, reason) }

// Ended says that an attempt that was out when its run ended has answered, or will not.
func (t *Turn) Ended(step Instance, attempt uint32) {
	t.add(event.Event{Kind: event.AttemptEnded, Step: step, Attempt: attempt})
}

// Quarantine says that the record of that sequence is damaged, and the run not to be trusted.
func (t *Turn) Quarantine(seq uint64, why string) {
	t.add(event.Event{Kind: event.RunQuarantined, Ref: seq, Message: why})
}

// Decide adds what follows from the facts until nothing more does.
func (t *Turn) Decide() {
	if t.Err == nil && t.S.Status.Live() {
		t.S.program().Decide(t)
	}
}

// begin starts an instance that is ready.
func (t *Turn) begin(i Instance) { t.S.At(i).Kind().begin(t, i) }

// offer schedules a task, or asks for its keys first.
func (t *Turn) offer(i Instance) {
	if size := t.S.TaskSize(i); size > MaxTask {
		t.fail(i, t.S.At(i).Attempt, failure.TaskTooLarge, fmt.Sprintf("the task is %d bytes without its dependencies, the limit is %d", size, MaxTask))
		return
	}
	if len(t.S.Keys(i)) > 0 {
		t.add(event.Event{Kind: event.StepBlocked, Step: i})
		return
	}
	t.schedule(i)
}

func (t *Turn) await(i Instance, sig *flow.Signal) {
	if a, ok := t.S.Mail.Earliest(sig.Name); ok {
		t.add(event.Event{Kind: event.StepCompleted, Step: i, Ref: a.Seq})
		return
	}
	if sig.TimeoutMS == nil {
		t.add(event.Event{Kind: event.SignalAwaited, Step: i})
		return
	}
	if *sig.TimeoutMS == 0 {
		t.timeOut(i)
		return
	}
	t.add(event.Event{Kind: event.SignalAwaited, Step: i, Due: t.At + *sig.TimeoutMS})
}

func (t *Turn) schedule(i Instance) {
	if t.Err != nil {
		return
	}
	e := event.Event{Kind: event.StepScheduled, Step: i, Attempt: t.S.At(i).Attempt + 1}
	if t.Boot != t.S.Boot {
		e.Boot = t.Boot
	}
	t.add(e)
	if t.Err == nil && t.S.At(i).Kind().children {
		t.S.wanted = append(t.S.wanted, i)
	}
}

// TaskSize is the number of payload bytes that a task carries besides the outputs of its dependencies: those may be referred to, and only
// who hands the task out knows.
func (s *State) TaskSize(i Instance) uint64 {
	size := uint64(s.Input.Len) + uint64(len(s.Spec(i).InputData))
	if input, ok := s.StepInput(i); ok {
		size += uint64(input.Len)
	}
	return size
}
