package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/internal/pack"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/worker"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"
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

// grown gives a body with one more field in each of its objects, as a later release may send it. The field holds a value of each
// kind that msgpack and JSON know.
func grown(t *testing.T, body []byte, media string) []byte {
	t.Helper()
	var v any
	var err error
	if media == wire.JSON {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		err = dec.Decode(&v)
	} else {
		err = msgpack.Unmarshal(body, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	more := []any{nil, true, false, 1, -1, -200, -70_000, 300, 70_000, 1 << 40, -1 << 40, 1.5, "text", strings.Repeat("long", 20_000), map[string]any{"a": []any{1}, "b": map[string]any{}}}
	if media == wire.Msgpack {
		more = append(more, float32(2.5), []byte("bytes"), make([]byte, 300), make([]byte, 70_000), time.Unix(1, 2), make([]int, 20), make([]int, 70_000))
	}
	free := map[string]bool{"workflows": true, "dependencies": true, "objects": true} // keys of the caller's own
	var grow func(v any, own bool)
	grow = func(v any, own bool) {
		switch v := v.(type) {
		case map[string]any:
			for k, in := range v {
				switch k {
				case "workflow_input", "input_data", "output", "state", "details":
				default:
					grow(in, free[k])
				}
			}
			if !own {
				v["newer"] = more
			}
		case []any:
			for _, in := range v {
				grow(in, false)
			}
		}
	}
	grow(v, false)
	if media == wire.JSON {
		body, err = json.Marshal(v)
	} else {
		var buf bytes.Buffer
		enc := msgpack.NewEncoder(&buf)
		enc.UseCompactInts(true)
		err = enc.Encode(v)
		body = buf.Bytes()
	}
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// What a newer daemon adds to its answers is passed over, at every depth. What a newer worker adds to a request is refused by
// name: the daemon cannot do what it asks.
func TestAnswersMayGrowAndRequestsMayNot(t *testing.T) {
	same := []cmp.Option{cmpopts.IgnoreUnexported(worker.Task{}), cmpopts.EquateEmpty(),
		cmp.FilterValues(func(a, b json.RawMessage) bool { return len(a) > 0 || len(b) > 0 }, cmp.Comparer(func(a, b json.RawMessage) bool { return (a == nil) == (b == nil) }))}
	for _, media := range []string{wire.JSON, wire.Msgpack} {
		for _, v := range messages {
			body, err := wire.Encode(nil, media, v)
			if err != nil {
				t.Fatal(err)
			}
			got := fresh(v)
			err = wire.Decode(grown(t, body, media), media, got)
			switch v.(type) {
			case *wire.Registered, *wire.Polled, *wire.Beaten:
				if diff := cmp.Diff(v, got, same...); err != nil || diff != "" {
					t.Errorf("%T in %s: %v (-sent +got)\n%s", v, media, err, diff)
				}
			default:
				if err == nil || err.Error() != `unknown field "newer"` {
					t.Errorf("%T in %s: %v", v, media, err)
				}
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

// The bound is for all lists and maps of a request together: none of these is long by itself.
func TestElementsOfAllListsAreCounted(t *testing.T) {
	poll := func(outcomes, objects int) *wire.Poll {
		p := &wire.Poll{Seq: 1}
		for range outcomes {
			o := worker.Outcome{Token: "t", Status: worker.Completed, Output: []byte("1"), Objects: map[string]json.RawMessage{}}
			for i := range objects {
				o.Objects[fmt.Sprint(i)] = []byte("1")
			}
			p.Outcomes = append(p.Outcomes, o)
		}
		return p
	}
	for _, c := range []struct {
		outcomes, objects int
		fits              bool
	}{
		{55_000, 1, true},
		{55_001, 1, false},
		{2, 54_999, true},
		{2, 55_000, false},
	} {
		for _, media := range []string{wire.JSON, wire.Msgpack} {
			body, err := wire.Encode(nil, media, poll(c.outcomes, c.objects))
			if err != nil {
				t.Fatal(err)
			}
			if err := wire.Decode(body, media, &wire.Poll{}); (err == nil) != c.fits || !c.fits && !strings.Contains(err.Error(), "110000 elements") {
				t.Errorf("%d outcomes with %d objects each in %s: %v", c.outcomes, c.objects, media, err)
			}
		}
	}
}

// What a request makes the daemon hold is bounded by its bytes, however many elements they spell.
func TestElementsAreBounded(t *testing.T) {
	const n = 4 << 20
	empty := bytes.Repeat([]byte{0x80}, n) // maps without fields
	list := func(key string) []byte {
		b := pack.AppendString(pack.AppendMap(nil, 1), key)
		return append(pack.AppendArray(b, n), empty...)
	}
	texts := append(pack.AppendArray(pack.AppendString(pack.AppendMap(nil, 1), "handlers"), n), bytes.Repeat([]byte{0xa0}, n)...)
	objects := pack.AppendString(pack.AppendMap(pack.AppendArray(pack.AppendString(pack.AppendMap(nil, 1), "outcomes"), 1), 1), "objects")
	objects = pack.AppendMap(objects, n/8)
	for i := range n / 8 {
		objects = pack.AppendBin(pack.AppendString(objects, fmt.Sprint(i)), nil)
	}
	for _, c := range []struct {
		media string
		body  []byte
		v     any
	}{
		{wire.Msgpack, list("outcomes"), &wire.Poll{}},
		{wire.Msgpack, list("tokens"), &wire.Heartbeat{}},
		{wire.Msgpack, texts, &wire.Register{}},
		{wire.Msgpack, objects, &wire.Poll{}},
		{wire.JSON, []byte(`{"outcomes":[` + strings.Repeat("{},", n) + `{}]}`), &wire.Poll{}},
		{wire.JSON, []byte(`{"tokens":[` + strings.Repeat("{},", n) + `{}]}`), &wire.Heartbeat{}},
		{wire.JSON, []byte(`{"handlers":[` + strings.Repeat(`"",`, n) + `""]}`), &wire.Register{}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := wire.Decode(c.body, c.media, c.v)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "110000 elements") {
			t.Errorf("%T in %s: %v", c.v, c.media, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 128<<20 {
			t.Errorf("%T in %s: %d bytes of %d took %d MiB", c.v, c.media, len(c.body), cap(c.body), got>>20)
		}
	}
	// A worker with as many leases as there may be beats for all of them.
	full := &wire.Heartbeat{}
	for range 100_000 {
		full.Tokens = append(full.Tokens, wire.Beat{Token: "t"})
	}
	for _, media := range []string{wire.JSON, wire.Msgpack} {
		body, err := wire.Encode(nil, media, full)
		if err == nil {
			err = wire.Decode(body, media, &wire.Heartbeat{})
		}
		if err != nil {
			t.Errorf("100,000 tokens in %s: %v", media, err)
		}
	}
}

// refusals are bodies that must be refused, and what the error says. The names are those of testdata/wire/refused.json.
func refusals(t *testing.T) (all []struct{ Name, Message, JSON, Msgpack, Says string }) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "wire", "refused.json"))
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What is wrong with a request is said in the same words in both media types, and names the field, at every depth.
func TestWhatIsWrongIsNamed(t *testing.T) {
	for _, c := range refusals(t) {
		bodies := map[string][]byte{}
		if c.JSON != "" {
			bodies[wire.JSON] = []byte(c.JSON)
		}
		if c.Msgpack != "" {
			b, err := hex.DecodeString(strings.ReplaceAll(c.Msgpack, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			bodies[wire.Msgpack] = b
		}
		for media, body := range bodies {
			var v any
			for _, s := range spoken {
				if kind(s.v) == c.Message {
					v = fresh(s.v)
				}
			}
			if err := wire.Decode(body, media, v); err == nil || err.Error() != c.Says {
				t.Errorf("%s in %s: got %v, want %s", c.Name, media, err, c.Says)
			}
		}
	}
}

// A few bytes never make the decoder allocate much, nor use up the stack, whatever message they are taken for.
func TestDeclaredLengthsAndDepthAreNotTrusted(t *testing.T) {
	field := func(key string, rest ...byte) []byte {
		return append(pack.AppendString(pack.AppendMap(nil, 1), key), rest...)
	}
	deep := func(of byte) []byte { return bytes.Repeat([]byte{of}, 4<<20) }
	for name, body := range map[string][]byte{
		"array of 2^32":      field("tokens", 0xdd, 0xff, 0xff, 0xff, 0xff),
		"map of 2^32":        field("workflows", 0xdf, 0xff, 0xff, 0xff, 0xff),
		"bytes of 2^32":      field("output", 0xc6, 0xff, 0xff, 0xff, 0xff),
		"string of 2^32":     field("worker_id", 0xdb, 0xff, 0xff, 0xff, 0xff),
		"extension of 2^32":  field("newer", 0xc9, 0xff, 0xff, 0xff, 0xff, 1),
		"fields of 2^32":     {0xdf, 0xff, 0xff, 0xff, 0xff},
		"nested arrays":      field("newer", deep(0x91)...),
		"nested maps":        field("newer", deep(0x81)...),
		"nested known lists": field("tasks", deep(0x91)...),
		"only arrays":        deep(0x91),
		"nothing":            {},
		"two values":         {0x80, 0x80},
		"never used":         field("newer", 0xc1),
	} {
		for _, m := range messages {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := wire.Decode(body, wire.Msgpack, fresh(m))
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%s as %s: no error", name, kind(m))
			}
			if k := kind(m); strings.HasPrefix(name, "nested") && (k == "registered" || k == "polled" || k == "beaten") && !strings.Contains(fmt.Sprint(err), "values are nested deeper than 64") {
				t.Errorf("%s as %s: %v", name, k, err)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
				t.Errorf("%s as %s: took %d bytes", name, kind(m), got)
			}
		}
	}
}

// null stands for a field that is not there, and for no element of a list: it would become an empty one.
func TestNoElementIsNull(t *testing.T) {
	for _, c := range []struct {
		json string
		into any
		want string
	}{
		{`{"tokens":[{"token":"a"},null]}`, &wire.Heartbeat{}, "tokens: want an object for each element, not null"},
		{`{"outcomes":[null]}`, &wire.Poll{}, "outcomes: want an object for each element, not null"},
		{`{"handlers":["a",null]}`, &wire.Register{}, "handlers: want a string for each element, not null"},
		{`{"tokens":null,"worker_id":null}`, &wire.Register{}, ""},
	} {
		var v any
		if err := json.Unmarshal([]byte(c.json), &v); err != nil {
			t.Fatal(err)
		}
		packed, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for media, body := range map[string][]byte{wire.JSON: []byte(c.json), wire.Msgpack: packed} {
			err := wire.Decode(body, media, c.into)
			if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
				t.Errorf("%s as %s: %v, want %q", c.json, media, err, c.want)
			}
		}
	}
}
