package engine

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/worker"
)

// Ids and names that no path can carry are refused wherever the engine is given one.
func TestNothingIsCalledByAPlaceInAPath(t *testing.T) {
	eng, err := Open(filepath.Join(t.TempDir(), "runs.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	ctx := t.Context()
	def := flow.Definition{Steps: []flow.Step{flow.WaitSignal("ok", "go")}}
	if err := eng.Register("w", def); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(ctx, "w", nil, WithID("r")); err != nil {
		t.Fatal(err)
	}
	fn := func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }
	join := JoinRequest{Service: "s", Handlers: []string{"h"}, Capacity: 1}
	for _, bad := range []string{"", ".", ".."} {
		for what, err := range map[string]error{
			"workflow name": eng.Register(bad, def),
			"step name":     eng.Register("w", flow.Definition{Steps: []flow.Step{flow.Task(bad, "s", "h")}}),
			"service":       HandleRaw(eng, bad, "h", fn),
			"handler":       HandleRaw(eng, "s", bad, fn),
			"run id":        second(eng.Start(ctx, "w", nil, WithID(bad))),
			"signal id":     eng.Signal(ctx, "r", "go", nil, WithSignalID(bad)),
			"signal name":   eng.Signal(ctx, "r", bad, nil),
			"object key":    second(eng.Object(ctx, bad)),
			"deleted key":   eng.DeleteObject(ctx, bad),
			"joined name":   func() error { j := join; j.Service = bad; return second(eng.Join(ctx, j)) }(),
			"joined as":     func() error { j := join; j.Handlers = []string{bad}; return second(eng.Join(ctx, j)) }(),
		} {
			if err == nil || !strings.Contains(err.Error(), "empty") && !strings.Contains(err.Error(), "a place in a path") {
				t.Errorf("%s %q: %v", what, bad, err)
			}
		}
		for what, err := range map[string]error{"cancel": eng.Cancel(ctx, bad, ""), "retry": eng.Retry(ctx, bad, ""), "delete": eng.Delete(ctx, bad), "fire": eng.FireTimer(ctx, bad, "t"),
			"signal": eng.Signal(ctx, bad, "go", nil), "status": second(eng.Status(ctx, bad)), "history": second(eng.History(ctx, bad, 0, 10)), "explain": second(eng.Explain(ctx, bad)), "wait": second(eng.Wait(ctx, bad))} {
			if !errors.Is(err, ErrRunNotFound) {
				t.Errorf("%s of run %q: %v", what, bad, err)
			}
		}
		if err := eng.FireTimer(ctx, "r", bad); !errors.Is(err, ErrTimerNotFound) {
			t.Errorf("timer %q: %v", bad, err)
		}
	}
	if st, err := eng.Status(ctx, "r"); err != nil || st.State != "running" {
		t.Errorf("the run: %+v %v", st, err)
	}
}

func second[T any](_ T, err error) error { return err }

// A handler's idempotency key, RUN/STEP, names a run or a signal, and so does its child's.
func TestAnIdempotencyKeyIsAnID(t *testing.T) {
	eng, err := Open(filepath.Join(t.TempDir(), "runs.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	ctx := t.Context()
	if err := eng.Register("child", flow.Definition{Steps: []flow.Step{flow.WaitSignal("ok", "go")}}); err != nil {
		t.Fatal(err)
	}
	err = HandleRaw(eng, "s", "spawn", func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
		id, err := eng.Start(ctx, "child", nil, WithID(task.IdempotencyKey))
		if err == nil {
			err = eng.Signal(ctx, id, "go", "hello", WithSignalID(task.IdempotencyKey))
		}
		return json.RawMessage(`"` + id + `"`), err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Register("parent", flow.Definition{Steps: []flow.Step{flow.Task("spawn", "s", "spawn")}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"p", "p/spawn/spawn", "#1[a]"} {
		if _, err := eng.Start(ctx, "parent", nil, WithID(id)); err != nil {
			t.Fatal(err)
		}
		if st, err := eng.Wait(ctx, id); err != nil || st.State != "completed" {
			t.Fatalf("%s: %+v %v", id, st, err)
		}
		if st, err := eng.Wait(ctx, id+"/spawn"); err != nil || st.State != "completed" {
			t.Errorf("%s/spawn: %+v %v", id, st, err)
		}
	}
}

// A journal of before may hold runs and definitions with names that are refused now. It opens, they are listed and read, and what
// is open can be ended.
func TestRunsOfBeforeWithSuchNamesAreThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	// As an engine of before did: the checks stand before the loop.
	body := []byte(`{"steps":[{"dependencies":[],"name":"..","signal":{"name":".","timeout_ms":3600000},"type":"wait_signal"}]}`)
	def, problems := flow.Parse(body)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g, err := flow.RecordedGraph(def, true)
	if err != nil {
		t.Fatal(err)
	}
	if body, err = flow.Canonical(g.Def); err != nil {
		t.Fatal(err)
	}
	if _, err := call(ctx, eng, func(done func(error)) shard.Input {
		return &shard.Register{Name: ".", Graph: g, Body: body, Reply: func(_ shard.Registered, err error) { done(err) }}
	}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{".", "..", "good"} {
		if err := callErr(ctx, eng, func(done func(error)) shard.Input {
			return &shard.Start{ID: id, Given: true, Workflow: ".", Input: []byte("null"), Reply: func(_ shard.Started, err error) { done(err) }}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := eng.Cancel(ctx, ".", "before"); err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	if eng, err = Open(path, Options{}); err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	heads, err := eng.List(ctx, ListFilter{})
	if err != nil || len(heads) != 3 {
		t.Fatalf("%+v %v", heads, err)
	}
	for id, state := range map[string]string{".": "cancelled", "..": "running", "good": "running"} {
		st, err := eng.Status(ctx, id)
		if err != nil || st.State != state {
			t.Errorf("%s: %+v %v", id, st, err)
		}
		if events, err := eng.History(ctx, id, 0, 10); err != nil || len(events) == 0 {
			t.Errorf("%s: %v %v", id, events, err)
		}
	}
	if err := eng.Cancel(ctx, "..", "it has no good name"); err != nil {
		t.Error(err)
	}
	if err := eng.Delete(ctx, ".."); err != nil {
		t.Error(err)
	}
}
