package engine_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// An attempt in process has no worker in a plan, whether the journal knows of its start yet or not.
func TestAPlanNamesNoWorkerOfAnAttemptInProcess(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	began := make(chan struct{})
	if err := engine.HandleRaw(eng, "svc", "h", func(ctx context.Context, _ *worker.Task) (json.RawMessage, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	register(t, eng, "w", flow.Task("a", "svc", "h"))
	if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("r1")); err != nil {
		t.Fatal(err)
	}
	<-began
	for recorded := false; !recorded; {
		history, err := eng.History(t.Context(), "r1", 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range history {
			recorded = recorded || e.Kind == "AttemptStarted"
		}
		p, err := eng.Plan(t.Context(), "r1", engine.Deed{Do: model.DeedCancel})
		if err != nil || len(p.Attempts) != 1 || p.Attempts[0] != (model.PlanAttempt{Step: "a", Attempt: 1}) {
			t.Fatalf("recorded %v: %+v, %v", recorded, p.Attempts, err)
		}
	}
	if err := eng.CancelNow(t.Context(), "r1", ""); err != nil {
		t.Fatal(err)
	}
}
