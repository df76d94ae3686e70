package engine_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// Whatever ends a run, a handler that works in it keeps its key until it has returned, also when it has only just begun and the
// journal does not know of it yet. Here the engine itself ends the run, by what follows from a neighbour's outcome. Package shard
// tests every way in which a run ends.
func TestAKeyStaysWithItsHandlerWhenTheRunEnds(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	begun, slow := make(chan struct{}, 4), make(chan struct{})
	handle(t, eng, "quick", func(context.Context, *worker.Task) (json.RawMessage, error) {
		<-begun
		return nil, nil
	})
	handle(t, eng, "slow", func(context.Context, *worker.Task) (json.RawMessage, error) {
		begun <- struct{}{}
		<-slow // it does not look at its context
		return nil, nil
	})
	handle(t, eng, "other", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
	register(t, eng, "one", flow.Task("slow", "svc", "slow", flow.Keys("k")), flow.Task("quick", "svc", "quick"),
		flow.WaitSignal("w", "never", flow.After("quick"), flow.Timeout(0)))
	register(t, eng, "two", flow.Task("other", "svc", "other", flow.Keys("k")))
	one := runOne(t, eng, "one", nil)
	if one.State != "failed" || one.Error.Code != "signal_timeout" {
		t.Fatalf("%s %+v", one.State, one.Error)
	}
	if _, err := eng.Start(t.Context(), "two", nil, engine.WithID("two")); err != nil {
		t.Fatal(err)
	}
	two, err := eng.Status(t.Context(), "two")
	if err != nil {
		t.Fatal(err)
	}
	if two.Steps["other"].State != "blocked" {
		t.Errorf("the handler of the first run has not returned, and the second run's step with the same key is %s", two.Steps["other"].State)
	}
	if o, err := eng.Object(t.Context(), "k"); err != nil || o.Holder == nil || o.Holder.WorkflowID != one.WorkflowID {
		t.Errorf("key k is not held by the run whose handler works: %+v %v", o, err)
	}
	close(slow)
	if two, err = eng.Wait(t.Context(), "two"); err != nil || two.State != "completed" {
		t.Errorf("after the handler has returned: %+v %v", two, err)
	}
}

// The same in another process: the worker is told that its run is over, and nobody else is given the key.
func TestAWorkerIsToldThatItsRunEndedAndKeepsItsKey(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	register(t, eng, "one", flow.Task("slow", "far", "work", flow.Keys("k")), flow.Task("quick", "far", "work"),
		flow.WaitSignal("w", "never", flow.After("quick"), flow.Timeout(0)))
	register(t, eng, "two", flow.Task("other", "far", "work", flow.Keys("k")))
	join := func(w string) {
		t.Helper()
		if _, err := eng.Join(t.Context(), engine.JoinRequest{WorkerID: w, Service: "far", Handlers: []string{"work"}, Capacity: 5}); err != nil {
			t.Fatal(err)
		}
	}
	poll := func(w string, r engine.PollRequest) engine.PollAnswer {
		t.Helper()
		a, err := eng.Poll(t.Context(), w, r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	join("A")
	if _, err := eng.Start(t.Context(), "one", nil, engine.WithID("r1")); err != nil {
		t.Fatal(err)
	}
	tasks := map[string]*worker.Task{}
	for seq := uint64(1); len(tasks) < 2; seq++ {
		for _, task := range poll("A", engine.PollRequest{Seq: seq, Max: 5, Wait: time.Second}).Tasks {
			tasks[task.Step] = task
		}
	}
	poll("A", engine.PollRequest{Outcomes: []worker.Outcome{{Token: tasks["quick"].Token, Status: "completed"}}})
	if s, err := eng.Wait(t.Context(), "r1"); err != nil || s.State != "failed" {
		t.Fatalf("%v %+v", err, s)
	}
	gone, err := eng.Heartbeat(t.Context(), "A", []engine.Beat{{Token: tasks["slow"].Token}})
	if err != nil {
		t.Fatal(err)
	}
	if len(gone) != 1 {
		t.Error("the run has failed, and the worker's heartbeat for its step is not told so")
	}
	if _, err := eng.Start(t.Context(), "two", nil, engine.WithID("r2")); err != nil {
		t.Fatal(err)
	}
	join("B")
	if got := poll("B", engine.PollRequest{Seq: 1, Max: 5}).Tasks; len(got) != 0 {
		t.Errorf("worker B is given key k (fence %d) while worker A works under it (fence %d)", got[0].Objects["k"].Fence, tasks["slow"].Objects["k"].Fence)
	}
	poll("A", engine.PollRequest{Outcomes: []worker.Outcome{{Token: tasks["slow"].Token, Status: "completed"}}})
	if got := poll("B", engine.PollRequest{Seq: 2, Max: 5, Wait: 10 * time.Second}).Tasks; len(got) != 1 {
		t.Errorf("worker A has answered, and worker B is not given the key: %v", got)
	}
}
