package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/worker"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var add = flag.Bool("add", false, "record the messages that testdata/wire/messages.json does not have yet; recorded ones stay")

// vectors are messages with the bytes by which releases know them. What is recorded there is for ever: a worker of one release
// speaks with a daemon of another. The Python SDK reads the same file.
type vector struct {
	Name    string `json:"name"`
	Message string `json:"message"` // register, registered, poll, polled, heartbeat, beaten
	JSON    string `json:"json"`    // the text, byte for byte
	Msgpack string `json:"msgpack"` // in hexadecimal digits
}

func kind(v any) string {
	switch v.(type) {
	case *wire.Register:
		return "register"
	case *wire.Registered:
		return "registered"
	case *wire.Poll:
		return "poll"
	case *wire.Polled:
		return "polled"
	case *wire.Heartbeat:
		return "heartbeat"
	}
	return "beaten"
}

var spoken = []struct {
	name string
	v    any
}{
	{"a worker joins", &wire.Register{ServiceName: "svc", ServiceVersion: "1", Handlers: []string{"a", "b"}, Capacity: 7, Workflows: map[string]json.RawMessage{"w": raw(`{"steps":[]}`)}}},
	{"a worker comes back", &wire.Register{ServiceName: "svc", Handlers: []string{"a"}, Capacity: 100_000, WorkerID: "w1", Tokens: []string{"t1", "t2"}}},
	{"a worker with a schedule", &wire.Register{ServiceName: "svc", Handlers: []string{"a"}, Capacity: 1, Schedules: []json.RawMessage{raw(`{"name":"s","workflow":"w","every":"1h"}`)}}},
	{"a schedule that stays as it is", &wire.Registered{WorkerID: "w1", HeartbeatMS: 10_000, LeaseMS: 30_000, MaxWaitMS: 30_000, Lost: []string{},
		NotScheduled: []wire.NotScheduled{{Schedule: "s", Why: "it belongs to api"}}}},
	{"a session", &wire.Registered{WorkerID: "w1", HeartbeatMS: 10_000, LeaseMS: 30_000, MaxWaitMS: 30_000, Lost: []string{}}},
	{"a session that lost a lease", &wire.Registered{WorkerID: "w1", HeartbeatMS: 100, LeaseMS: 300, MaxWaitMS: 60_000, Lost: []string{"t1"}}},
	{"a poll for tasks", &wire.Poll{Seq: 1 << 40, Max: 100, WaitMS: 30_000}},
	{"a poll with outcomes", &wire.Poll{Outcomes: []worker.Outcome{
		{Token: "a", Status: worker.Completed, Output: payload, Objects: map[string]json.RawMessage{"k": payload, "l": raw("null")}},
		{Token: "b", Status: worker.Failed, Error: &worker.Error{Message: "m", Code: "c", Type: "T", Retryable: ptr(false), Stack: "s\n", RetryAfterMS: 12}},
		{Token: "c", Status: worker.Failed, Error: &worker.Error{Message: "m", Retryable: ptr(true)}},
		{Token: "d", Status: worker.Failed, Error: &worker.Error{Message: "m", RetryAfterMS: -5}},
		{Token: "e", Status: worker.Completed, Output: raw("null")},
	}}},
	{"tasks", polled(2)},
	{"the least task", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "s", ServiceName: "svc", HandlerName: "h", Attempt: 1,
		IdempotencyKey: "r/s", WorkflowInput: raw("null"), InputData: raw("null")}}}},
	{"a task after a failure", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "s", ServiceName: "svc", HandlerName: "h", Attempt: 1,
		IdempotencyKey: "r/s", WorkflowInput: raw("null"), InputData: raw("null"), Errors: map[string]worker.StepError{
			"a": {Code: "card_declined", Message: "no \"money\"", Type: "CardError", Attempt: 3}, "b": {Code: "signal_timeout", Message: "m"}}}}}},
	{"a task of the third round", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "s", ServiceName: "svc", HandlerName: "h", Attempt: 4,
		IdempotencyKey: "r/s/r3", WorkflowInput: raw("null"), InputData: raw("null"), Round: ptr(uint32(2)), Previous: raw(`{"done":false}`)}}}},
	{"a task with templates", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "s", ServiceName: "svc", HandlerName: "h", Attempt: 1,
		IdempotencyKey: "r/s", WorkflowInput: raw("null"), InputData: raw("null"), Input: raw(`{"n": 1.50}`)}}}},
	{"a task of an item", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "s[7]", ServiceName: "svc", HandlerName: "h", Attempt: 1,
		IdempotencyKey: "r/s[7]", WorkflowInput: raw("null"), InputData: raw("null"), Item: raw(`{"url":"x"}`), Index: ptr(7)}}}},
	{"a task of finally", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "tell", ServiceName: "svc", HandlerName: "h", Attempt: 2,
		IdempotencyKey: "r/tell/f2", WorkflowInput: raw("null"), InputData: raw("null"), Fate: raw(`{"state":"completed","error":null}`)}}}},
	{"an undo task", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "charge", ServiceName: "svc", HandlerName: "refund", Attempt: 1,
		IdempotencyKey: "r/charge/undo", WorkflowInput: raw(`{"order":17}`), InputData: raw("null"), ObjectKeys: []string{"order:17"}, Objects: map[string]worker.Object{"order:17": {State: raw("1"), Version: 2, Fence: 9}},
		Input: raw(`{"price":12}`), Fate: raw(`{"state":"failed","error":{"step":"ship","code":"no_van","message":"no van","attempt":1}}`), Output: raw(`{"receipt": "r-1"}`)}}}},
	{"an undo task of an item that gave nothing", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "book[3]", ServiceName: "svc", HandlerName: "unbook", Attempt: 1,
		IdempotencyKey: "r/book[3]/undo", WorkflowInput: raw("null"), InputData: raw("null"), Item: raw(`"seat 4"`), Index: ptr(3), Fate: raw(`{"state":"cancelled","error":null}`), Output: raw("null")}}}},
	{"a task with references", &wire.Polled{Tasks: []*worker.Task{{Token: "t", WorkflowID: "r", WorkflowName: "w", Step: "s", ServiceName: "svc", HandlerName: "h", Attempt: 1,
		IdempotencyKey: "r/s", WorkflowInput: raw("null"), InputData: raw("null"), Dependencies: map[string]json.RawMessage{"small": raw("1")},
		References: map[string]worker.Reference{"large": {Step: "large", Bytes: 1 << 20}}}}}},
	{"answers and what was cancelled", &wire.Polled{Results: []worker.Result{{Token: "a", Code: "recorded"}, {Token: "b", Code: "stale_lease"}}, Cancelled: []string{"c", "d"}}},
	{"an empty answer", &wire.Polled{}},
	{"a heartbeat", &wire.Heartbeat{Tokens: []wire.Beat{{Token: "a"}, {Token: "b", Details: raw(`{"done":3}`)}, {Token: "c", Details: raw("null")}}}},
	{"a heartbeat of nothing", &wire.Heartbeat{Tokens: []wire.Beat{}}},
	{"nobody waits for these", &wire.Beaten{Gone: []string{"a", "b"}}},
	{"all are held", &wire.Beaten{Gone: []string{}}},
}

var vectorFile = filepath.Join("..", "..", "testdata", "wire", "messages.json")

func vectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile(vectorFile)
	var all []vector
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func record(t *testing.T) {
	t.Helper()
	var all []vector
	b, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, v := range all {
		known[v.Name] = true
	}
	for _, s := range spoken {
		if known[s.name] {
			continue
		}
		text, err := wire.Encode(nil, wire.JSON, s.v)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := wire.Encode(nil, wire.Msgpack, s.v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, vector{s.name, kind(s.v), string(text), hex.EncodeToString(packed)})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A release writes the very bytes that the one before wrote, and reads them: a worker of one works with a daemon of the other.
func TestReleasesUnderstandEachOther(t *testing.T) {
	if *add {
		record(t)
	}
	recorded := map[string]vector{}
	for _, v := range vectors(t) {
		recorded[v.Name] = v
	}
	same := []cmp.Option{cmpopts.IgnoreUnexported(worker.Task{}), cmpopts.EquateEmpty()}
	for _, s := range spoken {
		r, ok := recorded[s.name]
		if !ok || r.Message != kind(s.v) {
			t.Errorf("%s: not recorded as %s; run the test with -add", s.name, kind(s.v))
			continue
		}
		for media, want := range map[string]string{wire.JSON: r.JSON, wire.Msgpack: r.Msgpack} {
			body, err := wire.Encode(nil, media, s.v)
			got := string(body)
			if media == wire.Msgpack {
				got = fmt.Sprintf("%x", body)
			}
			if err != nil || got != want {
				t.Errorf("%s in %s: %v\ngot  %s\nwant %s", s.name, media, err, got, want)
			}
			old := []byte(want)
			if media == wire.Msgpack {
				if old, err = hex.DecodeString(want); err != nil {
					t.Fatal(err)
				}
			}
			back := fresh(s.v)
			if err := wire.Decode(old, media, back); err != nil {
				t.Errorf("%s in %s is not read: %v", s.name, media, err)
			}
			if diff := cmp.Diff(s.v, back, same...); diff != "" {
				t.Errorf("%s in %s (-sent +got)\n%s", s.name, media, diff)
			}
		}
	}
}

// What the Python SDK sends is a good request: its own test keeps python.jsonl true.
func TestWhatPythonSendsIsRead(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(vectorFile), "python.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]any{}
	for line := range bytes.Lines(b) {
		var v vector
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		for _, s := range spoken {
			if kind(s.v) == v.Message {
				seen[v.Message] = fresh(s.v)
			}
		}
		if err := wire.Decode([]byte(v.JSON), wire.JSON, seen[v.Message]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	want := map[string]any{ // the last of each
		"register": &wire.Register{ServiceName: "svc", ServiceVersion: "1", Handlers: []string{"h", "é"}, Capacity: 100, Host: "machine", PID: 7, References: true, WorkerID: "w1", Tokens: []string{"t1", "t2"},
			Workflows: map[string]json.RawMessage{"w": raw(`{"steps":[{"handler_name":"h","name":"a","service_name":"svc"}]}`)}},
		"poll": &wire.Poll{Outcomes: []worker.Outcome{
			{Token: "a", Status: worker.Completed, Output: raw(`{"t": "<\u00e9&>"}`), Objects: map[string]json.RawMessage{"k": raw(`{"n": 1}`)}},
			{Token: "b", Status: worker.Failed, Error: &worker.Error{Message: "ValueError: m", Code: "handler_error", Type: "ValueError", Stack: "s\n"}},
			{Token: "c", Status: worker.Failed, Error: &worker.Error{Message: "m é", Code: "c", Type: "agnt5.errors.NonRetryableError", Stack: "s\n", Retryable: ptr(false)}},
		}},
		"heartbeat": &wire.Heartbeat{Tokens: []wire.Beat{{Token: "t1"}, {Token: "t2", Details: raw(`{"done":3}`)}}},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
