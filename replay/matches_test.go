package replay_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/replay"
)

// fold gives the state of a run of these steps after events, each a record of its own.
func fold(t *testing.T, steps []flow.Step, events ...event.Event) *replay.State {
	t.Helper()
	def := flow.Definition{Steps: steps}
	g, err := flow.NewGraph(&def)
	if err != nil {
		t.Fatal(err)
	}
	s := replay.New(g)
	for i := range events {
		if err := s.Apply(uint64(i+1), int64(1000+i), &events[i]); err != nil {
			t.Fatal(err)
		}
		s.EndRecord(uint64(i + 1))
	}
	return s
}

func TestAStateKnowsTheOutcomeThatItRecordedLast(t *testing.T) {
	s := fold(t, []flow.Step{flow.Task("a", "s", "h"), flow.Task("b", "s", "h")},
		event.Event{Kind: event.RunStarted, ID: "r", Name: "w", Payload: []byte("1"), Boot: 7},
		event.Event{Kind: event.StepScheduled, Step: 0, Attempt: 1},
		event.Event{Kind: event.AttemptStarted, Step: 0, Attempt: 1, Name: "far"},
		event.Event{Kind: event.AttemptFailed, Step: 0, Attempt: 1, Code: "c", Hash: 11},
		event.Event{Kind: event.StepScheduled, Step: 0, Attempt: 2, Boot: 8},
		event.Event{Kind: event.StepScheduled, Step: 1, Attempt: 1},
		event.Event{Kind: event.AttemptLost, Step: 1, Attempt: 1, Code: "lease_expired"},
		event.Event{Kind: event.StepScheduled, Step: 1, Attempt: 2, Boot: 9},
		event.Event{Kind: event.StepCompleted, Step: 1, Attempt: 1, Payload: []byte("2"), Hash: 12}, // the lost one, under boot 8
	)
	check := func(s *replay.State) {
		t.Helper()
		for _, c := range []struct {
			step       replay.Instance
			attempt    uint32
			boot, hash uint64
			want       replay.Repeat
		}{
			{0, 1, 7, 11, replay.Same}, {0, 1, 7, 12, replay.Other}, {0, 1, 8, 11, replay.Alien}, {0, 2, 8, 11, replay.Unknown},
			{1, 1, 8, 12, replay.Same}, {1, 1, 8, 11, replay.Other}, {1, 1, 9, 12, replay.Alien}, {1, 2, 9, 12, replay.Unknown},
		} {
			if got := s.At(c.step).MatchOutcome(c.attempt, c.boot, c.hash); got != c.want {
				t.Errorf("step %d attempt %d boot %d hash %d: %d, want %d", c.step, c.attempt, c.boot, c.hash, got, c.want)
			}
		}
	}
	check(s)
	b := s.Append(nil)
	again, err := replay.Decode(b, s.Graph)
	if err != nil {
		t.Fatal(err)
	}
	check(again)
	const answers = "17929400010b079401010c08" // field 23: two of [instance, attempt, hash, boot]; 9 is the run's newest boot
	if got := hex.EncodeToString(b); b[0] != 2 || len(got) < len(answers) || got[len(got)-len(answers):] != answers {
		t.Errorf("the answers are encoded as %s, want %s at the end, in encoding 2", got, answers)
	}
	sum := hex.EncodeToString(s.Digest())
	for _, st := range s.All() {
		st.Answer = replay.Answer{}
	}
	if hex.EncodeToString(s.Digest()) != sum || s.Append(nil)[0] != 1 {
		t.Error("the digest, or the encoding without answers, is another than before there were answers")
	}
	s.At(0).Answer = replay.Answer{Attempt: 1, Hash: 11, Boot: 9}
	if got := hex.EncodeToString(s.Append(nil)); got[len(got)-len("17919300010b"):] != "17919300010b" {
		t.Errorf("the boot of the run's newest events is written again: %s", got)
	}
}

func TestWhetherARepeatIsTheOriginal(t *testing.T) {
	s := fold(t, []flow.Step{flow.WaitSignal("go", "go"), flow.WaitSignal("on", "on"), flow.WaitTimer("nap", "nap", flow.Delay(time.Hour))},
		event.Event{Kind: event.RunStarted, ID: "r", Name: "w", Payload: []byte(`{"a":1}`)},
		event.Event{Kind: event.SignalAwaited, Step: 0},
		event.Event{Kind: event.SignalReceived, Name: "go", ID: "s1", Payload: []byte("5")},
		event.Event{Kind: event.StepCompleted, Step: 0, Ref: 3},
		event.Event{Kind: event.SignalReceived, Name: "later", ID: "s2", Payload: []byte("6")},
	)
	if known, err := s.MatchStart(replay.Origin{"w", 0, []byte(`{ "a": 1 }`)}); !known || err != nil {
		t.Errorf("the same input, written in another way: %v, %v", known, err)
	}
	for _, c := range []struct {
		start replay.Origin
		want  string
	}{
		{replay.Origin{"v", 0, []byte(`{"a":1}`)}, `its workflow is "w", not "v"`},
		{replay.Origin{"w", 0, []byte(`{"a":2}`)}, "its input is another"},
		{replay.Origin{"w", 3, []byte(`{"a":1}`)}, "its version is 0, not 3"},
		{replay.Origin{"v", 3, []byte(`{"a":2}`)}, `its workflow is "w", not "v", its input is another`},
	} {
		if known, err := s.MatchStart(c.start); !known || !errors.Is(err, refusal.ErrRunConflict) || !strings.HasSuffix(err.Error(), ": "+c.want) {
			t.Errorf("start of %+v: %v, %v; want %s", c.start, known, err, c.want)
		}
	}
	for _, c := range []struct {
		name, id, payload, by string
		received              bool
		err                   error
	}{
		{"go", "s1", "5", "go", true, nil}, {"later", "s2", "6", "", true, nil}, {"go", "s3", "5", "", false, nil},
		{"go", "s1", "6", "", false, refusal.ErrSignalConflict}, {"later", "s1", "5", "", false, refusal.ErrSignalConflict},
	} {
		if by, received, err := s.MatchSignal(c.name, c.id, []byte(c.payload)); by != c.by || received != c.received || !errors.Is(err, c.err) {
			t.Errorf("signal %s %s %s: %q, %v, %v", c.name, c.id, c.payload, by, received, err)
		}
	}
	if err := s.Apply(6, 2000, &event.Event{Kind: event.RunCancelled}); err != nil {
		t.Fatal(err)
	}
	if _, received, err := s.MatchSignal("go", "s1", []byte("5")); !received || err != nil {
		t.Errorf("a signal from before the end, again: %v, %v", received, err)
	}
	if _, _, err := s.MatchSignal("go", "s9", nil); !errors.Is(err, refusal.ErrRunFinished) {
		t.Errorf("a new signal after the end: %v", err)
	}
	if done, err := s.Status.MatchCancel(); !done || err != nil {
		t.Errorf("cancelled again: %v, %v", done, err)
	}
	if done, err := replay.Completed.MatchCancel(); done || !errors.Is(err, refusal.ErrRunFinished) {
		t.Errorf("a completed run is cancelled: %v, %v", done, err)
	}
	if _, _, err := s.MatchFire("nop"); !errors.Is(err, refusal.ErrTimerNotFound) {
		t.Errorf("a timer that is not there: %v", err)
	}
	if _, _, err := s.MatchFire("nap"); !errors.Is(err, refusal.ErrRunFinished) {
		t.Errorf("a timer of a run that has ended: %v", err)
	}
	if err := s.MatchRetry(); err != nil {
		t.Errorf("retry of a cancelled run: %v", err)
	}
}
