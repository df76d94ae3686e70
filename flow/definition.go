package flow

import "encoding/json"

// StepType says what a step does.
type StepType string

const (
	TypeTask       StepType = "task"        // a handler of a service does work
	TypeWaitSignal StepType = "wait_signal" // the run waits for a signal from outside
	TypeWaitTimer  StepType = "wait_timer"  // the run waits for a time
)

// Definition is a workflow as it was declared: steps in causal order.
type Definition struct {
	Steps []Step
}

// Step is one step of a Definition. Which fields belong to which type is said at each field; Validate reports a field
// that does not belong.
type Step struct {
	Name         string
	Type         StepType // "" means TypeTask
	Dependencies []string // names of earlier steps

	// TypeTask.
	Service            string
	Handler            string
	ObjectKeys         []string
	InputData          json.RawMessage // JSON; Parse gives its canonical form; nil or null: absent
	TimeoutMS          *int64          // one attempt, milliseconds; nil: none
	Retry              *Retry          // nil: DefaultRetry
	HeartbeatTimeoutMS *int64          // milliseconds; nil: the SDK renews the lease by itself

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

// Retry is a task's retry policy. A zero field stands for its default; in JSON and YAML, where a field can be left out, a 0
// that is given is a 0.
type Retry struct {
	MaxAttempts        int64   // ≥ 1; default 3
	InitialIntervalMS  int64   // default 1000
	BackoffCoefficient float64 // ≥ 1; default 2
	MaxIntervalMS      int64   // default 60000

	text  string    // of BackoffCoefficient, as it was given
	zeros zeroField // fields that were given as 0
}

// zeroField is a set of fields of a Retry.
type zeroField uint8

const (
	zeroAttempts zeroField = 1 << iota
	zeroInitial
	zeroCoefficient
	zeroMax
)
