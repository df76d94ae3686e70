package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// A fork keeps children and steps that can be compensated: it starts no child for them, and takes none of them back when it fails itself. What the
// run that it came from has taken back runs again, and is taken back again.
func TestAForkNeverTakesBackWhatItKept(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	var mu sync.Mutex
	var calls []string
	var broken atomic.Bool
	handle(t, eng, "do", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		mu.Lock()
		defer mu.Unlock()
		what := task.Step
		if task.Output != nil {
			what = "undo " + what
		}
		calls = append(calls, what)
		if task.Step == "last" && broken.Load() {
			return nil, flow.NonRetryable(errors.New("broken"))
		}
		return json.Marshal("of " + task.WorkflowID)
	})
	register(t, eng, "parcel", flow.Task("work", "svc", "do", flow.Compensate("do")))
	if err := eng.Register("order", flow.Definition{
		Steps: []flow.Step{
			flow.Task("book", "svc", "do", flow.Compensate("do")),
			flow.Child("ship", "parcel", flow.After("book")),
			flow.Task("note", "svc", "do"),
			flow.Task("pay", "svc", "do", flow.After("note"), flow.Compensate("do")),
			flow.Task("last", "svc", "do", flow.After("ship", "pay")),
		},
		Finally: []flow.Step{flow.Task("tell", "svc", "do")},
	}); err != nil {
		t.Fatal(err)
	}
	ends := func(run, state, want string) {
		t.Helper()
		st, err := eng.Wait(t.Context(), run)
		if err != nil || st.State != state {
			t.Fatalf("%s: %+v, %v", run, st, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got := calls
		if calls = nil; !strings.Contains(want, "undo") { // steps without an order between them
			slices.Sort(got)
		}
		if all := strings.Join(got, ", "); all != want {
			t.Errorf("%s ran %s, want %s", run, all, want)
		}
	}
	children := func(run string, want int) {
		t.Helper()
		runs, err := eng.List(t.Context(), engine.ListFilter{Parent: run})
		if err != nil || len(runs) != want {
			t.Errorf("%s has %d children, want %d (%v)", run, len(runs), want, err)
		}
		for _, r := range runs {
			if r.State != "completed" {
				t.Errorf("the child %s is %s", r.WorkflowID, r.State)
			}
		}
	}
	fork := func(of, from, id, kept string) {
		t.Helper()
		f := engine.Fork{From: from, ID: id}
		plan, err := eng.PlanFork(t.Context(), of, f)
		if err != nil || plan.Plan == nil || strings.Join(plan.Plan.Kept, ", ") != kept {
			t.Errorf("the fork of %s would keep %+v, %v; want %s", of, plan.Plan, err, kept)
		}
		if _, err := eng.Fork(t.Context(), of, f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := eng.Start(t.Context(), "order", nil, engine.WithID("r1")); err != nil {
		t.Fatal(err)
	}
	ends("r1", "completed", "book, last, note, pay, tell, work")
	children("r1", 1)

	// Of a run that completed all is kept, and the fork fails.
	broken.Store(true)
	fork("r1", "last", "f1", "book, ship, note, pay")
	ends("f1", "failed", "last, tell")
	children("f1", 0)
	children("r1", 1)

	// From the middle: what is kept stays, and what ran in the fork is taken back.
	fork("r1", "pay", "f2", "book, ship, note")
	ends("f2", "failed", "pay, last, undo pay, tell")
	children("f2", 0)

	// Of a fork: it has taken back what it ran, and never what it kept.
	broken.Store(false)
	fork("f2", "last", "f3", "book, ship, note")
	ends("f3", "completed", "last, pay, tell")
	children("f3", 0)
}
