package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// A run that is cancelled and has finally waits for its child, and says so; nobody deletes either meanwhile.
func TestAFinishingRunNamesTheChildItWaitsFor(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	bye := flow.WaitTimer("bye", "bye", flow.Delay(time.Hour))
	for name, steps := range map[string][]flow.Step{"careful": {flow.WaitSignal("work", "go")}, "parent": {flow.Child("ship", "careful")}} {
		if err := eng.Register(name, flow.Definition{Steps: steps, Finally: []flow.Step{bye}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p")); err != nil {
		t.Fatal(err)
	}
	child := ""
	until(t, func() bool {
		st, err := eng.Status(t.Context(), "p")
		if err == nil {
			child = st.Steps["ship"].Child
		}
		return child != ""
	}, func() string { return "no child" })
	if err := eng.Cancel(t.Context(), "p", "enough"); err != nil {
		t.Fatal(err)
	}
	reasons, err := eng.Explain(t.Context(), "p")
	if err != nil || len(reasons) == 0 {
		t.Fatal(reasons, err)
	}
	if r := reasons[0]; r.Code != "finishing" || !strings.Contains(r.Detail, child) || !strings.Contains(r.Detail, "1 child that was cancelled") || r.Command != "agnt5d explain "+child {
		t.Errorf("%+v", r)
	}
	for _, id := range []string{"p", child} {
		if err := eng.Delete(t.Context(), id); !errors.Is(err, engine.ErrRunOpen) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// An item that has completed names its child, as a step without items does.
func TestACompletedItemNamesItsChild(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	handle(t, eng, "h", null)
	register(t, eng, "child", flow.Task("work", "svc", "h"))
	register(t, eng, "each", flow.Child("ship", "child", flow.ForEachOf([]int{7})))
	id := runOne(t, eng, "each", nil).WorkflowID
	st, err := eng.Status(t.Context(), id, engine.WithItems(engine.ItemsAsked{Step: "ship"}))
	if err != nil || len(st.Items.Items) != 1 {
		t.Fatal(st, err)
	}
	if child := st.Items.Items[0].Child; !strings.HasPrefix(child, id+"/ship[0].") {
		t.Errorf("%q: %+v", child, st.Items.Items[0])
	}
}
