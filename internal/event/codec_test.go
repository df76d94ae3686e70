package event

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/pack"
	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
)

// full gives an event of kind k with every field of its layout set, so that a field that the codec forgets shows.
func full(k Kind) Event {
	e := Event{Kind: k}
	for _, f := range layouts[k] {
		switch f {
		case fStep:
			e.Step = 70_000
		case fAttempt:
			e.Attempt = 300
		case fTimer:
			e.Timer = 5
		case fDue:
			e.Due = 1_795_000_000_123
		case fTime:
			e.Time = -5
		case fRef:
			e.Ref = math.MaxUint64
		case fHash:
			e.Hash = 1 << 63
		case fVersion:
			e.Version = math.MaxUint32
		case fForced:
			e.Forced = true
		case fName:
			e.Name = strings.Repeat("n", 40)
		case fID:
			e.ID = "id"
		case fDigest:
			e.Digest = strings.Repeat("d", 300)
		case fCode:
			e.Code = "code"
		case fMessage:
			e.Message = strings.Repeat("m", 70_000)
		case fType:
			e.Type = "type"
		case fStack:
			e.Stack = "stack"
		case fTrace:
			e.Trace = "trace"
		case fBy:
			e.By = "somebody"
		case fPayload:
			e.Payload = []byte(`{"a": 1}`)
		case fBoot:
			e.Boot = 1<<63 + 9
		case fObjects:
			e.Objects = []ObjectWrite{{Key: "user:1", State: []byte("1"), Version: 3, Fence: 9}, {Key: "user:2"}}
		case fParent:
			e.Parent = &Parent{Run: 1 << 44, ID: "order-17", Step: 70_000, Name: "ship[3]", Attempt: 2, Depth: 19, Abandon: true, Rest: true}
		case fTags:
			e.Tags = []Tag{{Name: "env", Gone: true}, {Name: "none"}, {Name: "team", Value: "data"}}
		}
	}
	return e
}

func allKinds() []Kind {
	var all []Kind
	for k := range layouts {
		if layouts[k] != nil {
			all = append(all, Kind(k))
		}
	}
	return all
}

func TestEveryKindComesBackAsItWent(t *testing.T) {
	var events []Event
	for _, k := range allKinds() {
		events = append(events, full(k), Event{Kind: k})
	}
	events = append(events, Event{Kind: StepCompleted, Payload: []byte{}}) // empty is not absent
	got, err := DecodeAll(AppendBody(nil, events))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(events, got); d != "" {
		t.Fatal(d)
	}
}

func TestEveryFieldIsEncodedByAnotherMsgpackToo(t *testing.T) {
	for _, k := range allKinds() {
		body := AppendBody(nil, []Event{full(k)})
		var v []any
		if err := msgpack.Unmarshal(body[1:], &v); err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		if len(v) != len(layouts[k])+1 {
			t.Errorf("%s: %d fields on the wire, want %d", k, len(v), len(layouts[k])+1)
		}
	}
}

func TestEveryKindHasANameAndALayout(t *testing.T) {
	for k := range names {
		if (names[k] == "") != (layouts[k] == nil) {
			t.Errorf("kind %d: name %q, layout %v", k, names[k], layouts[k])
		}
		if names[k] == "" {
			continue
		}
		if got, ok := ParseKind(names[k]); !ok || got != Kind(k) {
			t.Errorf("ParseKind(%q) = %v, %v", names[k], got, ok)
		}
	}
}

func TestNewerIsAnErrorNeverSkipped(t *testing.T) {
	for name, body := range map[string][]byte{
		"format":       {Format + 1},
		"kind":         append([]byte{Format}, pack.AppendUint(pack.AppendArray(nil, 1), 39)...),
		"field":        append([]byte{Format}, pack.AppendUint(pack.AppendUint(pack.AppendArray(nil, 2), uint64(RunBegan)), 1)...),
		"kind too big": append([]byte{Format}, pack.AppendUint(pack.AppendArray(nil, 1), 1<<40)...),
	} {
		if _, err := DecodeAll(body); err == nil || !strings.Contains(err.Error(), "newer release") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCutBodiesAreErrors(t *testing.T) {
	body := AppendBody(nil, []Event{full(RunStarted), full(StepCompleted)})
	whole := len(AppendBody(nil, []Event{full(RunStarted)}))
	for n := range body {
		if _, err := DecodeAll(body[:n]); err == nil && n != 1 && n != whole {
			t.Fatalf("cut to %d of %d bytes: no error", n, len(body))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, k := range allKinds() {
		f.Add(AppendBody(nil, []Event{full(k)}))
	}
	f.Add([]byte{Format, 0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{Format, 0x96, 10, 0xc6, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := DecodeAll(body)
		if err != nil {
			return
		}
		again, err := DecodeAll(AppendBody(nil, events))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(events, again) {
			t.Fatalf("decoded, encoded and decoded again differs:\n%v\n%v", events, again)
		}
	})
}

func BenchmarkEncodeStep(b *testing.B) {
	events := []Event{{Kind: AttemptStarted, Step: 3, Attempt: 1, Name: "local", Time: 5}, {Kind: StepCompleted, Step: 3, Attempt: 1, Payload: []byte("null")}, {Kind: StepScheduled, Step: 4, Attempt: 1}}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendBody(buf[:0], events)
	}
}

func BenchmarkDecodeStep(b *testing.B) {
	body := AppendBody(nil, []Event{{Kind: AttemptStarted, Step: 3, Attempt: 1, Name: "local", Time: 5}, {Kind: StepCompleted, Step: 3, Attempt: 1, Payload: []byte("null")}, {Kind: StepScheduled, Step: 4, Attempt: 1}})
	b.ReportAllocs()
	for b.Loop() {
		_ = Decode(body, func(int, *Event) error { return nil })
	}
}

func TestBinKeepsNilAndEmptyApart(t *testing.T) {
	if b := pack.NewReader(pack.AppendBin(nil, nil)).Bin(); b != nil {
		t.Errorf("nil came back as %v", b)
	}
	if b := pack.NewReader(pack.AppendBin(nil, []byte{})).Bin(); b == nil || !bytes.Equal(b, nil) {
		t.Errorf("empty came back as %v", b)
	}
}
