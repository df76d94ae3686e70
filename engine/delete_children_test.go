package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// family starts a parent whose child starts a child, and gives the ids of all three.
func family(t *testing.T, eng *engine.Engine, id string) (ids [3]string) {
	t.Helper()
	register(t, eng, "leaf", flow.WaitSignal("wait", "go"))
	register(t, eng, "middle", flow.Child("down", "leaf"))
	register(t, eng, "root", flow.Child("down", "middle"))
	if _, err := eng.Start(t.Context(), "root", nil, engine.WithID(id)); err != nil {
		t.Fatal(err)
	}
	ids[0] = id
	for k := range 2 {
		until(t, func() bool {
			st, err := eng.Status(t.Context(), ids[k])
			if err != nil {
				t.Fatal(err)
			}
			ids[k+1] = st.Steps["down"].Child
			return ids[k+1] != ""
		}, func() string { return "no child of " + ids[k] })
	}
	return ids
}

// Who deletes a run deletes what its steps have started; a run with an open child, or an open parent, is not deleted.
func TestChildrenAreDeletedWithTheirParent(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	ids := family(t, eng, "p")
	if err := eng.Delete(t.Context(), ids[0]); !errors.Is(err, engine.ErrRunOpen) {
		t.Fatal(err)
	}
	if err := eng.Signal(t.Context(), ids[2], "go", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := eng.Delete(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := eng.Status(t.Context(), id); !errors.Is(err, engine.ErrRunExpired) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A child that has ended stays while its parent is open.
func TestNobodyDeletesAChildOfAnOpenRun(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	register(t, eng, "leaf", flow.WaitSignal("wait", "go"))
	register(t, eng, "parent", flow.Child("down", "leaf"), flow.WaitSignal("hold", "on", flow.After("down")))
	if _, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p")); err != nil {
		t.Fatal(err)
	}
	var child string
	until(t, func() bool {
		st, err := eng.Status(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		child = st.Steps["down"].Child
		return child != ""
	}, func() string { return "no child" })
	if err := eng.Signal(t.Context(), child, "go", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), child); err != nil {
		t.Fatal(err)
	}
	if err := eng.Delete(t.Context(), child); !errors.Is(err, engine.ErrRunOpen) {
		t.Errorf("%v", err)
	}
	if n, err := eng.DeleteMany(t.Context(), []string{child}, ""); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := eng.Signal(t.Context(), "p", "on", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	if n, err := eng.DeleteMany(t.Context(), []string{"p"}, ""); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := eng.Status(t.Context(), child); !errors.Is(err, engine.ErrRunExpired) {
		t.Errorf("%v", err)
	}
}

// While retention deletes the children of a run, that run is over for good, also after the daemon was killed: nothing that its children had
// completed runs twice. The next start goes on with the deletion, whatever is kept then.
func TestARunIsNotRetriedWhileItsChildrenAreDeleted(t *testing.T) {
	const children = 250 // more than go with one record
	path := filepath.Join(t.TempDir(), "runs.db")
	o := engine.Options{Clock: engine.NewTestClock(), Retention: engine.Retention{Cancelled: time.Hour}}
	eng, err := engine.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	work := func(context.Context, *worker.Task) (json.RawMessage, error) { calls.Add(1); return nil, nil }
	handle(t, eng, "h", work)
	register(t, eng, "child", flow.Task("s", "svc", "h"), flow.WaitSignal("g", "go", flow.After("s")))
	register(t, eng, "parent", flow.Child("each", "child", flow.ForEachOf(make([]int, children)), flow.MaxParallel(children)))
	if _, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p")); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return calls.Load() == children }, func() string { return "not every child has begun" })
	if err := eng.Cancel(t.Context(), "p", ""); err != nil {
		t.Fatal(err)
	}
	ended := func() bool {
		runs, err := eng.List(t.Context(), engine.ListFilter{Children: true, State: "cancelled", Limit: children + 1})
		return err == nil && len(runs) == children+1
	}
	until(t, ended, func() string { return "not every child has ended" })
	if _, err := eng.Advance(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return len(deletions(t, eng)) > 0 }, func() string { return "nothing is deleted" })
	goesOn := func() {
		t.Helper()
		for what, err := range map[string]error{"retry": eng.Retry(t.Context(), "p", ""), "skip": eng.SkipStep(t.Context(), "p", "each", "")} {
			if !errors.Is(err, engine.ErrRunExpired) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := eng.Plan(t.Context(), "p", engine.Deed{Do: model.DeedRetry}); !errors.Is(err, engine.ErrRunExpired) {
			t.Errorf("the plan of a retry: %v", err)
		}
	}
	goesOn()
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	o.Retention = engine.Retention{}
	if eng, err = engine.Open(path, o); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	handle(t, eng, "h", work)
	goesOn()
	until(t, func() bool { return runsOf(t, eng) == "" }, func() string { return "left: " + runsOf(t, eng) })
	if n := calls.Load(); n != children {
		t.Errorf("%d calls of the handler, want %d", n, children)
	}
}

// Retention leaves a child to its parent, while that one may be retried: it would run anew what the child has completed.
func TestRetentionLeavesAChildToItsParent(t *testing.T) {
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock(), Retention: engine.Retention{Cancelled: time.Hour, Completed: 2 * time.Hour}})
	var calls atomic.Int64
	handle(t, eng, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { calls.Add(1); return nil, nil })
	register(t, eng, "child", flow.Task("s", "svc", "h"), flow.WaitSignal("g", "go", flow.After("s")))
	register(t, eng, "parent", flow.Child("down", "child"))
	register(t, eng, "other", flow.WaitSignal("g", "go"))
	for _, workflow := range []string{"parent", "other"} {
		if _, err := eng.Start(t.Context(), workflow, nil, engine.WithID(workflow)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, func() bool { return calls.Load() == 1 }, func() string { return "the child has not begun" })
	st, err := eng.Status(t.Context(), "parent")
	if err != nil {
		t.Fatal(err)
	}
	child := st.Steps["down"].Child
	for _, id := range []string{child, "other"} {
		if err := eng.Cancel(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
	}
	if st, err = eng.Wait(t.Context(), "parent"); err != nil || st.State != "failed" { // which is kept for ever
		t.Fatal(st, err)
	}
	if _, err := eng.Advance(t.Context(), 90*time.Minute); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { _, err := eng.Status(t.Context(), "other"); return errors.Is(err, engine.ErrRunExpired) }, func() string { return "nothing is deleted" })
	if err := eng.Retry(t.Context(), "parent", ""); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return eng.Signal(t.Context(), child, "go", nil) == nil }, func() string { return "the child does not go on" })
	if st, err = eng.Wait(t.Context(), "parent"); err != nil || st.State != "completed" || calls.Load() != 1 {
		t.Errorf("%+v, %v, %d calls", st, err, calls.Load())
	}
	if _, err := eng.Advance(t.Context(), 3*time.Hour); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return runsOf(t, eng) == "" }, func() string { return "left: " + runsOf(t, eng) })
}

// Lists leave children out, unless somebody asks for them.
func TestListsOfChildren(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	ids := family(t, eng, "p")
	for _, c := range []struct {
		f    engine.ListFilter
		want []string
	}{
		{engine.ListFilter{}, ids[:1]},
		{engine.ListFilter{Children: true}, []string{ids[2], ids[1], ids[0]}},
		{engine.ListFilter{Parent: ids[0]}, ids[1:2]},
		{engine.ListFilter{Parent: ids[1], State: "running"}, ids[2:]},
		{engine.ListFilter{Parent: ids[1], State: "failed"}, nil},
		{engine.ListFilter{IDPrefix: "p/"}, []string{ids[2], ids[1]}},
	} {
		page, err := eng.ListPage(t.Context(), c.f)
		var got []string
		for _, r := range page.Runs {
			got = append(got, r.WorkflowID)
			if len(r.Tags) > 0 {
				t.Errorf("%+v", r)
			}
		}
		if err != nil || len(got) != len(c.want) {
			t.Fatalf("%+v: %q, %v, want %q", c.f, got, err, c.want)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%+v: %q, want %q", c.f, got, c.want)
			}
		}
	}
}
