package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/worker"
)

// Nothing may take it for granted that a log begins at 1: that of shard 3 begins far behind.
func TestAnEngineRunsOnTheLogOfAnyShard(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "runs.db")
	var eng *engine.Engine
	open := func() {
		t.Helper()
		j, err := bolt.Open(path, bolt.Options{Shard: 3})
		if err == nil {
			eng, err = engine.OpenOn(j, path, engine.Options{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	open()
	defer func() { _ = eng.Close() }()
	if err := eng.Register("pay", flow.Definition{Steps: []flow.Step{flow.Task("a", "far", "a"), flow.Task("b", "far", "b", flow.After("a"))}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"order-1", "order-2"} {
		if _, err := eng.Start(ctx, "pay", nil, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
	}
	join := engine.JoinRequest{WorkerID: "w", Service: "far", Handlers: []string{"a", "b"}, Capacity: 8}
	if _, err := eng.Join(ctx, join); err != nil {
		t.Fatal(err)
	}
	seq := uint64(1)
	poll := func(done ...worker.Outcome) engine.PollAnswer {
		t.Helper()
		a, err := eng.Poll(ctx, "w", engine.PollRequest{Seq: seq, Max: 8, Outcomes: done})
		if err != nil {
			t.Fatal(err)
		}
		seq++
		for _, r := range a.Results {
			if r.Code != "recorded" {
				t.Fatalf("an outcome is answered with %q", r.Code)
			}
		}
		return a
	}
	outcome := func(task *worker.Task) worker.Outcome {
		return worker.Outcome{Token: task.Token, Status: worker.Completed, Output: json.RawMessage("1")}
	}
	tasks := poll().Tasks
	if len(tasks) != 2 {
		t.Fatalf("%d tasks, want 2", len(tasks))
	}
	if err := eng.Close(); err != nil { // the tokens must outlive a restart
		t.Fatal(err)
	}
	open()
	for _, task := range tasks {
		join.Tokens = append(join.Tokens, task.Token)
	}
	if got, err := eng.Join(ctx, join); err != nil || len(got.Lost) != 0 {
		t.Fatalf("tokens of before the restart are lost: %v %v", got.Lost, err)
	}
	for done := 0; done < 4; {
		var all []worker.Outcome
		for _, task := range tasks {
			all = append(all, outcome(task))
		}
		tasks, done = poll(all...).Tasks, done+len(all)
	}
	for _, id := range []string{"order-1", "order-2"} {
		if status, err := eng.Wait(ctx, id); err != nil || status.State != "completed" {
			t.Fatalf("%v %v", status, err)
		}
	}
	if err := eng.Delete(ctx, "order-1"); err != nil {
		t.Fatal(err)
	}
	first := journal.Shard(3).First()
	kinds := map[string]int{}
	after, last := uint64(0), uint64(0)
	for {
		events, next, err := eng.Feed(ctx, after, 5)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev.Seq < first || ev.Seq <= last {
				t.Fatalf("event %d follows %d; the log begins at %d", ev.Seq, last, first)
			}
			last = ev.Seq
			kinds[ev.Kind]++
		}
		if next == after {
			break
		}
		after = next
	}
	if kinds["RunStarted"] != 1 || kinds["RunCompleted"] != 1 || kinds["EngineStarted"] != 2 {
		t.Errorf("the feed has %v", kinds)
	}
	if events, err := eng.History(ctx, "order-2", 0, 0); err != nil || len(events) < 8 || events[0].Seq < first {
		t.Errorf("%d events: %v", len(events), err)
	}
	if _, err := eng.Status(ctx, "order-1"); !errors.Is(err, engine.ErrRunExpired) {
		t.Errorf("a deleted run: %v", err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	j, err := bolt.OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := j.Verify(ctx, func(d journal.Damage) { t.Errorf("damage: %+v", d) }); err != nil {
		t.Error(err)
	}
}
