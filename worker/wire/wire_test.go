package wire_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/worker"
	"github.com/agnt5/agnt5d/worker/wire"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func ptr[T any](v T) *T { return &v }

// Payloads whose bytes an encoder would change: white space, large numbers, characters that HTML minds, keys that stand twice.
var payload = raw(`{ "n" : 12345678901234567890, "t": "<é&>", "n": 1 }`)

func polled(n int) *wire.Polled {
	p := &wire.Polled{Results: []worker.Result{{Token: "t0", Code: "recorded"}}, Cancelled: []string{"t9"}}
	for i := range n {
		p.Tasks = append(p.Tasks, &worker.Task{Token: fmt.Sprint("token", i), LeaseExpiresAt: "2026-11-23T08:00:00.000Z", WorkflowID: fmt.Sprint("run-", i), WorkflowName: "w",
			Step: "s", ServiceName: "svc", HandlerName: "h", Attempt: 2, IdempotencyKey: fmt.Sprintf("run-%d/s", i), WorkflowInput: payload, InputData: raw("null"),
			Dependencies: map[string]json.RawMessage{"b": raw("1"), "a": payload}, ObjectKeys: []string{"k"},
			Objects: map[string]worker.Object{"k": {State: payload, Version: 1 << 60, Fence: 9}}, TraceParent: "00-x", TimeoutMS: 5, HeartbeatMS: 6})
	}
	return p
}

var messages = []any{
	&wire.Register{ServiceName: "svc", ServiceVersion: "1", Handlers: []string{"a", "b"}, Capacity: 7, Workflows: map[string]json.RawMessage{"w": raw(`{"steps":[]}`)}, WorkerID: "w1", Tokens: []string{"t"}},
	&wire.Registered{WorkerID: "w1", HeartbeatMS: 10_000, LeaseMS: 30_000, MaxWaitMS: 30_000, Lost: []string{"t"}},
	&wire.Poll{Seq: 1 << 40, Max: 100, WaitMS: 30_000, Outcomes: []worker.Outcome{
		{Token: "a", Status: worker.Completed, Output: payload, Objects: map[string]json.RawMessage{"k": payload, "l": raw("null")}},
		{Token: "b", Status: worker.Failed, Error: &worker.Error{Message: "m", Code: "c", Type: "T", Retryable: ptr(false), Stack: "s\n", RetryAfterMS: 12}},
		{Token: "c", Status: worker.Failed, Error: &worker.Error{Message: "m"}},
	}},
	polled(2),
	&wire.Heartbeat{Tokens: []wire.Beat{{Token: "a"}, {Token: "b", Details: raw(`{"done":3}`)}}},
	&wire.Beaten{Gone: []string{"a"}},
}

func fresh(v any) any {
	switch v.(type) {
	case *wire.Register:
		return &wire.Register{}
	case *wire.Registered:
		return &wire.Registered{}
	case *wire.Poll:
		return &wire.Poll{}
	case *wire.Polled:
		return &wire.Polled{}
	case *wire.Heartbeat:
		return &wire.Heartbeat{}
	}
	return &wire.Beaten{}
}

// Every message comes back as it went, in both media types, its payloads byte for byte.
func TestMessagesComeBackAsTheyWent(t *testing.T) {
	same := []cmp.Option{cmpopts.IgnoreUnexported(worker.Task{}), cmpopts.EquateEmpty()}
	for _, media := range []string{wire.JSON, wire.Msgpack} {
		for _, v := range messages {
			body, err := wire.Encode([]byte("kept"), media, v)
			if err != nil {
				t.Fatalf("%T in %s: %v", v, media, err)
			}
			if string(body[:4]) != "kept" {
				t.Errorf("%T in %s: it does not append", v, media)
			}
			if media == wire.JSON && !json.Valid(body[4:]) {
				t.Errorf("%T: not JSON: %s", v, body)
			}
			got := fresh(v)
			if err := wire.Decode(body[4:], media, got); err != nil {
				t.Errorf("%T in %s: %v", v, media, err)
			}
			if diff := cmp.Diff(v, got, same...); diff != "" {
				t.Errorf("%T in %s (-sent +got)\n%s", v, media, diff)
			}
		}
	}
}

// Whatever is sent, decoding ends with a value or an error.
func FuzzDecode(f *testing.F) {
	for _, v := range messages {
		for _, media := range []string{wire.JSON, wire.Msgpack} {
			body, err := wire.Encode(nil, media, v)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(body, media == wire.Msgpack)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, packed bool) {
		media := wire.JSON
		if packed {
			media = wire.Msgpack
		}
		for _, v := range messages {
			got := fresh(v)
			if wire.Decode(body, media, got) != nil || !packed {
				continue
			}
			again, err := wire.Encode(nil, media, got)
			if err != nil {
				t.Fatalf("%T: %v", got, err)
			}
			twice := fresh(v)
			if err := wire.Decode(again, media, twice); err != nil {
				t.Fatalf("%T: what was written is not read: %v", got, err)
			}
		}
	})
}

// A poll's answer with 100 tasks, written and read.
func BenchmarkPoll(b *testing.B) {
	p := polled(100)
	for _, media := range []string{wire.JSON, wire.Msgpack} {
		body, err := wire.Encode(nil, media, p)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode/"+media, func(b *testing.B) {
			b.ReportAllocs()
			room := make([]byte, 0, 2*len(body))
			for b.Loop() {
				if _, err := wire.Encode(room, media, p); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+media, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var got wire.Polled
				if err := wire.Decode(body, media, &got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
