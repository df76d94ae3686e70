package flow

import (
	"encoding/json"
	"strings"
	"time"
)

// StepOption sets a field of a step while it is built. One that does not fit the step's type is found by Validate.
type StepOption func(*Step)

func build(s Step, opts []StepOption) Step {
	for _, o := range opts {
		o(&s)
	}
	return s
}

// Task is a step that a handler of a service does.
func Task(name, service, handler string, opts ...StepOption) Step {
	return build(Step{Name: name, Type: TypeTask, Service: service, Handler: handler}, opts)
}

// WaitSignal is a step that waits for a signal from outside.
func WaitSignal(name, signal string, opts ...StepOption) Step {
	return build(Step{Name: name, Type: TypeWaitSignal, Signal: &Signal{Name: signal}}, opts)
}

// WaitTimer is a step that waits for a time: give it a Delay or a Cron.
func WaitTimer(name, key string, opts ...StepOption) Step {
	return build(Step{Name: name, Type: TypeWaitTimer, Timer: &Timer{Key: key}}, opts)
}

// Child is a step that starts a run of another workflow, its child, and ends as that run does. The version is the one that is current
// when the child starts, unless Version says otherwise. Its retry policy is one attempt, unless WithRetry says otherwise.
func Child(name, workflow string, opts ...StepOption) Step {
	return build(Step{Name: name, Type: TypeWorkflow, Workflow: workflow}, opts)
}

// Version is the version of a child's workflow.
func Version(n int64) StepOption { return func(s *Step) { s.WorkflowVersion = &n } }

// Abandon leaves an open child alone when its step ends otherwise; without it the child is cancelled.
func Abandon() StepOption { return func(s *Step) { s.OnParentEnd = AbandonChild } }

// After makes the step depend on earlier steps.
func After(steps ...string) StepOption {
	return func(s *Step) { s.Dependencies = append(s.Dependencies, steps...) }
}

// Keys names the objects that a task touches: it runs when it holds them all.
func Keys(keys ...string) StepOption {
	return func(s *Step) { s.ObjectKeys = append(s.ObjectKeys, keys...) }
}

// Input gives a task its own input data, or a child its input: JSON when v is a json.RawMessage, else what encoding/json makes of v. What is not
// JSON, or cannot be made so, is found by Validate.
func Input(v any) StepOption {
	return func(s *Step) { s.InputData = raw(s, "input_data", v) }
}

// keyError says which key could not be written.
type keyError struct {
	key string
	error
}

func (e *keyError) Unwrap() error { return e.error }

// raw gives a json.RawMessage itself, else what encoding/json makes of v.
func raw(s *Step, key string, v any) json.RawMessage {
	if b, ok := v.(json.RawMessage); ok {
		return b
	}
	b, err := json.Marshal(v)
	if err != nil {
		s.Err = &keyError{key, err}
	}
	return b
}

// Templates gives a task parameters, or a child an input, that are worked out when it starts: v is an object, and in its texts ${ EXPRESSION } is
// replaced. Its keys are looked at before all other places.
func Templates(v any) StepOption {
	return func(s *Step) { s.Input = raw(s, "input", v) }
}

// RunAfter makes the step wait for earlier steps whose outputs it does not want.
func RunAfter(steps ...string) StepOption {
	return func(s *Step) { s.After = append(s.After, steps...) }
}

// Joined says what must have become of the dependencies: JoinAll, JoinAny or JoinSettled.
func Joined(rule JoinRule) StepOption { return func(s *Step) { s.Join = rule } }

// When starts the step only if an expression is true; otherwise it is skipped.
func When(expression string) StepOption { return func(s *Step) { s.When = expression } }

// OnFailure names the step that starts when this one has failed for good; the run goes on.
func OnFailure(step string) StepOption { return func(s *Step) { s.OnFailure = step } }

// ForEach runs the step once for each item of the list that an expression gives.
func ForEach(expression string) StepOption {
	return func(s *Step) {
		if s.ForEach = nil; expression != "" {
			s.ForEach = raw(s, "for_each", expression)
		}
	}
}

// ForEachOf runs the step once for each item of a list.
func ForEachOf(list any) StepOption {
	return func(s *Step) { s.ForEach = raw(s, "for_each", list) }
}

// MaxItems is how many items a list may have; without it, DefaultMaxItems.
func MaxItems(n int64) StepOption { return func(s *Step) { s.MaxItems = &n } }

// MaxParallel is how many items are open at a time; without it, all.
func MaxParallel(n int64) StepOption { return func(s *Step) { s.MaxParallel = &n } }

// Tolerate is how many items may fail for good.
func Tolerate(n int64) StepOption { return func(s *Step) { s.Tolerate = &Tolerance{N: n} } }

// ToleratePercent is what part of the items may fail for good, rounded down.
func ToleratePercent(n int64) StepOption {
	return func(s *Step) { s.Tolerate = &Tolerance{N: n, Percent: true} }
}

// RepeatUntil runs the step again until an expression is true of its output, at most maxRounds times, with an interval between
// two rounds. More is said by WithRepeat.
func RepeatUntil(expression string, interval time.Duration, maxRounds int64) StepOption {
	return WithRepeat(Repeat{Until: expression, IntervalMS: millis(interval), MaxRounds: &maxRounds})
}

// WithRepeat runs the step again and again.
func WithRepeat(r Repeat) StepOption { return func(s *Step) { s.Repeat = &r } }

// Compensate names the handler, of the task's own service, that takes back what the task did when its run fails or is cancelled.
// More is said by WithCompensation.
func Compensate(handler string) StepOption { return WithCompensation(Compensation{Handler: handler}) }

// WithCompensation says what takes back what the task did when its run fails or is cancelled.
func WithCompensation(c Compensation) StepOption {
	return func(s *Step) { s.Compensate = &c }
}

// Describe says what a step is for.
func Describe(text string) StepOption { return func(s *Step) { s.Description = text } }

// Timeout bounds the wait for a signal, counted from when the step is ready. When it is over the step onTimeout starts; without
// one the run fails with signal_timeout. 0 takes a signal that is there already, or times out at once.
func Timeout(d time.Duration, onTimeout ...string) StepOption {
	return func(s *Step) {
		if s.Signal == nil {
			s.Signal = &Signal{}
		}
		s.Signal.TimeoutMS = millis(d)
		s.Signal.OnTimeout = strings.Join(onTimeout, ",") // of two, none: no name has a comma
	}
}

// AttemptTimeout bounds one attempt of a task, or one child: longer, and it is a failed attempt.
func AttemptTimeout(d time.Duration) StepOption {
	return func(s *Step) { s.TimeoutMS = millis(d) }
}

// HeartbeatTimeout makes a task live by its handler's own heartbeats: silence for that long is a failed attempt.
func HeartbeatTimeout(d time.Duration) StepOption {
	return func(s *Step) { s.HeartbeatTimeoutMS = millis(d) }
}

// millis rounds up: nothing times out or fires before it was asked to.
func millis(d time.Duration) *int64 {
	ms := d.Milliseconds()
	if d > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return &ms
}

// WithRetry sets the retry policy of a task or of a child. Zero fields stand for their defaults.
func WithRetry(r Retry) StepOption { return func(s *Step) { s.Retry = &r } }

func timer(fn func(*Timer)) StepOption {
	return func(s *Step) {
		if s.Timer == nil {
			s.Timer = &Timer{}
		}
		fn(s.Timer)
	}
}

// Delay makes a timer fire that long after it became ready.
func Delay(d time.Duration) StepOption {
	return timer(func(t *Timer) { t.DelayMS = millis(d) })
}

// Cron makes a timer fire at the next match of a five-field cron text, in UTC unless TimeZone says otherwise.
func Cron(text string) StepOption { return timer(func(t *Timer) { t.Cron = text }) }

// TimeZone is the IANA name of the zone in which a cron text is meant.
func TimeZone(name string) StepOption { return timer(func(t *Timer) { t.TimeZone = name }) }

// MaxRetries is how many failures of the tasks directly beside it a timer absorbs.
func MaxRetries(n int64) StepOption { return timer(func(t *Timer) { t.MaxRetries = &n }) }
