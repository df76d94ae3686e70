package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// explained looks for a reason with a code and a text.
func explained(t *testing.T, eng *engine.Engine, run, code, want string) {
	t.Helper()
	reasons, err := eng.Explain(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(reasons, func(r engine.Reason) bool { return r.Code == code && strings.Contains(r.Detail, want) }) {
		t.Errorf("no reason %s of run %s says %q: %+v", code, run, want, reasons)
	}
}

// Of a paused run whose times have come explain says when they were due, and that they count at the resume; before that it does not.
func TestExplainSaysWhatIsOverdueInAPausedRun(t *testing.T) {
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock()})
	register(t, eng, "w", flow.WaitTimer("nap", "a", flow.Delay(time.Hour)), flow.WaitSignal("paid", "pay", flow.Timeout(2*time.Hour, "late")), flow.Task("late", "svc", "h"))
	if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("r1")); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("r2"), engine.WithDelay(time.Hour)); err != nil {
		t.Fatal(err)
	}
	const late = "; that time has come, and counts when the run is resumed"
	for _, run := range []string{"r1", "r2"} {
		if err := eng.Pause(t.Context(), run, "a feast"); err != nil {
			t.Fatal(err)
		}
		if reasons, err := eng.Explain(t.Context(), run); err != nil || slices.ContainsFunc(reasons, func(r engine.Reason) bool { return strings.Contains(r.Detail, late) }) {
			t.Errorf("nothing is overdue yet: %v, %v", reasons, err)
		}
	}
	if _, err := eng.Advance(t.Context(), 3*time.Hour); err != nil {
		t.Fatal(err)
	}
	explained(t, eng, "r1", "timer", `waits for timer "a" until 20`)
	explained(t, eng, "r1", "timer", late)
	explained(t, eng, "r1", "signal", late)
	explained(t, eng, "r2", "timer", late)
	if err := eng.Resume(t.Context(), "r1", ""); err != nil {
		t.Fatal(err)
	}
	explained(t, eng, "r1", "no_worker", "svc/h")
}

// The time limit of a run counts at its resume, too, and explain says so; held by a careful engine it is the same.
func TestExplainSaysThatAPausedRunIsOverItsTime(t *testing.T) {
	clock := engine.NewTestClock()
	eng, _ := open(t, engine.Options{Clock: clock, Careful: true})
	limit := int64(60_000)
	if err := eng.Register("w", flow.Definition{TimeoutMS: &limit, Steps: []flow.Step{flow.WaitSignal("s", "go")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("r1")); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Advance(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	explained(t, eng, "r1", "paused", "it is held, as every run is since the engine was started carefully")
	explained(t, eng, "r1", "paused", "; its timeout_ms was over at ")
	if h, err := eng.Holding(); err != nil || !h.Held || h.Runs != 1 || !eng.Held() {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := eng.ResumeAll(context.Background(), -1, ""); err == nil {
		t.Error("a rate below 0 is taken")
	}
	if _, err := eng.ResumeAll(t.Context(), 0, "all is well"); err != nil {
		t.Fatal(err)
	}
	st, err := eng.Wait(t.Context(), "r1")
	if err != nil || st.State != "failed" || st.Error.Code != "run_timeout" {
		t.Errorf("%+v, %v", st, err)
	}
	if h, err := eng.Holding(); err != nil || h.Held || h.Resumed != 1 || eng.Held() {
		t.Errorf("%+v, %v", h, err)
	}
}

// An engine that has stopped says whether its hold was ended.
func TestAStoppedEngineSaysWhetherItHeld(t *testing.T) {
	for _, careful := range []bool{true, false} {
		eng, _ := open(t, engine.Options{Careful: careful})
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
		if eng.Held() != careful {
			t.Errorf("opened with %v, it says %v", careful, !careful)
		}
	}
}
