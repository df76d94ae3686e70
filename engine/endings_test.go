package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// What takes something back has a key of its own, and so has each item: a handler that tells repeats by the key takes all of them back.
func TestEachCompensationHasItsKey(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	var mu sync.Mutex
	var keys []string
	handle(t, eng, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
	handle(t, eng, "no", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, errors.New("no") })
	handle(t, eng, "undo", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, task.IdempotencyKey)
		return nil, nil
	})
	register(t, eng, "w", flow.Task("one", "svc", "h", flow.Compensate("undo")),
		flow.Task("each", "svc", "h", flow.ForEachOf([]int{7, 8}), flow.Compensate("undo"), flow.After("one")),
		flow.Task("last", "svc", "no", flow.After("each"), flow.WithRetry(flow.Retry{MaxAttempts: 1})))
	if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	st, err := eng.Wait(t.Context(), "r")
	if err != nil || st.State != "failed" {
		t.Fatalf("%+v, %v", st, err)
	}
	slices.Sort(keys)
	if want := []string{"r/each[0]/undo", "r/each[1]/undo", "r/one/undo"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
}
