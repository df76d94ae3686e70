package model

// What a deed does.
const (
	DeedComplete = "complete"
	DeedSkip     = "skip"
	DeedFail     = "fail"
	DeedRetry    = "retry"
	DeedCancel   = "cancel"
)

// Deed is something that can be done to a run by hand, of which a plan is asked: a step of it is completed, skipped or failed, or it is retried
// or cancelled.
type Deed struct {
	Do     string // DeedComplete, DeedSkip, DeedFail, DeedRetry, DeedCancel
	Step   string // of the first three: which step, or which item, such as fetch[3]
	Output any    // of a step that is completed: any JSON
	Force  bool   // of a cancel: whatever is left to do
	Reason string // at most 1,024 bytes; a plan only checks it
}

// Plan says what a deed would do to a run at once. Nothing of it was done. Each list has at most 1,000 entries.
type Plan struct {
	WorkflowID string `json:"workflow_id"`
	Do         string `json:"do"`             // complete, skip, fail, retry or cancel
	Step       string `json:"step,omitempty"` // that it is about
	Was        string `json:"was"`            // the state of the run now
	State      string `json:"state"`          // its state then
	Fate       string `json:"fate,omitempty"` // of one that is finishing then: how it will end
	Reopened   bool   `json:"reopened"`       // it has ended, and goes on

	Ends        []PlanStep    `json:"ends"`        // steps and items that end by it, or are to run no more
	Starts      []PlanStep    `json:"starts"`      // that begin, or go on, by it
	Evaluates   []string      `json:"evaluates"`   // of which a condition, a list, an input or an output must be worked out before they go on; "" is the output of the run
	Attempts    []PlanAttempt `json:"attempts"`    // that workers have and that are cancelled
	Children    []PlanChild   `json:"children"`    // what becomes of children
	Stay        []string      `json:"stay"`        // steps whose children completed, and stay as they are though the run does not complete
	Compensates []string      `json:"compensates"` // steps and items that will be compensated, in order
	Finally     []string      `json:"finally"`     // finally steps that will run, or run again
	MayRepeat   []string      `json:"may_repeat"`  // steps and items that were attempted before, and run again: what they do outside may happen twice
	LeftOff     int           `json:"left_off"`    // how many entries the lists would have besides
}

// PlanStep is a step or an item in a plan.
type PlanStep struct {
	Step   string `json:"step"`
	Was    string `json:"was"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // why it is skipped, or the code of its failure
	Due    string `json:"due,omitempty"`    // of one that starts: until when it waits at most
}

// PlanAttempt is an attempt that a worker has.
type PlanAttempt struct {
	Step    string `json:"step"`
	Attempt uint32 `json:"attempt"`
	Worker  string `json:"worker,omitempty"` // absent: it runs in process
}

// PlanChild is a child in a plan.
type PlanChild struct {
	Step       string `json:"step"` // of which it is the child
	WorkflowID string `json:"workflow_id"`
	What       string `json:"what"` // cancelled; left_alone; taken_up: it goes on, gives what it gave, or is retried; replaced: it stays as it is, and a new child takes its place

	Reason      string   `json:"reason,omitempty"`      // why it cannot be taken up
	Compensates []string `json:"compensates,omitempty"` // steps and items of it that will be compensated when it is cancelled, in order
}
