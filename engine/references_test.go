package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// 1,100 outputs of 64 KiB join, in this process and in a worker that takes references; for one that does not the step fails, by code.
func TestLargeOutputsJoin(t *testing.T) {
	many := 1100
	if testing.Short() {
		many = 300 // over 16 MiB, too
	}
	for _, c := range []struct {
		many, size int
		kinds      []string
	}{{many, 64 << 10, []string{"raw"}}, {20, 900 << 10, []string{"raw", "typed", "far", "old"}}} {
		t.Run(fmt.Sprint(c.many), func(t *testing.T) { largeOutputsJoin(t, c.many, c.size, c.kinds) })
	}
}

func largeOutputsJoin(t *testing.T, many, size int, kinds []string) {
	eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	out := append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, size-2)...), '"')
	raw := func(name string, fn worker.Func) {
		if err := engine.HandleRaw(eng, "svc", name, fn); err != nil {
			t.Fatal(err)
		}
	}
	raw("make", func(context.Context, *worker.Task) (json.RawMessage, error) { return out, nil })
	raw("sum", func(ctx context.Context, t *worker.Task) (json.RawMessage, error) {
		n := 0
		for i := range many {
			b, ok, err := t.Dependency(ctx, fmt.Sprintf("s%d", i))
			if err != nil || !ok {
				return nil, fmt.Errorf("s%d: %v, %w", i, ok, err)
			}
			n += len(b)
		}
		return json.Marshal(n)
	})
	type some struct {
		S7 string `json:"s7"`
	}
	if err := engine.Handle(eng, "svc", "some", func(_ context.Context, in some) (int, error) { return len(in.S7), nil }); err != nil {
		t.Fatal(err)
	}
	var steps []flow.Step
	var all []string
	for i := range many {
		all = append(all, fmt.Sprintf("s%d", i))
		steps = append(steps, flow.Task(all[i], "svc", "make"))
	}
	for name, end := range map[string][2]string{"raw": {"svc", "sum"}, "typed": {"svc", "some"}, "far": {"far", "h"}, "old": {"old", "h"}} {
		register(t, eng, name, append(append([]flow.Step{}, steps...), flow.Task("end", end[0], end[1], flow.After(all...)))...)
	}
	for _, name := range kinds {
		want, ends := map[string]string{"raw": fmt.Sprint(many * size), "typed": fmt.Sprint(size - 2)}[name]
		if !ends {
			continue
		}
		id, err := eng.Start(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := eng.Wait(t.Context(), id); err != nil || string(st.Output) != `{"end":`+want+`}` {
			t.Errorf("%s: %.200s, %v, %+v", name, st.Output, err, st.Error)
		}
	}

	if len(kinds) == 1 {
		return
	}
	far, err := eng.Join(t.Context(), engine.JoinRequest{Service: "far", Handlers: []string{"h"}, Capacity: 1, References: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "far", nil, engine.WithID("far-1")); err != nil {
		t.Fatal(err)
	}
	task := polled(t, eng, far.WorkerID)
	carried, referred := 0, 0
	for _, b := range task.Dependencies {
		carried += len(b)
	}
	for name, ref := range task.References {
		referred += int(ref.Bytes)
		if ref.Step != name || task.Dependencies[name] != nil {
			t.Fatalf("%s: %+v", name, ref)
		}
	}
	if carried > worker.MaxInline || carried+referred != many*size || len(task.Dependencies)+len(task.References) != many {
		t.Errorf("it carries %d bytes and refers to %d", carried, referred)
	}
	for name := range task.References {
		if err := eng.Refers(t.Context(), task.Token, "far-1", name); err != nil {
			t.Fatal(err)
		}
		if b, err := eng.StepOutput(t.Context(), "far-1", name); err != nil || len(b) != size {
			t.Fatal(len(b), err)
		}
		break
	}

	if _, err := eng.Join(t.Context(), engine.JoinRequest{WorkerID: "old", Service: "old", Handlers: []string{"h"}, Capacity: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "old", nil, engine.WithID("old-1")); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = eng.Poll(t.Context(), "old", engine.PollRequest{Seq: 1, Max: 1, Wait: engine.MaxWait}) }()
	if st, err := eng.Wait(t.Context(), "old-1"); err != nil || st.Error == nil || st.Error.Code != "task_too_large" || st.Error.Step != "end" {
		t.Errorf("a worker that does not take references: %+v, %v", st.Error, err)
	}
}

func polled(t *testing.T, eng *engine.Engine, id string) *worker.Task {
	t.Helper()
	for seq := uint64(1); ; seq++ {
		got, err := eng.Poll(t.Context(), id, engine.PollRequest{Seq: seq, Max: 1, Wait: engine.MaxWait})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Tasks) > 0 {
			return got.Tasks[0]
		}
	}
}
