package replay_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/replay"
)

// A run was ended by force while a step was to be compensated. If nobody had that, a fork keeps the step; else it runs again. What says so
// is what the state of a compensation always had: older snapshots and digests stay good.
func TestAForkKeepsWhatNobodyBeganToCompensate(t *testing.T) {
	for _, begun := range []string{"", "has it", "lost it", "failed"} {
		def, problems := flow.Parse([]byte(`{"steps": [
			{"name": "a", "service_name": "s", "handler_name": "h", "compensate": {"handler_name": "undo"}},
			{"name": "b", "service_name": "s", "handler_name": "h", "compensate": {"handler_name": "undo"}},
			{"name": "c", "service_name": "s", "handler_name": "h", "retry": {"max_attempts": 1}}]}`))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		g, err := flow.NewGraph(def)
		if err != nil {
			t.Fatal(err)
		}
		s := replay.New(g)
		turn := &replay.Turn{S: s, At: 1, Seq: 1}
		does := func(i replay.Instance) {
			turn.Decide()
			turn.Started(i, 1, "w", 1, false)
		}
		turn.Start("r", "w", 1, []byte("1"), "")
		for _, i := range []replay.Instance{0, 1, 2} {
			does(i)
		}
		turn.Complete(0, 1, []byte("1"), nil, 0)
		turn.Complete(1, 1, []byte("1"), nil, 0)
		turn.Fail(2, 1, replay.AttemptError{Code: "failed"})
		turn.Decide()
		now, _ := s.Compensation()
		does(now.Now)
		turn.Complete(now.Now, 1, []byte("1"), nil, 0)
		turn.Decide()
		if now, _ = s.Compensation(); begun != "" {
			does(now.Now)
		}
		switch begun {
		case "lost it":
			turn.Lose(now.Now, 1, "gone")
		case "failed":
			turn.Fail(now.Now, 1, replay.AttemptError{Code: "failed"})
		}
		turn.Decide()
		turn.End("enough")
		if turn.Err != nil {
			t.Fatal(turn.Err)
		}
		if s.At(now.Now).Tried {
			t.Error("the encoding of a compensation has what older ones do not: their runs have other digests")
		}
		for _, s := range []*replay.State{s, decoded(t, s)} {
			plan, err := s.PlanFork(g, "c", nil)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"a"}
			if begun != "" {
				want = []string{}
			}
			if got := plan.Names(replay.ForkKept); !slices.Equal(got, want) {
				t.Errorf("somebody had its compensation: %q; a fork keeps %q, want %q", begun, got, want)
			}
		}
	}
}

// A retry takes the lists of finally back: the run is then as if it never had any.
func TestARunThatForgetsItsListsIsReadBackAsItIs(t *testing.T) {
	def, problems := flow.Parse([]byte(`{"steps": [{"name": "a", "service_name": "s", "handler_name": "h"}],
		"finally": [{"name": "f", "service_name": "s", "handler_name": "h", "for_each": [1, 2]}]}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g, err := flow.NewGraph(def)
	if err != nil {
		t.Fatal(err)
	}
	s := replay.New(g)
	turn := &replay.Turn{S: s, At: 1, Seq: 1}
	turn.Start("r", "w", 1, []byte("1"), "")
	turn.Decide()
	turn.Cancel("")
	turn.Decide()
	turn.Evaluated(1, replay.Evaluated{Yes: true, List: []byte("[1,2]")})
	turn.Decide()
	if _, over := s.ItemCounts(1); !over {
		t.Fatal("the list of finally is not known")
	}
	turn.End("")
	turn.Reopen("")
	turn.Decide()
	if turn.Err != nil {
		t.Fatal(turn.Err)
	}
	if again := decoded(t, s); string(again.Append(nil)) != string(s.Append(nil)) {
		t.Error("the run is another one when it has been read back")
	}
	turn.End("") // before finally: nobody knows its items now
	plan, err := s.PlanOf(&replay.Deed{Retry: true}, 1, nil)
	if err != nil || !slices.Equal(plan.Again, []replay.Instance{0, 1}) {
		t.Errorf("%v may repeat, want both steps (%v)", plan.Again, err)
	}
}

// Somebody has an item of finally, and maybe its keys, when a retry takes that end back: the run has no such item, and knows who has it, until he answers.
func TestSomebodyHasAnItemOfAnEndThatWasTakenBack(t *testing.T) {
	def, problems := flow.Parse([]byte(`{"steps": [{"name": "a", "service_name": "s", "handler_name": "h"}],
		"finally": [{"name": "f", "service_name": "s", "handler_name": "h", "for_each": [1, 2], "object_keys": ["k:${ item }"]}]}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g, err := flow.NewGraph(def)
	if err != nil {
		t.Fatal(err)
	}
	s := replay.New(g)
	turn := &replay.Turn{S: s, At: 1, Seq: 1}
	turn.Start("r", "w", 1, []byte("1"), "")
	turn.Decide()
	turn.Cancel("")
	turn.Decide()
	turn.Evaluated(1, replay.Evaluated{Yes: true, List: []byte("[1,2]")})
	turn.Decide()
	item := s.ItemNumber(1, 0)
	turn.Evaluated(1, replay.Evaluated{Items: []replay.FilledItem{{Index: 0, Evaluated: replay.Evaluated{Keys: []string{"k:1"}}}, {Index: 1, Evaluated: replay.Evaluated{Keys: []string{"k:2"}}}}})
	turn.Grant(item)
	turn.Decide()
	turn.Started(item, 1, "w", 1, false)
	turn.End("")
	turn.Reopen("")
	turn.Decide()
	stands := func(out bool) {
		t.Helper()
		if turn.Err != nil {
			t.Fatal(turn.Err)
		}
		for _, s := range []*replay.State{s, decoded(t, s)} {
			if _, is := s.Out(item); is != out || !s.Past(item, 1) || s.Past(item, 2) || s.At(item) != nil {
				t.Errorf("somebody has it: %v, want %v; it is of an earlier end: %v; it is kept: %v", is, out, s.Past(item, 1), s.At(item) != nil)
			}
			if err := s.Check(); err != nil {
				t.Error(err)
			}
		}
		if again := decoded(t, s); string(again.Append(nil)) != string(s.Append(nil)) {
			t.Error("the run is another one when it has been read back")
		}
	}
	stands(true)
	if keys := s.Keys(item); !slices.Equal(keys, []string{"k:1"}) {
		t.Errorf("its keys are %q", keys)
	}
	turn.Ended(item, 1)
	stands(false)
}

func decoded(t *testing.T, s *replay.State) *replay.State {
	t.Helper()
	again, err := replay.Decode(s.Append(nil), s.Graph)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// A fork from a step of finally is refused with one sentence that does not say that the step is not there.
func TestAForkFromFinallyIsRefused(t *testing.T) {
	def, problems := flow.Parse([]byte(`{"steps": [{"name": "a", "service_name": "s", "handler_name": "h"}], "finally": [{"name": "tell", "service_name": "s", "handler_name": "h"}]}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g, err := flow.NewGraph(def)
	if err != nil {
		t.Fatal(err)
	}
	const want = `step "tell" is one of finally, which always runs in a fork`
	ended := replay.New(g)
	turn := &replay.Turn{S: ended, At: 1, Seq: 1}
	turn.Start("r", "w", 1, []byte("1"), "")
	turn.End("enough")
	if _, err := ended.PlanFork(g, "tell", nil); !errors.Is(err, refusal.ErrStepNotFound) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
