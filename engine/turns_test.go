package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// Workflows take turns at a handler, and handlers take turns at a worker: whatever many runs of another workflow or a wide run of
// another handler have queued, a step comes next but one.
func TestAQueuedCrowdDelaysNobodyElse(t *testing.T) {
	eng, _ := open(t, engine.Options{Concurrency: 1})
	var mu sync.Mutex
	var order []string
	begun, let := make(chan struct{}), make(chan struct{})
	note := func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		mu.Lock()
		order = append(order, task.WorkflowName+"/"+task.HandlerName)
		first := len(order) == 1
		mu.Unlock()
		if first {
			close(begun)
			<-let
		}
		return nil, nil
	}
	handle(t, eng, "h", note)
	handle(t, eng, "other", note)
	register(t, eng, "crowd", flow.Task("a", "svc", "h"))
	register(t, eng, "single", flow.Task("a", "svc", "h"))
	register(t, eng, "aside", flow.Task("a", "svc", "other"))
	const crowd = 300
	var runs []string
	start := func(workflow string) {
		t.Helper()
		id, err := eng.Start(t.Context(), workflow, nil, engine.WithID(fmt.Sprint(workflow, len(runs))))
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, id)
	}
	start("crowd")
	<-begun
	for range crowd {
		start("crowd")
	}
	start("single")
	start("aside")
	close(let)
	for _, id := range runs {
		if st, err := eng.Wait(t.Context(), id); err != nil || st.State != "completed" {
			t.Fatal(st, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, who := range []string{"single/h", "aside/other"} {
		if at := slices.Index(order, who); at < 1 || at > 4 {
			t.Errorf("%s is number %d of %d", who, at+1, len(order))
		}
	}
}
