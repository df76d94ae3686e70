package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// What a child is given and what it gives are the same bytes whatever their size: small ones lie in memory, large ones are read.
func TestAChildGetsAndGivesWhatItShould(t *testing.T) {
	for _, size := range []int{1, 500, 600, 70_000} {
		eng, _ := open(t, engine.Options{})
		big := strings.Repeat("x", size)
		handle(t, eng, "h", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
			return json.RawMessage(fmt.Sprintf(`{"of":%s,"in":%s}`, "\""+task.WorkflowName+"\"", task.WorkflowInput)), nil
		})
		register(t, eng, "child", flow.Task("work", "svc", "h"))
		register(t, eng, "one", flow.Child("ship", "child"))
		register(t, eng, "each", flow.Child("ship", "child", flow.ForEach("input"), flow.MaxParallel(2)))
		for workflow, input := range map[string]string{"one": fmt.Sprintf("%q", big), "each": fmt.Sprintf(`[%q,1,%q]`, big, big)} {
			id, err := eng.Start(t.Context(), workflow, json.RawMessage(input))
			if err != nil {
				t.Fatal(err)
			}
			st, err := eng.Wait(t.Context(), id)
			if err != nil || st.State != "completed" {
				t.Fatalf("%s of %d: %+v, %v", workflow, size, st, err)
			}
			gives := func(in string) string { return fmt.Sprintf(`{"work":{"of":"child","in":%s}}`, in) }
			want := fmt.Sprintf(`{"ship":%s}`, gives(input))
			if workflow == "each" {
				want = fmt.Sprintf(`{"ship":[%s,%s,%s]}`, gives(fmt.Sprintf("%q", big)), gives("1"), gives(fmt.Sprintf("%q", big)))
			}
			if string(st.Output) != want {
				t.Errorf("%s of %d bytes gives %.200s, want %.200s", workflow, size, st.Output, want)
			}
		}
	}
}

// Expressions of a child see who started it, and those of other runs that nobody did.
func TestExpressionsSeeTheParent(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	handle(t, eng, "h", func(_ context.Context, task *worker.Task) (json.RawMessage, error) { return task.Input, nil })
	register(t, eng, "child",
		flow.Task("alone", "svc", "h", flow.When("run.parent == null")),
		flow.Task("say", "svc", "h", flow.Templates(map[string]string{"parent": "${ run.parent }", "of": "${ run.parent?.workflow_id }", "item": `${ run.parent?.index }`,
			"run": "${ run.workflow }/${ run.version }/${ run.id == input }"})))
	register(t, eng, "one", flow.Child("ship", "child"))
	register(t, eng, "each", flow.Child("ship", "child", flow.ForEachOf([]int{7, 8})))
	register(t, eng, "left", flow.Child("ship", "child", flow.Abandon()))
	for _, c := range []struct{ workflow, want string }{
		{"child", `{"alone":null,"say":{"item":null,"of":null,"parent":null,"run":"child/1/true"}}`},
		{"one", `{"ship":{"say":{"item":null,"of":"one-1","parent":{"workflow_id":"one-1","step":"ship"},"run":"child/1/false"}}}`},
		{"left", `{"ship":{"say":{"item":null,"of":"left-1","parent":{"workflow_id":"left-1","step":"ship"},"run":"child/1/false"}}}`},
		{"each", `{"ship":[{"say":{"item":0,"of":"each-1","parent":{"workflow_id":"each-1","step":"ship","index":0},"run":"child/1/false"}},` +
			`{"say":{"item":1,"of":"each-1","parent":{"workflow_id":"each-1","step":"ship","index":1},"run":"child/1/false"}}]}`},
	} {
		id := c.workflow + "-1"
		if _, err := eng.Start(t.Context(), c.workflow, id, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
		if st, err := eng.Wait(t.Context(), id); err != nil || string(st.Output) != c.want {
			t.Errorf("%s gives %s, %+v, %v\nwant %s", c.workflow, st.Output, st.Error, err, c.want)
		}
	}
}

// Status and explain lead from a parent to its child and back.
func TestAParentAndItsChildNameEachOther(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	register(t, eng, "child", flow.WaitSignal("wait", "go"))
	register(t, eng, "parent", flow.Child("ship", "child", flow.ForEachOf([]int{7})), flow.Child("none", "nowhere"), flow.Child("own", "child"))
	id, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := eng.Status(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	own := st.Steps["own"]
	if own.State != "running" || own.Type != "workflow" || !strings.HasPrefix(own.Child, "p/own.") {
		t.Fatalf("%+v", own)
	}
	child, err := eng.Status(t.Context(), own.Child)
	if err != nil || child.Parent == nil || child.Parent.WorkflowID != "p" || child.Parent.Step != "own" || child.Parent.Index != nil {
		t.Fatalf("%+v, %v", child, err)
	}
	reasons, err := eng.Explain(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]engine.Reason{}
	for _, r := range reasons {
		told[r.Step] = r
	}
	if r := told["own"]; r.Code != "child" || !strings.Contains(r.Detail, own.Child) || !strings.Contains(r.Detail, `waits for signal "go"`) || r.Command != "agnt5d explain "+own.Child {
		t.Errorf("own: %+v", r)
	}
	if r := told["ship[0]"]; r.Code != "child" {
		t.Errorf("ship[0]: %+v (%+v)", r, reasons)
	}
	if r := told["none"]; r.Code != "no_workflow" || r.Command != "agnt5d register nowhere FILE" {
		t.Errorf("none: %+v", r)
	}
}

// Neither retention nor a deletion of many takes a child whose parent is open; when that has ended, both go.
func TestAChildStaysWhileItsParentIsOpen(t *testing.T) {
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock(), Retention: engine.Retention{Completed: time.Hour}})
	handle(t, eng, "h", null)
	register(t, eng, "child", flow.Task("work", "svc", "h"))
	register(t, eng, "parent", flow.Child("ship", "child"), flow.WaitSignal("wait", "go"))
	if _, err := eng.Start(t.Context(), "child", nil, engine.WithID("alone")); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p")); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), "alone"); err != nil {
		t.Fatal(err)
	}
	child := ""
	until(t, func() bool {
		st, err := eng.Status(t.Context(), "p")
		if err != nil || st.Steps["ship"].State != "completed" {
			return false
		}
		runs, err := eng.List(t.Context(), engine.ListFilter{Children: true, Workflow: "child"})
		for _, r := range runs {
			if r.WorkflowID != "alone" {
				child = r.WorkflowID
			}
		}
		return err == nil && child != ""
	}, func() string { return "no child has ended" })
	if _, err := eng.Advance(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return !strings.Contains(runsOf(t, eng), "alone") }, func() string { return runsOf(t, eng) })
	if n, err := eng.DeleteMany(t.Context(), []string{child}, "purge"); n != 0 || err != nil || !strings.Contains(runsOf(t, eng), child) {
		t.Errorf("%d deleted, %v; left are %s", n, err, runsOf(t, eng))
	}
	if err := eng.Signal(t.Context(), "p", "go", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	if n, err := eng.DeleteMany(t.Context(), []string{child}, "purge"); n != 1 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
}

// A step that is retried has its child retried. When somebody has deleted that child, it has another one.
func TestARetriedStepDoesWithoutItsDeletedChild(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	register(t, eng, "child", flow.WaitSignal("wait", "go"))
	register(t, eng, "parent", flow.Child("ship", "child"))
	if _, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p")); err != nil {
		t.Fatal(err)
	}
	child := func() string {
		st, err := eng.Status(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		if st.Steps["ship"].State == "failed" {
			t.Fatalf("%+v", st.Steps["ship"].Error)
		}
		return st.Steps["ship"].Child
	}
	until(t, func() bool { return child() != "" }, func() string { return "no child" })
	first := child()
	if err := eng.Cancel(t.Context(), first, "lost"); err != nil {
		t.Fatal(err)
	}
	if st, err := eng.Wait(t.Context(), "p"); err != nil || st.State != "failed" {
		t.Fatalf("%+v, %v", st, err)
	}
	if err := eng.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := eng.Retry(t.Context(), "p", ""); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { c := child(); return c != "" && c != first }, func() string { return "the child is still " + child() })
	if err := eng.Signal(t.Context(), child(), "go", nil); err != nil {
		t.Fatal(err)
	}
	if st, err := eng.Wait(t.Context(), "p"); err != nil || st.State != "completed" {
		t.Errorf("%+v, %v", st, err)
	}
}
