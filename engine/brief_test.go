package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// A status without steps says the same as one with them.
func TestAStatusWithoutStepsSaysTheSame(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	begun, let := make(chan struct{}), make(chan struct{})
	handle(t, eng, "h", func(context.Context, *worker.Task) (json.RawMessage, error) {
		close(begun)
		<-let
		return nil, nil
	})
	failed := make(chan struct{})
	handle(t, eng, "bad", func(context.Context, *worker.Task) (json.RawMessage, error) {
		close(failed)
		return nil, errors.New("no")
	})
	defer close(let)
	steps := []flow.Step{flow.Task("works", "svc", "h"), flow.Task("fails", "svc", "bad", flow.WithRetry(flow.Retry{InitialIntervalMS: 3_600_000, MaxIntervalMS: 3_600_000})), flow.Task("later", "svc", "h", flow.After("works"))}
	for i := range 12 {
		steps = append(steps, flow.WaitSignal(fmt.Sprint("s", i), fmt.Sprint("n", i)), flow.Task(fmt.Sprint("q", i), "nobody", "has"))
	}
	register(t, eng, "w", steps...)
	id, err := eng.Start(t.Context(), "w", map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	<-failed
	until(t, func() bool {
		st, err := eng.Status(t.Context(), id)
		return err == nil && st.Steps["fails"].State == "retrying" && st.Steps["works"].State == "running"
	}, func() string { return "a step that is retried, and one that runs" })
	full, err := eng.Status(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	brief, err := eng.Status(t.Context(), id, engine.NoSteps())
	if err != nil {
		t.Fatal(err)
	}
	if full.StepCounts["running"] != 1 || full.StepCounts["waiting"] != 12 || full.StepCounts["retrying"] != 1 || len(full.Reasons) == 0 {
		t.Fatalf("%+v", full)
	}
	full.Steps, full.Order = brief.Steps, brief.Order
	if !reflect.DeepEqual(full, brief) {
		t.Errorf("with steps:    %+v\nwithout them: %+v", full, brief)
	}
}

// What a status without steps costs does not grow with the run.
func TestAStatusWithoutStepsIsCheap(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	var steps []flow.Step
	for i := range 10_000 {
		steps = append(steps, flow.WaitSignal(fmt.Sprint("s", i), fmt.Sprint("n", i)))
	}
	register(t, eng, "large", steps...)
	id, err := eng.Start(t.Context(), "large", nil)
	if err != nil {
		t.Fatal(err)
	}
	const times = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		if st, err := eng.Status(t.Context(), id, engine.NoSteps()); err != nil || st.StepCounts["waiting"] != 10_000 {
			t.Fatalf("%+v %v", st, err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 100<<10 {
		t.Errorf("a status without steps of a run of 10,000 takes %d bytes", each)
	}
}
