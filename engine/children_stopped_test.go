package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// What ended a child before its step's time was over is what its parent is told, however much later that hears of it: a child that was
// cancelled by hand is not started anew.
func TestAChildThatEndedInTimeIsNotCalledLate(t *testing.T) {
	slow := flow.Task("slow", "svc", "slow")
	bye := []flow.Step{flow.WaitTimer("bye", "bye", flow.Delay(20*time.Second))}
	for name, c := range map[string]struct {
		child   flow.Definition
		finally bool // the parent has some, and waits until nobody works for the child
		cancel  bool // by hand
		want    string
	}{
		"cancelled by hand":                   {flow.Definition{Steps: []flow.Step{slow}}, true, true, "child_cancelled"},
		"cancelled by hand, and has finally":  {flow.Definition{Steps: []flow.Step{flow.WaitSignal("w", "go")}, Finally: bye}, false, true, "child_cancelled"},
		"failed":                              {flow.Definition{Steps: []flow.Step{slow, flow.Task("bad", "svc", "bad", flow.WithRetry(flow.Retry{MaxAttempts: 1}))}}, true, false, "child_failed"},
		"not over in time":                    {flow.Definition{Steps: []flow.Step{slow}}, true, false, "attempt_timeout"},
		"not over in time, and has a finally": {flow.Definition{Steps: []flow.Step{slow}, Finally: bye}, false, false, "attempt_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			eng, _ := open(t, engine.Options{Clock: engine.NewTestClock()})
			gate := make(chan struct{})
			handle(t, eng, "ok", null)
			handle(t, eng, "bad", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, errors.New("no") })
			handle(t, eng, "slow", func(context.Context, *worker.Task) (json.RawMessage, error) { <-gate; return nil, nil })
			attempts := int64(1)
			if c.want == "child_cancelled" {
				attempts = 2
			}
			parent := flow.Definition{Steps: []flow.Step{flow.Child("kid", "child", flow.AttemptTimeout(10*time.Second), flow.WithRetry(flow.Retry{MaxAttempts: attempts}))}}
			if c.finally {
				parent.Finally = []flow.Step{flow.Task("last", "svc", "ok")}
			}
			for name, d := range map[string]flow.Definition{"child": c.child, "parent": parent} {
				if err := eng.Register(name, d); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p")); err != nil {
				t.Fatal(err)
			}
			has := func(run string, kinds ...string) func() bool {
				return func() bool {
					all, err := eng.History(t.Context(), run, 0, 1000)
					return err == nil && slices.ContainsFunc(all, func(e engine.Event) bool { return slices.Contains(kinds, e.Kind) })
				}
			}
			late := func() string { return "what is waited for does not come" }
			until(t, has("p", "ChildStarted"), late)
			st, err := eng.Status(t.Context(), "p")
			if err != nil {
				t.Fatal(err)
			}
			child := st.Steps["kid"].Child
			if len(c.child.Finally) == 0 || !c.cancel {
				until(t, has(child, "AttemptStarted"), late)
			}
			switch {
			case c.cancel:
				if err := eng.Cancel(t.Context(), child, "by hand"); err != nil {
					t.Fatal(err)
				}
			case c.want == "child_failed":
				until(t, has(child, "RunFailed"), late)
			}
			if _, err := eng.Advance(t.Context(), 11*time.Second); err != nil {
				t.Fatal(err)
			}
			until(t, has("p", "ChildStopped"), late)
			until(t, has(child, "RunFinishing", "RunCancelled", "RunFailed"), late)
			close(gate)
			if len(c.child.Finally) > 0 {
				until(t, has(child, "TimerSet"), late)
			}
			if _, err := eng.Advance(t.Context(), 21*time.Second); err != nil {
				t.Fatal(err)
			}
			until(t, has("p", "AttemptFailed"), late)
			if st, err = eng.Wait(t.Context(), "p"); err != nil {
				t.Fatal(err)
			}
			kid := st.Steps["kid"]
			if st.State != "failed" || kid.Error == nil || kid.Error.Code != c.want || kid.Child != child {
				t.Errorf("the run is %s; its child failed with %+v, want %s; it is the first one: %v", st.State, kid.Error, c.want, kid.Child == child)
			}
		})
	}
}
