// Package wire is what workers and the daemon say to each other over HTTP: the bodies of the /v1/workers routes, as JSON
// and as msgpack. Payloads travel byte for byte: as they are in JSON, as bin holding their JSON text in msgpack.
package wire

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/agnt5/agnt5d/worker"
)

// Media types of the bodies.
const (
	JSON    = "application/json"
	Msgpack = "application/msgpack"
)

// Register opens a session. In msgpack, what is empty is sent too, as every release did; Publish and what follows are not, which
// older daemons do not know.
type Register struct {
	ServiceName    string                     `json:"service_name"`
	ServiceVersion string                     `json:"service_version,omitempty" msgpack:"service_version"` // informational
	Handlers       []string                   `json:"handlers"`
	Capacity       int                        `json:"capacity"`                                // open leases at once
	Workflows      map[string]json.RawMessage `json:"workflows,omitempty" msgpack:"workflows"` // definitions to publish, by name
	WorkerID       string                     `json:"worker_id,omitempty" msgpack:"worker_id"` // of the session that comes back
	Tokens         []string                   `json:"tokens,omitempty" msgpack:"tokens"`       // what it still works on
	Publish        string                     `json:"publish,omitempty"`                       // PublishCurrent, or empty: only a new definition becomes current
	Host           string                     `json:"host,omitempty"`                          // of the worker's process; informational
	PID            int                        `json:"pid,omitempty"`                           // of the worker's process on its host; informational
	Schedules      []json.RawMessage          `json:"schedules,omitempty"`                     // definitions of schedules to publish
	References     bool                       `json:"references,omitempty"`                    // it reads outputs that a task refers to
}

// PublishCurrent makes each definition of a Register current when the session is opened, also one that the name has had.
const PublishCurrent = "current"

// Registered is the answer: how often to send a heartbeat, how long a lease lives without one, how long a poll may wait, and
// the tokens that are no longer valid.
type Registered struct {
	WorkerID    string   `json:"worker_id"`
	HeartbeatMS int64    `json:"heartbeat_ms"`
	LeaseMS     int64    `json:"lease_ms"`
	MaxWaitMS   int64    `json:"max_wait_ms"`
	Lost        []string `json:"lost"`

	NotCurrent []NotCurrent `json:"not_current,omitempty"` // published now and known, while another version is current
	LogBytes   int          `json:"log_bytes,omitempty"`   // so much of an attempt's log is kept, the last of it; absent: none is taken

	NotScheduled []NotScheduled `json:"not_scheduled,omitempty"` // published now, and left as it was
}

// NotCurrent is a workflow of which a worker publishes another version than the current one, which new runs get.
type NotCurrent struct {
	Workflow string `json:"workflow"`
	Version  uint32 `json:"version"` // the worker's
	Current  uint32 `json:"current"`
}

// String says what that means, and the way out.
func (n *NotCurrent) String() string {
	return fmt.Sprintf("this worker publishes version %d of workflow %s, and new runs get version %d, which is current; \"agnt5d workflows use %s %d\" makes the worker's current",
		n.Version, n.Workflow, n.Current, n.Workflow, n.Version)
}

// NotScheduled is a schedule that stays as it is although a worker publishes another definition of it.
type NotScheduled struct {
	Schedule string `json:"schedule"`
	Why      string `json:"why"` // a clause: it belongs to api
}

// String says what that means, and the way out.
func (n *NotScheduled) String() string {
	return fmt.Sprintf("this worker publishes the schedule %s, which stays as it is: %s; \"agnt5d schedules show %s\" shows it, and \"agnt5d schedules apply FILE\" changes it", n.Schedule, n.Why, n.Schedule)
}

// Poll brings outcomes and asks for tasks.
type Poll struct {
	Seq      uint64           `json:"seq,omitempty"` // grows with each new poll for tasks; the same again gives the same answer
	Max      int              `json:"max"`           // tasks wanted
	WaitMS   int64            `json:"wait_ms"`
	Outcomes []worker.Outcome `json:"outcomes,omitempty"`
}

// Polled is the answer.
type Polled struct {
	Tasks     []*worker.Task  `json:"tasks"`
	Results   []worker.Result `json:"results"` // one for each outcome, in order
	Cancelled []string        `json:"cancelled"`
}

// Heartbeat renews leases.
type Heartbeat struct {
	Tokens []Beat `json:"tokens"`
}

// Beat is one attempt of a Heartbeat. Details, null too, say that the handler itself spoke; without them it was its SDK.
type Beat struct {
	Token   string          `json:"token"`
	Details json.RawMessage `json:"details,omitempty"`
	Log     *worker.LogPart `json:"log,omitempty"` // what the handler wrote to its log since
}

// Beaten is the answer: the tokens whose run was cancelled, or whose lease is lost.
type Beaten struct {
	Gone []string `json:"gone"`
}

// Encode appends a body in the media type.
func Encode(dst []byte, media string, v any) ([]byte, error) {
	if media == Msgpack {
		return appendMsgpack(dst, v)
	}
	switch v := v.(type) {
	case *Polled:
		return appendPolled(dst, v), nil
	case *Poll:
		return appendPoll(dst, v), nil
	}
	b, err := json.Marshal(v) // no payloads in it, or none whose bytes matter
	return append(dst, b...), err
}

// Decode reads a body of the media type. What it gives points into b. A request is read strictly: a field that is not known
// here is an error, for the daemon cannot do what it asks. An answer is read leniently: a newer daemon may say more than a
// worker knows of, and such fields are passed over.
func Decode(b []byte, media string, v any) error {
	if media == Msgpack {
		return readMsgpack(b, v)
	}
	return decodeJSON(b, v, answer(v))
}

// answer says whether a message is one that the daemon sends.
func answer(v any) bool {
	switch v.(type) {
	case *Registered, *Polled, *Beaten:
		return true
	}
	return false
}

// DecodeJSON reads one JSON value strictly: a field that is unknown, spelled in another case or given twice is an error, and
// so are null instead of an object, too many elements, and anything after the value. Errors name the field.
func DecodeJSON(b []byte, v any) error { return decodeJSON(b, v, false) }

func decodeJSON(b []byte, v any, lenient bool) error {
	if !lenient && json.Valid(b) { // what is not valid, Unmarshal says
		if err := checkShape(b, v); err != nil {
			return err
		}
	}
	return explain(json.Unmarshal(b, v))
}

// explain says in our words what encoding/json says in its own.
func explain(err error) error {
	switch err := err.(type) {
	case *json.UnmarshalTypeError:
		return &mismatch{err.Field, kindOf(err.Type), err.Value}
	case nil:
		return nil
	default:
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
}
