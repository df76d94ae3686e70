package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// What handlers in the process write is kept, by step and attempt, each to its last 64 KiB; also when the engine was closed
// meanwhile; and it goes with its run.
func TestLogsOfHandlersInTheProcess(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	openAt := func(t *testing.T, file string) *engine.Engine {
		t.Helper()
		eng, err := engine.Open(file, engine.Options{})
		must(t, err)
		return eng
	}
	file := filepath.Join(t.TempDir(), "runs.db")
	eng := openAt(t, file)
	ctx := t.Context()
	must(t, engine.Handle(eng, "svc", "work", func(ctx context.Context, in struct{}) (string, error) {
		task := worker.FromContext(ctx)
		log := worker.Log(ctx)
		log.Info("begin", "attempt", task.Attempt)
		if task.Step == "a" && task.Attempt == 1 {
			return "", errors.New("not yet")
		}
		for i := range 2000 {
			log.Info(fmt.Sprintf("line %d of %s", i, task.Step))
		}
		return "done", nil
	}))
	must(t, eng.Register("w", flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "work", flow.WithRetry(flow.Retry{MaxAttempts: 2, InitialIntervalMS: 1})), flow.Task("b", "svc", "work", flow.After("a")), flow.WaitSignal("go", "go", flow.After("b"))}}))
	if _, err := eng.Start(ctx, "w", nil, engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { st, err := eng.Status(ctx, "r"); return err == nil && st.Steps["go"].State == "waiting" }, func() string { return "the run does not wait for its signal" })
	look := func() {
		t.Helper()
		all, err := eng.Logs(ctx, "r", "", engine.LogPlace{}, 0)
		if err != nil || len(all) != 3 {
			t.Fatalf("%d logs, %v", len(all), err)
		}
		if l := all[0]; l.Step != "a" || l.Attempt != 1 || l.From != 0 || l.To != uint64(len(l.Text)) || !strings.HasSuffix(l.Text, " INFO begin attempt=1\n") {
			t.Errorf("%+v", l)
		}
		for i, step := range map[int]string{1: "a", 2: "b"} {
			l := all[i]
			if l.Step != step || len(l.Text) > worker.MaxLog || len(l.Text) < worker.MaxLog-100 || l.From+uint64(len(l.Text)) != l.To || l.To < 80_000 || !strings.HasSuffix(l.Text, "line 1999 of "+step+"\n") || !strings.HasPrefix(l.Text, "2") {
				t.Errorf("log %d of %s/%d from %d to %d, %d bytes: %.60q", i, l.Step, l.Attempt, l.From, l.To, len(l.Text), l.Text)
			}
		}
		if one, err := eng.Logs(ctx, "r", "a", engine.LogPlace{Step: "a", Attempt: 1}, 1); err != nil || len(one) != 1 || one[0].Attempt != 2 {
			t.Errorf("a page of %d, %v", len(one), err)
		}
	}
	look()
	if none, err := eng.Logs(ctx, "r", "go", engine.LogPlace{}, 0); err != nil || len(none) != 0 {
		t.Errorf("a step that wrote nothing: %v, %v", none, err)
	}
	if _, err := eng.Logs(ctx, "r", "nope", engine.LogPlace{}, 0); !errors.Is(err, engine.ErrStepNotFound) {
		t.Errorf("no such step: %v", err)
	}
	if _, err := eng.Logs(ctx, "x", "", engine.LogPlace{}, 0); !errors.Is(err, engine.ErrRunNotFound) {
		t.Errorf("no such run: %v", err)
	}
	must(t, eng.Close())
	eng = openAt(t, file)
	look()
	must(t, eng.Cancel(ctx, "r", ""))
	must(t, eng.Delete(ctx, "r"))
	if _, err := eng.Logs(ctx, "r", "", engine.LogPlace{}, 0); !errors.Is(err, engine.ErrRunExpired) {
		t.Errorf("a deleted run: %v", err)
	}
	must(t, eng.Close())
}

// An item of a step has a log like a step, also an empty one; what is no item of the list has none.
func TestLogsOfItems(t *testing.T) {
	eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	if err := engine.Handle(eng, "svc", "work", func(ctx context.Context, in struct{}) (int, error) {
		if worker.FromContext(ctx).Step == "a[1]" {
			worker.Log(ctx).Info("here")
		}
		return 1, nil
	}); err != nil {
		t.Fatal(err)
	}
	a := flow.Task("a", "svc", "work")
	a.ForEach = json.RawMessage(`[1,2]`)
	if err := eng.Register("w", flow.Definition{Steps: []flow.Step{a}}); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]int{"a": 0, "a[0]": 0, "a[1]": 1} {
		if all, err := eng.Logs(t.Context(), "r", step, engine.LogPlace{}, 0); err != nil || len(all) != want {
			t.Errorf("%s: %d logs, want %d; %v", step, len(all), want, err)
		}
	}
	for _, step := range []string{"a[2]", "a[-1]", "a[01]", "a[1", "b[0]", "a[]"} {
		if _, err := eng.Logs(t.Context(), "r", step, engine.LogPlace{}, 0); !errors.Is(err, engine.ErrStepNotFound) {
			t.Errorf("%s: %v", step, err)
		}
	}
}
