package worker

import (
	"context"
	"encoding/json"

	"github.com/agnt5/agnt5d/internal/failure"
)

// Task is what a handler gets: one attempt of one step.
type Task struct {
	Token          string                     `json:"token"`
	LeaseExpiresAt string                     `json:"lease_expires_at,omitempty"` // RFC 3339, ms, UTC; empty in process
	WorkflowID     string                     `json:"workflow_id"`
	WorkflowName   string                     `json:"workflow_name"`
	Step           string                     `json:"step"`
	ServiceName    string                     `json:"service_name"`
	HandlerName    string                     `json:"handler_name"`
	Attempt        uint32                     `json:"attempt"`         // counts tries from 1, lost ones too; one that began just before a crash may come again with its number
	IdempotencyKey string                     `json:"idempotency_key"` // the same for every attempt of the step
	WorkflowInput  json.RawMessage            `json:"workflow_input"`
	InputData      json.RawMessage            `json:"input_data"`   // null when the definition gives none
	Dependencies   map[string]json.RawMessage `json:"dependencies"` // name -> output of each completed dependency
	ObjectKeys     []string                   `json:"object_keys"`
	Objects        map[string]Object          `json:"objects"`
	TraceParent    string                     `json:"traceparent,omitempty"` // W3C

	// TimeoutMS and HeartbeatMS are the step's own limits; 0: none.
	TimeoutMS   int64 `json:"timeout_ms,omitempty"`
	HeartbeatMS int64 `json:"heartbeat_timeout_ms,omitempty"`

	// Errors is why steps failed whose on_failure names this step, by name; nil: none did.
	Errors map[string]StepError `json:"errors,omitempty"`

	// Item is the item of the list that the step goes over, and Index its place there, from 0; Index nil: the step goes over no list.
	Item  json.RawMessage `json:"item,omitempty"`
	Index *int            `json:"index,omitempty"`

	// Round is which round of a step with repeat it is, from 0, and Previous what the round before gave (null in the first); nil: the
	// step does not repeat.
	Round    *uint32         `json:"round,omitempty"`
	Previous json.RawMessage `json:"previous,omitempty"`

	// Input is what the step's templates came to: an object, in which a handler's parameters are looked for first. nil: the step has none.
	Input json.RawMessage `json:"input,omitempty"`

	// Fate is that of the run, of a step of finally and of a compensation: {"state", "error"}; nil of any other task. Output is what the
	// step gave that a compensation takes back (null when it did not complete); nil: it is no compensation.
	Fate   json.RawMessage `json:"fate,omitempty"`
	Output json.RawMessage `json:"output,omitempty"`

	// References names the dependencies whose outputs do not travel with the task: Dependency reads them. nil: all travel.
	References map[string]Reference `json:"references,omitempty"`

	read    func(ctx context.Context, step string) (json.RawMessage, error)
	changed map[string]json.RawMessage
	beat    Beater
	log     *LogBuffer
}

// StepError is why a step failed for good.
type StepError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Type    string `json:"type"`
	Attempt uint32 `json:"attempt"` // the last one; 0: it had none
}

// Object is a key's durable state as it was when the task was given out.
type Object struct {
	State   json.RawMessage `json:"state"`   // null when there is none
	Version uint64          `json:"version"` // counts writes; 0: never written
	Fence   uint64          `json:"fence"`   // grows with each grant of the key
}

// Outcome is what became of an attempt.
type Outcome struct {
	Token   string                     `json:"token"`
	Status  string                     `json:"status"` // "completed" or "failed"
	Output  json.RawMessage            `json:"output,omitempty"`
	Objects map[string]json.RawMessage `json:"objects,omitempty"` // new state by key; null removes it
	Error   *Error                     `json:"error,omitempty"`
	Log     *LogPart                   `json:"log,omitempty"` // what the handler wrote to its log and was not sent before
}

// Values of Outcome.Status.
const (
	Completed = "completed"
	Failed    = "failed"
)

// Error is why an attempt failed.
type Error struct {
	Message      string `json:"message"`
	Code         string `json:"code,omitempty"`
	Type         string `json:"type,omitempty"`
	Retryable    *bool  `json:"retryable,omitempty"` // nil: yes
	Stack        string `json:"stack,omitempty"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"` // not before, counted from now
}

func (e *Error) Error() string { return e.Message }

// SetObject sets the new state of one of the task's object keys; it is committed together with the step's completion. A
// nil or null state removes it.
func (t *Task) SetObject(key string, state any) error {
	if _, ok := t.Objects[key]; !ok {
		return &Error{Message: "object " + key + " is not one of the step's object_keys", Code: failure.ObjectNotHeld}
	}
	b, ok := state.(json.RawMessage)
	if !ok {
		var err error
		if b, err = json.Marshal(state); err != nil {
			return err
		}
	}
	if t.changed == nil {
		t.changed = map[string]json.RawMessage{}
	}
	t.changed[key] = b
	return nil
}

// Changed gives the object state that the handler set.
func (t *Task) Changed() map[string]json.RawMessage { return t.changed }

// Heartbeat says that the handler is alive and how far it is. Details (any JSON) show in status and are not journaled. It
// returns an error when the attempt is no longer valid: the run was cancelled, or the lease lost.
func (t *Task) Heartbeat(details any) error {
	if t.beat == nil {
		return nil
	}
	b, err := json.Marshal(details)
	if err != nil {
		return err
	}
	return t.beat.Beat(b)
}

// OnHeartbeat sets who hears the task's heartbeats. It is for those who run handlers.
func (t *Task) OnHeartbeat(b Beater) { t.beat = b }

// Beater carries a heartbeat to whoever measures the attempt's time; an error says that the attempt is no longer valid.
type Beater interface {
	Beat(details json.RawMessage) error
}

type taskKey struct{}

// WithTask gives a context that carries the task.
func WithTask(ctx context.Context, t *Task) context.Context {
	return context.WithValue(ctx, taskKey{}, t)
}

// TaskKey is the key under which a handler's context carries its *Task.
var TaskKey any = taskKey{}

// FromContext gives the task that a handler works on; nil outside of a handler.
func FromContext(ctx context.Context) *Task {
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

// Result says what became of one outcome. Code is one of recorded, duplicate, conflict, run_finished, stale_lease, invalid,
// bad_token.
type Result struct {
	Token string `json:"token"`
	Code  string `json:"code"`
}
