package replay

import (
	"fmt"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/timers"
)

// Kind is all that is particular to one type of step. A new type is a new row in Kinds, with its events; whatever is not here
// treats all types alike.
type Kind struct {
	Type   flow.StepType
	Reason string // code of the reason for which an instance of it waits

	// Follows says which events may follow, by the states of the instance from which they may. An event that is not named, in this row or
	// in common, belongs to another type.
	Follows map[event.Kind]States

	// Explain says what an instance that waits is waiting for, and which verb of the command line, with which argument, ends that.
	Explain func(spec *Spec, st *Step) (detail, verb, arg string)

	begin    func(t *Turn, i Instance)                                         // its turn has come
	due      func(t *Turn, i Instance)                                         // the time has come until which it waits
	complete func(s *State, seq uint64, e *event.Event, st *Step) (why string) // folds what a StepCompleted gives
	stays    func(st *Step) bool                                               // cancelled with its run: a retry of the run lets it wait on
	timed    bool                                                              // it always waits until some time
	mail     bool                                                              // it waits in the mailbox for the signal of its spec
	children bool                                                              // its attempts are runs: see Child
	absorbs  bool                                                              // failures of the tasks beside it; a retry of the run forgets how many

	follows [event.Kinds]States // Follows and common
}

// States is a set of states of an instance.
type States uint16

// In gives the set of these states.
func In(states ...StepState) (set States) {
	for _, s := range states {
		set |= 1 << s
	}
	return set
}

// Has says whether the state is in the set.
func (set States) Has(s StepState) bool { return set&(1<<s) != 0 }

const allStates States = 1<<(StepCancelled+1) - 1

// Kinds has a row for each type of step.
var Kinds []*Kind

func init() {
	Kinds = []*Kind{&task, &waitSignal, &waitTimer, &child}
	for _, k := range Kinds {
		for _, rows := range [...]map[event.Kind]States{common, k.Follows} {
			for e, from := range rows {
				k.follows[e] = from
			}
		}
	}
}

// kindOf gives the place in Kinds of a type of step; "" is a task.
func kindOf(t flow.StepType) uint8 {
	for i, k := range Kinds {
		if k.Type == t {
			return uint8(i)
		}
	}
	return 0
}

// common is what may follow for every type.
var common = map[event.Kind]States{
	event.ConditionEvaluated: In(StepPending, StepDormant),
	event.StepSkipped:        In(StepPending, StepDormant),
	event.StepCorrected:      In(StepPending, StepDormant, StepBlocked, StepScheduled, StepRunning, StepWaiting, StepRetrying, StepDeferred, StepFailed),
	event.StepKept:           In(StepPending, StepDormant),
	event.StepFailed:         In(StepPending, StepDormant, StepBlocked, StepScheduled, StepRunning, StepWaiting, StepRetrying, StepDeferred),
	event.RunFailed:          In(StepFailed),
	event.RunFinishing:       In(StepFailed),
	event.FailureCaught:      In(StepFailed),
}

// task is work that a handler does, in attempts.
var task = Kind{
	Type:   flow.TypeTask,
	Reason: "repeat",
	Explain: func(spec *Spec, st *Step) (detail, verb, arg string) {
		if st.Due == 0 {
			return "a round has completed, and it is worked out whether that was enough", "", ""
		}
		return "waits for its next round until " + rfc3339.Format(st.Due), "", ""
	},
	Follows: map[event.Kind]States{
		event.StepBlocked:        In(StepPending, StepDormant, StepDeferred),
		event.KeysGranted:        In(StepBlocked),
		event.StepScheduled:      In(StepPending, StepDormant, StepBlocked, StepRetrying, StepDeferred, StepWaiting),
		event.AttemptStarted:     In(StepScheduled),
		event.AttemptFailed:      In(StepScheduled, StepRunning),
		event.AttemptLost:        In(StepScheduled, StepRunning),
		event.RetrySet:           In(StepRetrying),
		event.StepDeferred:       In(StepRetrying),
		event.StepCompleted:      In(StepScheduled, StepRunning, StepWaiting),
		event.RoundCompleted:     In(StepScheduled, StepRunning),
		event.ItemsSet:           In(StepPending, StepDormant),
		event.StepKept:           In(StepPending, StepDormant, StepWaiting),
		event.ConditionEvaluated: In(StepPending, StepDormant, StepWaiting),
		event.TemplatesEvaluated: In(StepPending, StepDormant),
	},
	begin: func(t *Turn, i Instance) {
		if t.resumeItems(i) {
			return
		}
		t.offer(i)
	},
	due: func(t *Turn, i Instance) { t.schedule(i) },
	complete: func(s *State, seq uint64, e *event.Event, st *Step) string {
		if s.itemsOf(e.Step) != nil || st.State == StepWaiting {
			return s.completeParts(seq, e, st)
		}
		if e.Attempt > st.Attempt {
			return fmt.Sprintf("the step is %s at attempt %d", st.State, st.Attempt)
		}
		st.Output = keep(seq, e.Payload)
		st.Worker = ""
		s.release(st)
		st.answered(e)
		st.forget()
		return ""
	},
}

// resumeItems lets a step go on with its list; false: it has none.
func (t *Turn) resumeItems(i Instance) bool {
	if t.S.itemsOf(i) == nil {
		return false
	}
	t.add(event.Event{Kind: event.ItemsSet, Step: i})
	t.goOver(i)
	return true
}

// completeParts folds the end of a step over a list, or of one whose last round was enough.
func (s *State) completeParts(seq uint64, e *event.Event, st *Step) string {
	if l := s.itemsOf(e.Step); l != nil {
		if l.over() < len(l.each) {
			return fmt.Sprintf("%d of its %d items have settled", l.over(), len(l.each))
		}
		st.Output = keep(seq, e.Payload)
		return ""
	}
	if e.Ref != st.Output.Seq {
		return fmt.Sprintf("its last round is event %d, not %d", st.Output.Seq, e.Ref)
	}
	s.release(st)
	return ""
}

// child is work that a run of another workflow does, in attempts: each is a run.
var child = Kind{
	Type:   flow.TypeWorkflow,
	Reason: "child",
	Explain: func(spec *Spec, st *Step) (detail, verb, arg string) {
		if st.Due == 0 {
			return fmt.Sprintf("waits for its child, a run of %q", spec.Workflow), "", ""
		}
		return fmt.Sprintf("waits for its child, a run of %q, until %s", spec.Workflow, rfc3339.Format(st.Due)), "", ""
	},
	Follows: map[event.Kind]States{
		event.StepScheduled:      In(StepPending, StepDormant, StepRetrying, StepDeferred, StepWaiting),
		event.ChildStarted:       In(StepScheduled),
		event.ChildStopped:       In(StepWaiting),
		event.ChildEnded:         allStates, // of before it was reopened, or of one that has ended
		event.AttemptFailed:      In(StepScheduled, StepWaiting),
		event.RetrySet:           In(StepRetrying),
		event.StepCompleted:      In(StepWaiting),
		event.RoundCompleted:     In(StepWaiting),
		event.ItemsSet:           In(StepPending, StepDormant),
		event.StepKept:           In(StepPending, StepDormant, StepWaiting),
		event.ConditionEvaluated: In(StepPending, StepDormant, StepWaiting),
		event.TemplatesEvaluated: In(StepPending, StepDormant),
	},
	begin: func(t *Turn, i Instance) {
		if !t.resumeItems(i) {
			t.schedule(i)
		}
	},
	due: func(t *Turn, i Instance) {
		if t.S.openChild(i) {
			t.add(event.Event{Kind: event.ChildStopped, Step: i, Code: failure.AttemptTimeout})
			return
		}
		t.schedule(i)
	},
	complete: func(s *State, seq uint64, e *event.Event, st *Step) string {
		switch {
		case s.itemsOf(e.Step) != nil || s.Spec(e.Step).Repeat != nil:
			return s.completeParts(seq, e, st)
		case !s.openChild(e.Step):
			return "it has no child that is open"
		}
		st.Output = keep(seq, e.Payload)
		s.closeChild(e.Step)
		st.forget()
		return ""
	},
	children: true,
}

// waitSignal waits for a signal from outside.
var waitSignal = Kind{
	Type:   flow.TypeWaitSignal,
	Reason: "signal",
	Follows: map[event.Kind]States{
		event.SignalAwaited: In(StepPending, StepDormant),
		event.StepCompleted: In(StepPending, StepDormant, StepWaiting),
		event.StepTimedOut:  In(StepPending, StepDormant, StepWaiting),
	},
	Explain: func(spec *Spec, st *Step) (detail, verb, arg string) {
		detail = fmt.Sprintf("waits for signal %q", spec.Signal.Name)
		if st.Due != 0 {
			detail += " until " + rfc3339.Format(st.Due)
		}
		return detail, "signal", spec.Signal.Name
	},
	begin: func(t *Turn, i Instance) { t.await(i, t.S.Spec(i).Signal) },
	due:   func(t *Turn, i Instance) { t.timeOut(i) },
	complete: func(s *State, _ uint64, e *event.Event, st *Step) string {
		name := s.Spec(e.Step).Signal.Name
		a, ok := s.Mail.Take(name, e.Ref, e.Step)
		if !ok {
			return fmt.Sprintf("no signal %q waits in event %d", name, e.Ref)
		}
		st.Output = s.signalPayload(a)
		return ""
	},
	mail: true,
}

// waitTimer waits for a time.
var waitTimer = Kind{
	Type:   flow.TypeWaitTimer,
	Reason: "timer",
	Follows: map[event.Kind]States{
		event.TimerSet:      In(StepPending, StepDormant),
		event.TimerFired:    allStates, // what is deferred to it may be freed at any time
		event.StepCompleted: In(StepWaiting),
	},
	Explain: func(spec *Spec, st *Step) (detail, verb, arg string) {
		return fmt.Sprintf("waits for timer %q until %s", spec.Timer.Key, rfc3339.Format(st.Due)), "fire", spec.Timer.Key
	},
	begin: func(t *Turn, i Instance) {
		due, err := timers.Due(t.S.Spec(i).Timer, time.UnixMilli(t.At))
		if err != nil { // validation refuses what never fires; zone data may have gone since
			t.fail(i, 0, failure.TimerInvalid, err.Error())
			return
		}
		t.add(event.Event{Kind: event.TimerSet, Step: i, Due: due.UnixMilli()})
	},
	due: func(t *Turn, i Instance) { t.fire(i, false) },
	complete: func(_ *State, seq uint64, e *event.Event, st *Step) string {
		st.Output = keep(seq, e.Payload)
		return ""
	},
	stays:   func(st *Step) bool { return st.Was == StepWaiting },
	timed:   true,
	absorbs: true,
}

// Kind gives the row of the instance's type.
func (st *Step) Kind() *Kind { return Kinds[st.kind] }

// Children says that the attempts of an instance of that type are runs.
func (k *Kind) Children() bool { return k.children }

// May says whether an event may follow when an instance is in that state, as far as its state goes.
func (k *Kind) May(e event.Kind, from StepState) bool {
	return int(e) < len(k.follows) && k.follows[e].Has(from)
}

// refuses says why an event cannot follow; "": it can, as far as the state of the instance goes.
func (k *Kind) refuses(e event.Kind, st *Step) string {
	switch from := k.follows[e]; {
	case from.Has(st.State):
		return ""
	case from == 0:
		return fmt.Sprintf("the step is a %s", k.Type)
	}
	return fmt.Sprintf("the step is %s at attempt %d", st.State, st.Attempt)
}
