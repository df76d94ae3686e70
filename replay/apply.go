package replay

import (
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/signals"
)

// ImpossibleError is an event that cannot follow the state: the history was not written by this fold's rules, or not all
// of it is there.
type ImpossibleError struct {
	Seq  uint64
	Kind event.Kind
	Why  string
}

func (e *ImpossibleError) Error() string {
	return fmt.Sprintf("replay: event %d, %s, cannot follow the run's state: %s", e.Seq, e.Kind, e.Why)
}

// Apply folds the event with that sequence and time into the state. After an error the state must be thrown away.
func (s *State) Apply(seq uint64, at int64, e *event.Event) error {
	var of *items // when it is about an item
	var k int
	var was StepState
	if int(e.Step) >= len(s.Steps) && e.Kind.HasStep() {
		if st := s.begunItem(e.Step); st != nil {
			of, k = s.itemAt(e.Step)
			was = st.State
		}
	}
	if why := s.apply(seq, at, e); why != "" {
		return &ImpossibleError{Seq: seq, Kind: e.Kind, Why: why}
	}
	if of != nil {
		s.itemMoved(of, k, was)
	}
	s.Events++
	s.LastAt = at
	return nil
}

// Near calls fn for each step whose state an event can change, once Apply has folded it. Most events are about one step; one
// that ends a run, or reopens it, may be about all.
func (s *State) Near(e *event.Event, fn func(Instance)) {
	switch e.Kind {
	case event.RunFailed, event.RunCompleted, event.RunCancelled, event.RunReopened, event.RunFinishing:
		for i := range s.All() {
			fn(i)
		}
		return
	case event.CompensationBegan:
		if i, ok := s.Graph.UndoOf(e.Step); ok {
			fn(i)
		}
		return
	case event.TimerFired: // what was deferred to it
		for _, near := range [...][]Instance{s.before(e.Step), s.dependents(e.Step)} {
			for _, i := range near {
				fn(i)
			}
		}
	}
	if e.OfStep() {
		fn(e.Step)
	}
	if l := s.itemsOf(e.Step); l != nil && (e.Kind == event.StepFailed || e.Kind == event.StepCorrected) { // those that were open
		for i := range s.Items(e.Step) {
			fn(i)
		}
	}
}

// EndRecord says that the events applied last stand in the record of that sequence.
func (s *State) EndRecord(seq uint64) { s.LastSeq = seq }

func (s *State) apply(seq uint64, at int64, e *event.Event) string {
	if (e.Kind == event.RunStarted) != (s.Events == 0) {
		return "a run has one RunStarted, its first event"
	}
	if e.Kind == event.CompensationBegan {
		return s.compensationBegan(at, e)
	}
	var st *Step
	if e.OfStep() {
		if st = s.At(e.Step); st == nil && !s.ends(e) {
			return fmt.Sprintf("step %d of %d", e.Step, s.next())
		}
	}
	switch e.Kind {
	case event.RunStarted:
		return s.start(seq, at, e)
	case event.RunCancelled:
		if s.Status.Ended() {
			return "the run has ended"
		}
		s.end(Cancelled, at)
		s.Reason = e.Message
		return ""
	case event.RunReopened:
		return s.reopen(at)
	case event.RunTagged:
		if s.Status == Quarantined {
			return "the run is quarantined"
		}
		s.tag(e.Tags)
		return ""
	case event.AttemptEnded:
		return s.attemptEnded(e)
	case event.ChildEnded:
		if s.Status == Quarantined {
			return "the run is quarantined"
		}
		if st != nil {
			if why := st.Kind().refuses(e.Kind, st); why != "" {
				return why
			}
		}
		return s.childEnded(e)
	case event.RunFailed:
		if e.Code != "" {
			return s.fault(at, e)
		}
	case event.RunQuarantined:
		s.Status, s.Reason, s.Hurt, s.EndedAt = Quarantined, e.Message, true, 0
		return ""
	}
	if !s.Status.Live() {
		return "the run is " + s.Status.String()
	}
	if s.Graph.Endings() && st != nil && !ofRun(e.Kind) && !s.moves(e.Step) && !s.mends(e, st) {
		return fmt.Sprintf("the run is %s, and it is not the turn of the step", s.Status)
	}
	if st != nil && !st.corrected {
		if why := st.Kind().refuses(e.Kind, st); why != "" {
			return why
		}
	}
	switch e.Kind {
	case event.RunForked:
		return s.forked(e)
	case event.StepKept:
		return s.kept(seq, at, e, st)
	case event.StepCorrected:
		return s.corrected(e.Step, st, at)
	case event.RunFinishing:
		if s.Status != Running {
			return "its fate is decided"
		}
		return s.finishing(seq, at, e)
	case event.FinallyBegan:
		return s.finallyBegan(at)
	case event.StepBlocked:
		s.blocked(seq, at, st)
	case event.KeysGranted:
		if st.Fence != 0 {
			return "the step does not wait for keys"
		}
		st.Fence = seq
	case event.StepScheduled:
		return s.scheduled(at, e, st)
	case event.AttemptStarted:
		if e.Attempt != st.Attempt {
			return fmt.Sprintf("the step is %s at attempt %d", st.State, st.Attempt)
		}
		s.to(st, StepRunning, at)
		s.tried(e.Step, st)
		st.Worker, st.Local, st.Due = e.Name, e.Forced, 0
	case event.AttemptFailed:
		s.tried(e.Step, st)
		return s.attemptFailed(at, e, st)
	case event.AttemptLost:
		if e.Attempt != st.Attempt {
			return fmt.Sprintf("the step is %s at attempt %d", st.State, st.Attempt)
		}
		s.tried(e.Step, st)
		st.Losses++
		if st.Boot != 0 {
			st.Had = st.Worker
		}
		st.Worker = ""
		s.to(st, StepRetrying, at)
	case event.RetrySet:
		st.Due = e.Due
		s.forgetChild(e.Step)
	case event.ChildStarted:
		return s.childStarted(at, e, st)
	case event.ChildStopped:
		return s.childStopped(at, e, st)
	case event.StepDeferred:
		return s.deferred(at, e, st)
	case event.StepCompleted:
		return s.completed(seq, at, e, st)
	case event.StepFailed:
		if st.Error == nil || st.Error.Code != e.Code || st.Error.Attempt != e.Attempt {
			st.Error = &StepError{Code: e.Code, Message: e.Message, Attempt: e.Attempt}
		}
		st.corrected = false
		s.release(st)
		st.forget()
		s.leave(e.Step, st, StepFailed, at)
		if l := s.itemsOf(e.Step); l != nil {
			s.cancelItems(l, at)
		}
		s.failed(e.Step)
		s.undoOver(e.Step, st.Error)
	case event.FailureCaught:
		if st.Caught {
			return "its failure is caught already"
		}
		s.caught(e.Step, st)
	case event.StepTimedOut:
		s.leave(e.Step, st, StepTimedOut, at)
		s.settle(e.Step)
	case event.StepSkipped:
		why, ok := parseSkipReason(e.Code)
		if !ok {
			return fmt.Sprintf("the reason %q is unknown", e.Code)
		}
		if !s.isItem(e.Step) {
			s.Skipped++
		}
		st.Skip, st.corrected = why, false
		s.leaveChild(e.Step)
		s.to(st, StepSkipped, at)
		s.settle(e.Step)
	case event.ConditionEvaluated:
		s.evaluated(seq, e, st)
	case event.TemplatesEvaluated:
		s.templates(seq, e)
	case event.ItemsSet:
		return s.itemsSet(seq, at, e, st)
	case event.RoundCompleted:
		return s.roundCompleted(seq, at, e, st)
	case event.SignalAwaited:
		st.again = false
		st.Due = e.Due
		s.to(st, StepWaiting, at)
		s.Mail.Await(s.Spec(e.Step).Signal.Name, e.Step)
	case event.SignalReceived:
		if s.Status != Running {
			return "the run is " + s.Status.String()
		}
		if _, known := s.Mail.Find(e.ID); known {
			return fmt.Sprintf("signal %q has been received", e.ID)
		}
		s.Mail.Receive(signals.Arrival{ID: e.ID, Name: e.Name, Seq: seq, Payload: HashBytes(e.Payload), Size: uint32(len(e.Payload)), By: signals.Unconsumed})
		s.keepSignal(seq, e.Payload)
	case event.TimerSet:
		st.Due = e.Due
		s.to(st, StepWaiting, at)
	case event.TimerFired:
		s.fired(at, e)
	case event.RunCompleted:
		if s.open != 0 {
			return fmt.Sprintf("%d steps are not settled", s.open)
		}
		if s.Status == Running {
			s.Output = keepIf(seq, e.Payload)
		} else if s.Fate != Completed || s.finals != 0 {
			return fmt.Sprintf("its fate is %s, and %d steps of finally are not settled", s.Fate, s.finals)
		}
		s.end(Completed, at)
	case event.RunPaused:
		return s.pause(at, e)
	case event.RunResumed:
		return s.resume()
	case event.RunBegan:
		if !s.Held {
			return "its first steps wait for no time"
		}
		s.Held = false
	case event.RunFailed:
		s.FailedBy = e.Step
		s.end(Failed, at)
	default:
		return "it is not an event of a run"
	}
	return ""
}

// ends says whether the event is the end of what an instance had that is not kept any more: an attempt, or a child, of an item that an
// operator completed, or of one of finally that runs anew.
func (s *State) ends(e *event.Event) bool {
	switch e.Kind {
	case event.AttemptEnded:
		_, out := s.Out(e.Step)
		return out
	case event.ChildEnded:
		return s.children[e.Step] != nil
	}
	return false
}

func (s *State) to(st *Step, state StepState, at int64) {
	if st.State.Open() != state.Open() {
		if state.Open() {
			s.live++
		} else {
			s.live--
		}
	}
	st.State, st.Since = state, at
}

// forget says that no attempt of the step is open, and none that was lost may answer.
func (st *Step) forget() { st.Boot, st.Before, st.Had = 0, 0, "" }

// answered remembers the outcome that the event records.
func (st *Step) answered(e *event.Event) {
	st.Answer = Answer{}
	if e.Hash == 0 { // from this process: nobody sends it again
		return
	}
	st.Answer = Answer{Attempt: e.Attempt, Hash: e.Hash, Boot: st.Boot}
	if e.Attempt != st.Attempt { // it was lost, and answered before the next one was given to anybody
		st.Answer.Boot = st.Before
	}
}

func (st *Step) out() bool { return st.State == StepScheduled || st.State == StepRunning }

// ofRun says whether an event with a step is about the run.
func ofRun(k event.Kind) bool { return k == event.RunFailed || k == event.RunFinishing }

func ready(st *Step) bool { return st.State == StepPending || st.State == StepDormant }

func (s *State) start(seq uint64, at int64, e *event.Event) string {
	s.Run, s.ID, s.Workflow, s.Version, s.Trace, s.Boot = seq, e.ID, e.Name, e.Version, e.Trace, e.Boot
	s.Input = keep(seq, e.Payload)
	s.CreatedAt = at
	s.tag(e.Tags)
	s.Parent = e.Parent
	s.StartAt, s.Held = e.Due, e.Due != 0
	s.setDeadline(at)
	for i := range s.Steps {
		s.Steps[i].Since = at
	}
	return ""
}

// scheduled is reached from pending (no keys), blocked (keys granted), retrying (due, or an attempt lost) and deferred.
func (s *State) scheduled(at int64, e *event.Event, st *Step) string {
	if st.State == StepBlocked && st.Fence == 0 {
		return "the step waits for keys"
	}
	if e.Attempt <= st.Attempt {
		return fmt.Sprintf("attempt %d after attempt %d", e.Attempt, st.Attempt)
	}
	if st.State == StepDeferred {
		st.Failures, st.Losses = 0, 0
	}
	if e.Boot != 0 {
		s.Boot = e.Boot
	}
	st.Before, st.Boot = st.Boot, s.Boot
	st.again, st.Due, st.Attempt = false, 0, e.Attempt
	s.to(st, StepScheduled, at)
	return ""
}

func (s *State) blocked(seq uint64, at int64, st *Step) {
	if st.State == StepDeferred {
		st.Failures, st.Losses = 0, 0
	}
	st.again, st.Due, st.Request, st.Fence = false, 0, seq, 0
	s.to(st, StepBlocked, at)
}

func (s *State) attemptFailed(at int64, e *event.Event, st *Step) string {
	if e.Attempt > st.Attempt {
		return fmt.Sprintf("the step is %s at attempt %d", st.State, st.Attempt)
	}
	st.Failures++
	st.Losses = 0
	st.Worker, st.Due = "", 0
	st.answered(e)
	st.forget()
	st.Error = &StepError{Code: e.Code, Message: e.Message, Type: e.Type, Stack: e.Stack, Attempt: e.Attempt}
	s.closeChild(e.Step)
	s.to(st, StepRetrying, at)
	return ""
}

func (s *State) deferred(at int64, e *event.Event, st *Step) string {
	timer := s.At(e.Timer)
	if timer == nil {
		return fmt.Sprintf("the timer is step %d of %d", e.Timer, s.next())
	}
	st.Timer, st.Due = e.Timer, e.Due
	timer.Failures++
	s.release(st)
	s.to(st, StepDeferred, at)
	return ""
}

func (s *State) completed(seq uint64, at int64, e *event.Event, st *Step) string {
	if st.corrected {
		st.Output, st.corrected = keep(seq, e.Payload), false
	} else if why := st.Kind().complete(s, seq, e, st); why != "" {
		return why
	}
	st.again = false
	s.leave(e.Step, st, StepCompleted, at)
	if s.sink(e.Step) {
		s.outBytes += uint64(st.Output.Len)
	}
	s.settle(e.Step)
	if s.compensable(e.Step) {
		s.done = append(s.done, e.Step)
	}
	s.tried(e.Step, st)
	s.undoOver(e.Step, nil)
	return ""
}

// leave ends whatever the instance waits for.
func (s *State) leave(i Instance, st *Step, to StepState, at int64) {
	if st.Kind().mail {
		s.Mail.Leave(s.Spec(i).Signal.Name, i)
	}
	st.Due = 0
	s.leaveChild(i)
	s.to(st, to, at)
}

func (s *State) release(st *Step) {
	if st.Request != 0 {
		s.released = append(s.released, st.Request)
		st.Request, st.Fence = 0, 0
	}
}

func (s *State) end(status RunState, at int64) {
	finishing := s.Status == Finishing
	s.Status, s.EndedAt, s.Pause = status, at, nil
	if status == Completed {
		s.agenda = s.agenda[:0]
		s.Mail.LeaveAll()
		return
	}
	s.stop(at)
	for i := s.Graph.Main; finishing && int(i) < len(s.Steps); i++ { // nothing of it comes any more
		if st := &s.Steps[i]; ready(st) {
			s.to(st, StepCancelled, at)
		}
	}
}

// stop cancels whatever is open.
func (s *State) stop(at int64) {
	s.agenda = s.agenda[:0]
	s.Mail.LeaveAll()
	for i, st := range s.All() {
		if st.State.Open() {
			s.cancel(i, st, at)
		}
	}
	for _, l := range s.lists {
		if l != nil {
			l.open = 0
		}
	}
}

// cancel cancels an instance that is open. An attempt that a worker has is out until it answers.
func (s *State) cancel(i Instance, st *Step, at int64) {
	if st.State == StepRunning {
		s.Outs = append(s.Outs, Out{Step: i, Attempt: st.Attempt, Request: st.Request, Local: st.Local, Worker: st.Worker, Boot: st.Boot})
		st.Request, st.Fence, st.Worker = 0, 0, ""
	}
	s.release(st)
	s.leaveChild(i)
	st.forget()
	st.Was = st.State
	s.to(st, StepCancelled, at)
}

// reopen is the retry of a run: what was settled stays, the failed step and each cancelled one become ready anew.
func (s *State) reopen(at int64) string {
	switch {
	case s.Status != Failed && s.Status != Cancelled:
		return "the run is " + s.Status.String()
	case s.Touched:
		return "steps of it were compensated"
	}
	s.takeBackEnding(at)
	s.Status, s.EndedAt, s.FailedBy, s.Reason = Running, 0, -1, ""
	s.Fault = nil
	s.setDeadline(at)
	s.unfail()
	for i, st := range s.All() {
		if s.isItem(i) || i >= s.Graph.Main && s.comesLast(i) { // its step says what becomes of it
			continue
		}
		k := st.Kind()
		switch {
		case st.State == StepCancelled && k.stays != nil && k.stays(st):
			s.to(st, st.Was, at)
		case st.State == StepCancelled && st.Was == StepDeferred:
			s.to(st, StepDeferred, at)
		case st.Caught, st.Kept && st.State == StepFailed: // it has been dealt with
		case s.neverStarted(i):
			st.Error = nil
			s.to(st, s.asleep(i), at)
		case st.State == StepCancelled, st.State == StepFailed:
			s.becomeReadyAgain(st, at)
			st.Floor = st.Attempt
			s.stay(s.children[i])
		}
		st.Was = 0
		if k.absorbs {
			st.Failures = 0
		}
	}
	for _, l := range s.lists {
		if l != nil && s.Steps[l.of].again {
			s.reopenItems(l, at)
		}
	}
	return ""
}

func (s *State) attemptEnded(e *event.Event) string {
	for i, o := range s.Outs {
		if o.Step == e.Step && o.Attempt == e.Attempt {
			if o.Request != 0 {
				s.released = append(s.released, o.Request)
			}
			s.Outs = append(s.Outs[:i:i], s.Outs[i+1:]...)
			if s.isItem(e.Step) && s.At(e.Step) == nil && !s.compensable(e.Step) || s.takenBack(e.Step) { // what was completed meanwhile, or runs anew, needs to know its keys no more
				delete(s.filled, e.Step)
			}
			return ""
		}
	}
	return fmt.Sprintf("attempt %d of step %d is not out", e.Attempt, e.Step)
}

// HashBytes is FNV-1a; it tells a repeated payload from another one.
func HashBytes(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
