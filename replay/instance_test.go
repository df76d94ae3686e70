package replay

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
)

// grown is a run of two steps to which two instances were added: an item of its second step, and one that waits for a signal whose
// name nobody knew when the definition was written.
func grown(t *testing.T) (s *State, item, wait Instance, apply func(event.Event) error) {
	t.Helper()
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "h"), flow.Task("b", "svc", "h", flow.After("a"), flow.WithRetry(flow.Retry{MaxAttempts: 2}))}})
	if err != nil {
		t.Fatal(err)
	}
	s = New(g)
	seq := uint64(1)
	apply = func(e event.Event) error {
		err := s.Apply(seq, int64(seq), &e)
		seq++
		return err
	}
	must(t, apply(event.Event{Kind: event.RunStarted, ID: "r", Name: "w", Version: 1, Payload: []byte(`"in"`)}))
	must(t, apply(event.Event{Kind: event.StepScheduled, Step: 0, Attempt: 1}))
	signal := flow.WaitSignal("approve-7", "approved-7")
	if item, err = s.add(1, "b[0]", nil, 3); err != nil {
		t.Fatal(err)
	}
	if wait, err = s.add(0, "a/approve-7", &signal, 3); err != nil {
		t.Fatal(err)
	}
	return s, item, wait, apply
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// copied is the state as a snapshot gives it back. It must be the same one.
func copied(t *testing.T, s *State) *State {
	t.Helper()
	b := s.Append(nil)
	if !Readable(b) || b[0] != encodingOfAdded {
		t.Fatalf("a state that has grown is encoded with %d", b[0])
	}
	out, err := Decode(b, s.Graph)
	must(t, err)
	if !bytes.Equal(out.Append(nil), b) || !bytes.Equal(out.Digest(), s.Digest()) {
		t.Fatal("the state is another one when it has been read back")
	}
	return out
}

func TestAnAddedInstanceIsOneLikeAny(t *testing.T) {
	s, item, wait, apply := grown(t)
	if item != 2 || wait != 3 {
		t.Fatalf("the added instances are %d and %d", item, wait)
	}
	must(t, apply(event.Event{Kind: event.StepScheduled, Step: item, Attempt: 1}))
	must(t, apply(event.Event{Kind: event.AttemptStarted, Step: item, Attempt: 1, Name: "w1"}))
	must(t, apply(event.Event{Kind: event.AttemptFailed, Step: item, Attempt: 1, Code: "no_luck"}))
	must(t, apply(event.Event{Kind: event.RetrySet, Step: item, Due: 900}))
	must(t, apply(event.Event{Kind: event.SignalAwaited, Step: wait, Due: 700}))
	if err := apply(event.Event{Kind: event.TimerSet, Step: wait, Due: 1}); err == nil {
		t.Error("a wait for a signal took an event of a timer")
	}
	for _, s := range []*State{s, copied(t, s)} {
		if st := s.At(item); st.State != StepRetrying || st.Failures != 1 || st.Kind().Type != flow.TypeTask {
			t.Errorf("the item is %+v", st)
		}
		if st := s.At(wait); st.State != StepWaiting || st.Kind().Type != flow.TypeWaitSignal {
			t.Errorf("the wait is %+v", st)
		}
		if s.Name(item) != "b[0]" || s.Spec(item) != &s.Graph.Def.Steps[1] || s.Spec(item).Retry.MaxAttempts != 2 {
			t.Errorf("the item is called %q and does %+v", s.Name(item), s.Spec(item))
		}
		if s.Name(wait) != "a/approve-7" || s.Spec(wait).Signal.Name != "approved-7" {
			t.Errorf("the wait is called %q and does %+v", s.Name(wait), s.Spec(wait))
		}
		dues := map[Instance]int64{}
		s.Dues(func(i Instance, due int64) { dues[i] = due })
		if len(dues) != 2 || dues[item] != 900 || dues[wait] != 700 {
			t.Errorf("times are waited for: %v", dues)
		}
		if first, ok := s.Mail.FirstWait("approved-7"); !ok || first != wait {
			t.Errorf("for the signal waits %d, %v", first, ok)
		}
		if deps := s.Deps(item); len(deps) != 1 || deps[0] != 0 {
			t.Errorf("the item is given the outputs of %v", deps)
		}
		must(t, s.Check())
	}

	gone := copied(t, s)
	must(t, gone.Apply(90, 90, &event.Event{Kind: event.StepFailed, Step: wait, Code: "taken_back"}))
	if _, waits := gone.Mail.FirstWait("approved-7"); waits || gone.At(wait).Due != 0 {
		t.Error("a wait that was taken back is waiting still")
	}
	must(t, gone.Check())

	turn := Turn{S: copied(t, s), At: 900, Seq: 100}
	turn.Signal("approved-7", "id", []byte("7"))
	if !turn.Due(item, 900) || turn.Due(99, 900) {
		t.Error("the item's time has come, and it does not go on")
	}
	turn.Cancel("enough")
	must(t, turn.Err)
	if turn.S.At(wait).State != StepCompleted || turn.S.At(item).State != StepCancelled {
		t.Errorf("the wait is %s, the item %s", turn.S.At(wait).State, turn.S.At(item).State)
	}
	turn.Reopen("")
	must(t, turn.Err)
	if turn.S.At(item).State != StepPending {
		t.Errorf("after a retry of the run the item is %s", turn.S.At(item).State)
	}
}

func TestASettledInstanceNeedNotBeKept(t *testing.T) {
	s, item, wait, apply := grown(t)
	must(t, apply(event.Event{Kind: event.StepScheduled, Step: item, Attempt: 1}))
	s.drop(item)
	if s.At(item) == nil {
		t.Fatal("an instance that is open was dropped")
	}
	must(t, apply(event.Event{Kind: event.StepCompleted, Step: item, Attempt: 1, Payload: []byte("1")}))
	s.drop(item)
	for _, s := range []*State{s, copied(t, s)} {
		if s.At(item) != nil || !s.Dropped(item) || s.Dropped(wait) || s.Dropped(0) || s.Dropped(4) || s.Name(item) != "#2" {
			t.Errorf("instance 2: kept %v, dropped %v, called %q", s.At(item) != nil, s.Dropped(item), s.Name(item))
		}
		err := s.Apply(50, 50, &event.Event{Kind: event.StepFailed, Step: item})
		if impossible := (*ImpossibleError)(nil); !errors.As(err, &impossible) {
			t.Errorf("an event of a dropped instance: %v", err)
		}
	}
	s = copied(t, s)
	if next, err := s.add(1, "b[1]", nil, 60); err != nil || next != 4 {
		t.Errorf("the instance after a dropped one is %d: %v", next, err)
	}
	s.drop(4)
	if s.At(4) == nil || s.At(wait) == nil {
		t.Error("an instance that is not settled was dropped")
	}
}

// A run with the steps of its definition and nothing else is encoded as the first release did.
func TestAStateThatHasNotGrownIsEncodedAsEver(t *testing.T) {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "h")}})
	must(t, err)
	s := New(g)
	must(t, s.Apply(1, 1, &event.Event{Kind: event.RunStarted, ID: "r", Name: "w", Version: 1}))
	b := s.Append(nil)
	if b[0] != 1 || !Readable(b) {
		t.Errorf("encoded with %d", b[0])
	}
	b[0] = Encoding + 1
	if _, err := Decode(b, g); !errors.Is(err, event.ErrFormat) || Readable(b) {
		t.Errorf("a state of a newer encoding: %v", err)
	}
}

// What of an added instance cannot be is refused, not believed.
func TestAStateWithImpossibleInstancesIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*State){
		"a step that is not there": func(s *State) { s.added[0].of = 9 },
		"a number twice":           func(s *State) { s.added[1].i = 2 },
		"a number never given":     func(s *State) { s.added[1].i = 7 },
		"a number of a step":       func(s *State) { s.added[0].i = 1 },
		"a spec that is none":      func(s *State) { s.added[1].body = []byte(`{"steps":[]}`) },
	} {
		s, _, _, _ := grown(t)
		spoil(s)
		if _, err := Decode(s.Append(nil), s.Graph); !errors.Is(err, event.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestASnapshotKeepsTheOrderOfWaits: of two steps that wait for the same signal the one that was ready first takes it, also when the
// definition names it later and a snapshot lies between.
func TestASnapshotKeepsTheOrderOfWaits(t *testing.T) {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("slow", "svc", "h"), flow.WaitSignal("named_first", "go", flow.After("slow")), flow.WaitSignal("ready_first", "go")}})
	must(t, err)
	s, seq := New(g), uint64(0)
	for _, e := range []event.Event{
		{Kind: event.RunStarted, ID: "r", Name: "w", Version: 1, Payload: []byte(`1`)},
		{Kind: event.StepScheduled, Step: 0, Attempt: 1},
		{Kind: event.SignalAwaited, Step: 2},
		{Kind: event.StepCompleted, Step: 0, Attempt: 1, Payload: []byte(`1`)},
		{Kind: event.SignalAwaited, Step: 1},
	} {
		seq++
		must(t, s.Apply(seq, int64(seq), &e))
	}
	want := s.Mail.Waits()
	if !slices.Equal(want, []Instance{2, 1}) {
		t.Fatalf("they wait in the order %v", want)
	}
	again, err := Decode(s.Append(nil), g)
	must(t, err)
	if got := again.Mail.Waits(); !slices.Equal(got, want) {
		t.Errorf("after a snapshot they wait in the order %v, and did in the order %v", got, want)
	}
}
