package flow

import (
	"encoding/json"
	"slices"
)

// StepType says what a step does.
type StepType string

const (
	TypeTask       StepType = "task"        // a handler of a service does work
	TypeWaitSignal StepType = "wait_signal" // the run waits for a signal from outside
	TypeWaitTimer  StepType = "wait_timer"  // the run waits for a time
	TypeWorkflow   StepType = "workflow"    // a run of another workflow does work: a child of the run
)

// Definition is a workflow as it was declared: steps in causal order.
type Definition struct {
	Description string          // for people
	TimeoutMS   *int64          // of a run, milliseconds from its start or latest retry; nil: none
	Output      json.RawMessage // a template whose value is the run's output; nil: the outputs of the steps that nothing depends on
	Retention   *Retention      // how long runs are kept after their end; nil: as long as the engine keeps runs
	Steps       []Step
	Finally     []Step // run when the fate of a run is decided, whatever it is: a graph of their own
}

// All gives all steps, those of Finally last.
func (d *Definition) All() []Step {
	if len(d.Finally) == 0 {
		return d.Steps
	}
	return slices.Concat(d.Steps, d.Finally)
}

// Retention says how long runs are kept after their end, by how they ended. nil: as long as the engine keeps runs; 0: for ever.
type Retention struct {
	CompletedMS *int64 // milliseconds
	FailedMS    *int64
	CancelledMS *int64
}

// Step is one step of a Definition. Which fields belong to which type is said at each field; Validate reports a field
// that does not belong.
type Step struct {
	Name         string
	Type         StepType // "" means TypeTask
	Description  string   // for people
	Dependencies []string // names of earlier steps
	After        []string // names of earlier steps whose outputs are not wanted: dependencies for order alone
	Join         JoinRule // what must have become of all of these; "" means JoinAll
	When         string   // an expression that says whether the step starts; "": it does

	// TypeTask and TypeWorkflow.
	OnFailure   string          // the step that starts when this one has failed for good; "": the run fails
	ForEach     json.RawMessage // one run of the step for each: a list, or a text that is an expression; nil: the step runs once
	MaxItems    *int64          // nil: DefaultMaxItems
	MaxParallel *int64          // items open at a time; nil: DefaultParallel
	Tolerate    *Tolerance      // items that may fail for good; nil: none
	Repeat      *Repeat         // nil: the step runs once
	Input       json.RawMessage // an object of templates, looked at before all other places of parameters; of a child its input; nil: none
	InputData   json.RawMessage // JSON; Parse gives its canonical form; nil or null: absent
	TimeoutMS   *int64          // one attempt, milliseconds; nil: none
	Retry       *Retry          // nil: DefaultRetry, and of a child one attempt

	// TypeTask.
	Compensate         *Compensation // what takes back what the step did, when its run fails or is cancelled; nil: nothing
	Service            string
	Handler            string
	ObjectKeys         []string
	HeartbeatTimeoutMS *int64 // milliseconds; nil: the SDK renews the lease by itself

	// TypeWorkflow.
	Workflow        string
	WorkflowVersion *int64      // nil: the version that is current when the child starts
	OnParentEnd     OnParentEnd // "" means CancelChild

	// TypeWaitSignal.
	Signal *Signal
	// TypeWaitTimer.
	Timer *Timer

	Err error // what an option could not do (see Input): Validate says it, and nothing else looks at it
}

// Signal is what a wait_signal step waits for.
type Signal struct {
	Name      string
	TimeoutMS *int64 // counted from ready, milliseconds; 0 takes a waiting signal or times out at once; nil: waits for ever
	OnTimeout string // the step that starts when the wait timed out; "": the run fails with signal_timeout
}

// Timer is what a wait_timer step waits for: exactly one of DelayMS and Cron.
type Timer struct {
	Key        string
	DelayMS    *int64
	Cron       string
	TimeZone   string // IANA name; "": UTC
	MaxRetries *int64 // failures of neighbouring tasks that this timer absorbs; nil: 0
}

// Retry is the retry policy of a task or of a child. A zero field stands for its default; in JSON and YAML, where a field can be left out, a 0
// that is given is a 0.
type Retry struct {
	MaxAttempts        int64   // ≥ 1; default 3
	InitialIntervalMS  int64   // default 1000
	BackoffCoefficient float64 // ≥ 1; default 2
	MaxIntervalMS      int64   // default 60000

	text  string    // of BackoffCoefficient, as it was given
	zeros zeroField // fields that were given as 0
}

// JoinRule says what must have become of the dependencies of a step for it to start.
type JoinRule string

const (
	JoinAll     JoinRule = "all"     // each is completed or made good
	JoinAny     JoinRule = "any"     // as JoinAll, but skipped ones are ignored when at least one is completed or made good
	JoinSettled JoinRule = "settled" // whatever they became
)

// OnParentEnd says what becomes of a child that is open when its step ends otherwise.
type OnParentEnd string

const (
	CancelChild  OnParentEnd = "cancel"  // it is cancelled
	AbandonChild OnParentEnd = "abandon" // it is left alone
)

// MaxExpression is how long an expression may be, in bytes.
const MaxExpression = 8 << 10

// DefaultMaxItems is how many items a for_each may have when it does not say.
const DefaultMaxItems = 10_000

// Tolerance is how many items of a for_each may fail for good: a number, or a percentage of all, rounded down.
type Tolerance struct {
	N       int64
	Percent bool
}

// Of is how many of that many items may fail.
func (t *Tolerance) Of(items int) int64 {
	switch {
	case t == nil:
		return 0
	case t.Percent:
		return int64(items) * t.N / 100
	}
	return t.N
}

// Repeat runs a step again and again until an expression is true of what it gave.
type Repeat struct {
	Until              string  // an expression; with output and round
	IntervalMS         *int64  // between two rounds; nil: none
	BackoffCoefficient float64 // how much longer each interval is than the one before; 0 means 1
	MaxIntervalMS      *int64  // nil: no limit
	MaxRounds          *int64  // required

	text string // of BackoffCoefficient, as it was given
}

// Compensation is the handler that takes back what a task did, when its run has failed or was cancelled.
type Compensation struct {
	Service       string // "": that of the task
	Handler       string
	TimeoutMS     *int64 // one attempt, milliseconds; nil: none
	Retry         *Retry // nil: DefaultRetry
	AlsoIfStarted bool   // also when the task was attempted and has not completed
}

// zeroField is a set of fields of a Retry.
type zeroField uint8

const (
	zeroAttempts zeroField = 1 << iota
	zeroInitial
	zeroCoefficient
	zeroMax
)
