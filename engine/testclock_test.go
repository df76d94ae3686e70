package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

func TestATestClockMovesTimersAndNothingElse(t *testing.T) {
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock()})
	register(t, eng, "w", flow.WaitTimer("first", "a", flow.Delay(48*time.Hour)), flow.WaitTimer("second", "b", flow.Delay(time.Hour), flow.After("first")))
	id, err := eng.Start(t.Context(), "w", nil)
	if err != nil {
		t.Fatal(err)
	}
	state := func(step string) string {
		st, err := eng.Status(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return st.Steps[step].State
	}
	if _, err := eng.Advance(t.Context(), 47*time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := state("first"); got != "waiting" {
		t.Fatalf("after 47 of 48 hours it is %s", got)
	}
	now, err := eng.Advance(t.Context(), 2*time.Hour)
	if err != nil || time.Until(now) < 48*time.Hour {
		t.Fatalf("it shows %s: %v", now, err)
	}
	if got := state("first"); got != "completed" {
		t.Fatalf("after 49 hours it is %s", got)
	}
	if got := state("second"); got != "waiting" {
		t.Fatalf("the next timer is %s", got)
	}
	if _, err := eng.Advance(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if st, err := eng.Wait(t.Context(), id); err != nil || st.State != "completed" {
		t.Fatalf("%v: %v", st, err)
	}
	if _, err := eng.Advance(t.Context(), -time.Hour); err == nil {
		t.Error("it moved back")
	}
}

func TestOnlyATestClockMoves(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	if _, err := eng.Advance(context.Background(), time.Hour); !errors.Is(err, engine.ErrNoTestClock) {
		t.Errorf("got %v", err)
	}
}
