package engine_test

import (
	"context"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// Whatever people do stands in the history with who did it.
func TestHistorySaysWhoDidIt(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	register(t, eng, "w", flow.WaitSignal("a", "go"), flow.WaitTimer("b", "later", flow.Cron("0 3 * * *")), flow.Task("c", "nobody", "h"))
	ada := engine.WithBy(t.Context(), "ada")
	id, err := eng.Start(ada, "w", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{eng.Signal(ada, id, "go", nil), eng.FireTimer(ada, id, "later"), eng.Cancel(ada, id, "enough"), eng.Retry(t.Context(), id, "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	events, err := eng.History(t.Context(), id, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"RunStarted": "ada", "SignalReceived": "ada", "TimerFired": "ada", "RunCancelled": "ada", "RunReopened": engine.Local}
	for _, e := range events {
		by, named := want[e.Kind]
		if got, _ := e.Data["by"].(string); got != by {
			t.Errorf("%s: by %q, want %q", e.Kind, got, by)
		}
		if named {
			delete(want, e.Kind)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the history: %v", want)
	}
	all, _, err := eng.Feed(context.Background(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind == "WorkflowRegistered" && e.Data["by"] != engine.Local {
			t.Errorf("%s: %v", e.Kind, e.Data)
		}
	}
}
