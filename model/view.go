// Package model holds what is shown of the engine: runs, events, objects, workers, workflows. The same shapes are Go values
// in an embedder's program, JSON over HTTP, and -o json at the command line. Payloads are json.RawMessage and hold the bytes
// that came in.
package model

import (
	"bytes"
	"encoding/json"
)

// Status is a run as it is.
type Status struct {
	WorkflowID      string                `json:"workflow_id"`
	WorkflowName    string                `json:"workflow_name"`
	Version         uint32                `json:"version"`
	State           string                `json:"state"`          // running, finishing, completed, failed, cancelled, quarantined
	Fate            string                `json:"fate,omitempty"` // of a run that is, or was, finishing: the state that was decided then
	Compensation    *Compensation         `json:"compensation,omitempty"`
	Paused          bool                  `json:"paused,omitempty"` // no task of it is handed out, and no time of it comes
	Input           json.RawMessage       `json:"input"`
	Output          json.RawMessage       `json:"output"` // null until the run has completed
	Error           *RunError             `json:"error,omitempty"`
	Reason          string                `json:"reason,omitempty"` // of a cancellation or quarantine, or why the run waits for a newer release
	CreatedAt       string                `json:"created_at"`
	CompletedAt     string                `json:"completed_at,omitempty"`
	StartAt         string                `json:"start_at,omitempty"` // until when its first steps waited, or wait
	Deadline        string                `json:"deadline,omitempty"` // of a running one: when its workflow's timeout_ms is over
	Steps           map[string]StepStatus `json:"steps"`
	StepCounts      map[string]int        `json:"step_counts"` // by state
	Tags            map[string]string     `json:"tags,omitempty"`
	ForkedFrom      *ForkedFrom           `json:"forked_from,omitempty"` // of a fork
	Parent          *Parent               `json:"parent,omitempty"`      // of a child: whose it is
	Reasons         []Reason              `json:"reasons,omitempty"`
	HandledFailures uint32                `json:"handled_failures,omitempty"` // steps that failed and whose on_failure took over
	LastSeq         uint64                `json:"last_seq"`
	Events          uint64                `json:"events"`
	TraceParent     string                `json:"traceparent,omitempty"`
	Items           *ItemPage             `json:"items,omitempty"` // when those of a step were asked for
	AsOf            *AsOf                 `json:"as_of,omitempty"` // when the status of a moment was asked for: which one

	// Order names the steps in definition order. It does not travel: over HTTP the definition says it.
	Order []string `json:"-"`
}

// ForkedFrom says of which run a run is a fork.
type ForkedFrom struct {
	WorkflowID string `json:"workflow_id"`
	Step       string `json:"step"` // from which it runs again
}

// Fork is a fork of a run, or the plan of one.
type Fork struct {
	WorkflowID   string     `json:"workflow_id,omitempty"` // of the new run; absent when nothing was started and no id was given
	Created      bool       `json:"created"`               // false: it existed, or only a plan was asked for
	WorkflowName string     `json:"workflow_name"`
	Version      uint32     `json:"version"`
	ForkedFrom   ForkedFrom `json:"forked_from"`
	Plan         *ForkPlan  `json:"plan,omitempty"` // absent when the run existed
}

// ForkPlan says what becomes of each step in a fork, each list in the order of the definition.
type ForkPlan struct {
	Kept      []string           `json:"kept"`       // taken over; they never run there
	Set       []string           `json:"set"`        // they count as completed, with the outputs that were given
	RunsAgain []string           `json:"runs_again"` // the rest: they run again, or for the first time
	MayRepeat []string           `json:"may_repeat"` // of those, finally steps among them, the tasks that were attempted before: what they do outside may happen twice
	Why       map[string]ForkWhy `json:"why"`        // why each step of runs_again does
}

// ForkWhy is why a step runs again in a fork.
type ForkWhy struct {
	Code  string `json:"code"`            // from, after, after_set, not_settled, compensated, new, other_type, other_branch, finally
	After string `json:"after,omitempty"` // of after and after_set: the step before it that runs again, or was set
}

// AsOf is the event of a run after which a status was so.
type AsOf struct {
	Seq uint64 `json:"seq"`
	N   uint64 `json:"n"` // position in the run, from 1
	At  string `json:"at"`
}

// Compensation is what a run takes back, because it failed or was cancelled.
type Compensation struct {
	Total  int                  `json:"total"`         // steps, and items of steps, that are to be compensated
	Done   int                  `json:"done"`          // that were
	Failed []CompensationFailed `json:"failed"`        // whose compensation failed for good, in the order in which they did
	Now    *CompensationNow     `json:"now,omitempty"` // the one that is under way
}

// CompensationFailed is a compensation that has failed for good.
type CompensationFailed struct {
	Step    string `json:"step"` // or an item, such as book[3]
	Code    string `json:"code"`
	Message string `json:"message"`
	Attempt uint32 `json:"attempt"`
}

// CompensationNow is the compensation that is under way.
type CompensationNow struct {
	Step    string     `json:"step"` // or an item
	State   string     `json:"state"`
	Attempt uint32     `json:"attempt"`
	Since   string     `json:"since"`
	Due     string     `json:"due,omitempty"` // of its next attempt
	Worker  string     `json:"worker,omitempty"`
	Error   *StepError `json:"error,omitempty"` // of the last failed attempt
}

// RunError is why a run failed.
type RunError struct {
	Step    string `json:"step"` // ""; no step: its time was over, say
	Code    string `json:"code"`
	Message string `json:"message"`
	Attempt uint32 `json:"attempt"`
}

// StepStatus is a step as it is.
type StepStatus struct {
	State     string          `json:"state"`
	Type      string          `json:"type"`
	Attempt   uint32          `json:"attempt"`
	Failures  uint32          `json:"failures,omitempty"` // of the retry budget
	Since     string          `json:"since"`              // when it came into this state
	Due       string          `json:"due,omitempty"`      // of a wait, timer, retry or deferral
	TimerKey  string          `json:"timer_key,omitempty"`
	Worker    string          `json:"worker,omitempty"`
	Output    json.RawMessage `json:"output,omitempty"`
	Error     *StepError      `json:"error,omitempty"` // of the last failed attempt
	Heartbeat json.RawMessage `json:"heartbeat,omitempty"`

	SkipReason string     `json:"skip_reason,omitempty"` // of a skipped step: when, failure, dependency, not_needed, operator
	Condition  *Condition `json:"condition,omitempty"`   // of a step with when, once it was looked at
	Caught     bool       `json:"caught,omitempty"`      // of a failed step: the step that its on_failure names has started
	Round      *uint32    `json:"round,omitempty"`       // of a step with repeat: the newest one, from 0
	Kept       string     `json:"kept,omitempty"`        // of a step of a fork that never runs there: kept, or set when its output was given

	Compensation string `json:"compensation,omitempty"` // of a step that is compensated: waiting, running, done, failed; of the items of a step the run tells

	Items *ItemCounts `json:"items,omitempty"` // of a step with for_each, once its list is known
	Child string      `json:"child,omitempty"` // of a workflow step: the id of its newest child
}

// Parent is the run that started a run, its child, and the step that did.
type Parent struct {
	WorkflowID string `json:"workflow_id"`
	Step       string `json:"step"`
	Index      *int   `json:"index,omitempty"`   // of a step with for_each: which item's child it is
	Abandon    bool   `json:"abandon,omitempty"` // it goes on when that step ends without it, and is retried by itself
}

// ItemPage is some of the items of a step with for_each, in the order of the list.
type ItemPage struct {
	Step       string       `json:"step"`
	Items      []ItemStatus `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"` // absent: there are no more
}

// ItemStatus is an item as it is. Its state is pending until it begins.
type ItemStatus struct {
	Index int    `json:"index"`
	Name  string `json:"name"` // such as fetch[3]
	StepStatus
}

// ItemCounts is how the items of a step with for_each stand.
type ItemCounts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`            // for good
	Skipped   int `json:"skipped,omitempty"` // by hand
	Open      int `json:"open"`              // they have begun, and have not ended
	Waiting   int `json:"waiting"`           // for their turn
	Cancelled int `json:"cancelled"`         // with their step, or not begun when it ended
}

// Condition is what a step's condition came to.
type Condition struct {
	When   string          `json:"when"`
	Result bool            `json:"result"`
	Saw    json.RawMessage `json:"saw"` // the values that it read, by their paths; long ones are cut
}

// StepError is why a step's last attempt failed.
type StepError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Type    string `json:"type,omitempty"`
	Stack   string `json:"stack,omitempty"`
	Attempt uint32 `json:"attempt"`
}

// RunHead is a run as lists show it.
type RunHead struct {
	WorkflowID   string            `json:"workflow_id"`
	WorkflowName string            `json:"workflow_name"`
	Version      uint32            `json:"version"`
	State        string            `json:"state"`
	Paused       bool              `json:"paused,omitempty"` // by itself
	CreatedAt    string            `json:"created_at"`
	CompletedAt  string            `json:"completed_at,omitempty"`
	Skipped      uint32            `json:"skipped,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Error        string            `json:"error,omitempty"`         // step: code
	ErrorMessage string            `json:"error_message,omitempty"` // its first 300 bytes
	CancelReason string            `json:"cancel_reason,omitempty"` // of a cancelled run: the first 300 bytes of the reason that was given

	// Reason is why it failed or does not move, when a list was asked for it. StepCounts is then how many steps of an open run are
	// in each state.
	Reason     *Reason        `json:"reason,omitempty"`
	StepCounts map[string]int `json:"step_counts,omitempty"`

	// Number is where the run stands in the journal: lists go on after it. It does not travel.
	Number uint64 `json:"-"`
}

// AttemptLog is what is kept of what one attempt wrote to its log: the end of it.
type AttemptLog struct {
	Step    string `json:"step"`
	Attempt uint32 `json:"attempt"`
	From    uint64 `json:"from"` // how many bytes were written before the text and are not kept
	To      uint64 `json:"to"`   // how many bytes were written in all
	Text    string `json:"text"` // lines, each with its time (RFC 3339, UTC), its level and what was said
}

// RunCounts is how many runs there are.
type RunCounts struct {
	States     map[string]int `json:"states"` // by state; running: those in flight
	Total      int            `json:"total"`
	Stuck      int            `json:"stuck"`                // running ones that nothing has moved for stuck_for_ms and nothing will by itself
	StuckForMS int64          `json:"stuck_for_ms"`         // what was asked for
	More       bool           `json:"stuck_more,omitempty"` // there are so many running ones that only some were looked at: more may be stuck
}

// Event is one entry of the journal as people and programs read it.
type Event struct {
	Seq        uint64         `json:"seq"`
	N          uint64         `json:"n,omitempty"` // position in the run, from 1; 0: the engine's own
	At         string         `json:"at"`
	WorkflowID string         `json:"workflow_id,omitempty"`
	Kind       string         `json:"kind"`
	Step       string         `json:"step,omitempty"`
	Attempt    uint32         `json:"attempt,omitempty"`
	Data       map[string]any `json:"data,omitempty"`

	// NewerRelease says that a newer release of agnt5d wrote the event: all that is known of it here is its kind.
	NewerRelease bool `json:"newer_release,omitempty"`
}

// UnmarshalJSON keeps payloads byte for byte: input, output, payload, objects, saw and definition stay json.RawMessage, whatever
// else stands in Data becomes a string, a number or a bool.
func (e *Event) UnmarshalJSON(b []byte) error {
	type plain Event
	shadow := struct {
		*plain
		Data map[string]json.RawMessage `json:"data"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(b, &shadow); err != nil {
		return err
	}
	e.Data = nil
	for key, raw := range shadow.Data {
		if e.Data == nil {
			e.Data = make(map[string]any, len(shadow.Data))
		}
		e.Data[key] = raw
		switch key {
		case "input", "output", "payload", "objects", "saw", "definition":
			continue
		}
		var v any
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			return err
		}
		e.Data[key] = v
	}
	return nil
}

// Span is a piece of a step's time: an attempt, a wait for a signal or a timer, or a wait for object keys. A wait that finds its
// signal there takes no time and has none.
type Span struct {
	Seq         uint64 `json:"seq"` // of the event with which it began
	Step        string `json:"step"`
	Kind        string `json:"kind"`              // attempt, wait, keys
	Attempt     uint32 `json:"attempt,omitempty"` // of an attempt
	ScheduledAt string `json:"scheduled_at"`      // when it began: an attempt waits for a worker from then on
	StartedAt   string `json:"started_at,omitempty"`
	EndedAt     string `json:"ended_at,omitempty"` // absent: it goes on, also of an attempt that was cancelled while a worker had it
	Worker      string `json:"worker,omitempty"`
	Outcome     string `json:"outcome,omitempty"` // completed, failed, lost, timed_out, cancelled, granted (keys), withdrawn (nobody got the attempt); absent: open
	Code        string `json:"code,omitempty"`    // of a failure or loss
	Message     string `json:"message,omitempty"`
	RetryAt     string `json:"retry_at,omitempty"` // when the step is tried again, or its next round begins
}

// Reason says why an open step does not move, and which command would help.
type Reason struct {
	Step    string `json:"step,omitempty"`
	Code    string `json:"code"` // one of ReasonCodes
	Detail  string `json:"detail"`
	Command string `json:"command,omitempty"`
	// When the reason is that of more than one step: how many, and the first few of them. Detail is then about the first.
	Count int      `json:"count,omitempty"`
	Steps []string `json:"steps,omitempty"`
}

// Object is an object key as it is: its durable state, who holds it and who waits for it.
type Object struct {
	Key     string          `json:"key"`
	State   json.RawMessage `json:"state"`   // null when there is none
	Version uint64          `json:"version"` // counts writes; 0: none
	Fence   uint64          `json:"fence"`   // under which it was written last, or is held now
	Holder  *Holder         `json:"holder,omitempty"`
	Queue   []Holder        `json:"queue,omitempty"`   // who waits, in order
	Damaged string          `json:"damaged,omitempty"` // in a list: what is wrong with its row in the journal, of which nothing else can be told
}

// Holder is a step of a run.
type Holder struct {
	WorkflowID string `json:"workflow_id"`
	Step       string `json:"step"`
}

// Version is one version of a workflow, as Register answers it.
type Version struct {
	Name    string `json:"name"`
	Version uint32 `json:"version"`
	Digest  string `json:"digest"`
	// Replaced is the version that was current until now; 0: there was none, or nothing changed.
	Replaced uint32 `json:"replaced,omitempty"`

	Created bool   `json:"-"` // it is new
	Current uint32 `json:"-"` // the version that new runs get
}

// Workflow is a name with its versions, as lists show it; Definition is there when one was asked for.
type Workflow struct {
	Name       string          `json:"name"`
	Version    uint32          `json:"version"` // the one shown: the current one unless another was asked for
	Current    uint32          `json:"current"`
	Digest     string          `json:"digest"`
	CreatedAt  string          `json:"created_at"`
	Versions   int             `json:"versions"`                  // how many there are
	Numbers    []uint32        `json:"version_numbers,omitempty"` // of those there are, the oldest first, when one was asked for: those that were deleted are missing
	Definition json.RawMessage `json:"definition,omitempty"`      // canonical
}

// Graph is a workflow's definition with a place for each step. Lengths are in pixels, places from the drawing's upper left corner.
type Graph struct {
	Name    string       `json:"name"`
	Version uint32       `json:"version"`
	Digest  string       `json:"digest"`
	Width   int          `json:"width"`
	Height  int          `json:"height"`
	Layers  int          `json:"layers"`
	Nodes   []GraphNode  `json:"nodes"` // in definition order
	Edges   []GraphEdge  `json:"edges"`
	Groups  []GraphGroup `json:"groups"` // steps with the same type and the same neighbours, four or more
}

// GraphNode is a step, or a group that was folded to one node.
type GraphNode struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Marks  []string `json:"marks,omitempty"` // if, for each, repeat
	Layer  int      `json:"layer"`           // from 0, left to right
	X      int      `json:"x"`
	Y      int      `json:"y"`
	Width  int      `json:"width"`
	Height int      `json:"height"`
	Group  *int     `json:"group,omitempty"` // index in groups
	Steps  []string `json:"steps,omitempty"` // of a folded group: its members, in definition order
}

// GraphEdge leads from one node to one that follows it.
type GraphEdge struct {
	From   int     `json:"from"` // index in nodes
	To     int     `json:"to"`
	Kind   string  `json:"kind"`   // dependency, on_timeout, on_failure
	Points [][]int `json:"points"` // [x, y] from the right side of one box to the left side of the other
}

// GraphGroup is a group of steps.
type GraphGroup struct {
	Name  string `json:"name"` // "first … last"
	Count int    `json:"count"`
}

// Service is a web service that runs handlers: the daemon POSTs each task to it.
type Service struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind,omitempty"`   // poll: workers ask for its tasks; push: the daemon sends them
	Paused    *Pause   `json:"paused,omitempty"` // nobody gets a task of it until it is resumed; absent: it is not paused
	URL       string   `json:"url"`              // tasks go to URL/{handler}
	Handlers  []string `json:"handlers"`
	Capacity  int      `json:"capacity"`          // requests at once; 0: 10
	TimeoutMS int64    `json:"timeout_ms"`        // of one request; 0: 60,000
	Secret    string   `json:"secret,omitempty"`  // of the signature; given out only when it was made
	Problem   string   `json:"problem,omitempty"` // why it gets no tasks
}

// Kinds of services.
const (
	ServicePolled = "poll"
	ServicePushed = "push"
)

// Pause is why a service is paused.
type Pause struct {
	At     string `json:"at"`
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// Hold is how the hold of a daemon stands that was started with --careful: every run waits, as if it were paused, until all are resumed.
type Hold struct {
	Held      bool   `json:"held"`            // runs are held
	Since     string `json:"since,omitempty"` // when the daemon began; absent: nothing is held
	Runs      int    `json:"runs"`            // that are held now
	Resuming  bool   `json:"resuming"`        // they are being resumed
	Resumed   int    `json:"resumed"`         // runs that are held no more, since that began; those that are paused themselves among them
	PerSecond int    `json:"per_second"`      // so many a second; 0: as fast as it goes
}

// Token is an access token, as lists show it: who has its text may do what its scope says.
type Token struct {
	Name      string `json:"name"`
	Scope     string `json:"scope"` // read, operate, worker, worker:SERVICE, admin
	CreatedAt string `json:"created_at"`
	ExpiresAt string `json:"expires_at,omitempty"`
	RevokedAt string `json:"revoked_at,omitempty"`
	LastUsed  string `json:"last_used,omitempty"` // a day in UTC
	Token     string `json:"token,omitempty"`     // its text; given out only when it was made
	Hint      string `json:"hint,omitempty"`      // of the first one: who worked without one until now
}

// Worker is a session of a worker.
type Worker struct {
	WorkerID       string   `json:"worker_id"`
	ServiceName    string   `json:"service_name"`
	ServiceVersion string   `json:"service_version,omitempty"`
	Host           string   `json:"host,omitempty"` // of its process, as it says
	PID            int      `json:"pid,omitempty"`  // of its process on that host, as it says
	Handlers       []string `json:"handlers"`
	Capacity       int      `json:"capacity"`
	Waiting        bool     `json:"waiting"` // a poll of it waits for tasks
	JoinedAt       string   `json:"joined_at"`
	SilentMS       int64    `json:"silent_ms"`      // since it was last heard of
	Running        []Task   `json:"running"`        // what it works on
	Hung           []Task   `json:"hung,omitempty"` // attempts that are over, and whose handlers have not returned: each takes up a place
	Push           bool     `json:"push,omitempty"`
}

// Signalled is what became of a signal.
type Signalled struct {
	SignalID   string `json:"signal_id"`
	ConsumedBy string `json:"consumed_by,omitempty"` // the step that took it; absent: none has yet
	Hint       string `json:"hint,omitempty"`        // why no step will ever take it
}

// Task is one attempt in a worker's hands.
type Task struct {
	WorkflowID string          `json:"workflow_id"`
	Step       string          `json:"step"`
	Attempt    uint32          `json:"attempt"`
	Since      string          `json:"since"`               // of what hangs: when the worker first named it after its end
	Cancelled  bool            `json:"cancelled,omitempty"` // its run has ended; it is waited for, for its keys
	Heartbeat  json.RawMessage `json:"heartbeat,omitempty"`
}

// BatchStarted is the answer to one start of a batch.
type BatchStarted struct {
	WorkflowID string   `json:"workflow_id,omitempty"`
	Created    bool     `json:"created"`         // false: the run of that id existed, or there is an error
	Error      *Problem `json:"error,omitempty"` // why there is no such run
}
