package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

func open(t *testing.T, o engine.Options) (*engine.Engine, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return eng, path
}

func register(t *testing.T, eng *engine.Engine, name string, steps ...flow.Step) {
	t.Helper()
	if err := eng.Register(name, flow.Definition{Steps: steps}); err != nil {
		t.Fatal(err)
	}
}

func handle(t *testing.T, eng *engine.Engine, name string, fn worker.Func) {
	t.Helper()
	if err := engine.HandleRaw(eng, "svc", name, fn); err != nil {
		t.Fatal(err)
	}
}

func runOne(t *testing.T, eng *engine.Engine, name string, input any) *engine.Status {
	t.Helper()
	id, err := eng.Start(t.Context(), name, input)
	if err != nil {
		t.Fatal(err)
	}
	status, err := eng.Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

var once = flow.WithRetry(flow.Retry{MaxAttempts: 1})

func TestAPanicIsAFailedAttemptAndTheEngineLives(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	var calls atomic.Int32
	handle(t, eng, "panics", func(context.Context, *worker.Task) (json.RawMessage, error) {
		if calls.Add(1) == 1 {
			panic("out of cheese")
		}
		return nil, nil
	})
	register(t, eng, "w", flow.Task("a", "svc", "panics", flow.WithRetry(flow.Retry{InitialIntervalMS: 1})))
	status := runOne(t, eng, "w", nil)
	step := status.Steps["a"]
	if status.State != "completed" || step.Attempt != 2 || step.Error.Code != "panic" || !strings.Contains(step.Error.Message, "out of cheese") || step.Error.Stack == "" {
		t.Fatalf("%s %+v", status.State, step)
	}
}

func TestFailuresAndWhatTheRunSaysOfThem(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	handle(t, eng, "final", func(context.Context, *worker.Task) (json.RawMessage, error) {
		return nil, flow.NonRetryable(errors.New("no such customer"))
	})
	ended := make(chan error, 2)
	handle(t, eng, "slow", func(ctx context.Context, _ *worker.Task) (json.RawMessage, error) {
		ctx, cancel := context.WithCancel(ctx) // as a call inside of it does
		defer cancel()
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	handle(t, eng, "nonsense", func(context.Context, *worker.Task) (json.RawMessage, error) { return json.RawMessage(`{"a":`), nil })
	handle(t, eng, "huge", func(context.Context, *worker.Task) (json.RawMessage, error) {
		return json.RawMessage(`"` + strings.Repeat("x", 2<<20) + `"`), nil
	})
	handle(t, eng, "foreign", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		return nil, task.SetObject("not:mine", 1)
	})
	register(t, eng, "final", flow.Task("a", "svc", "final"))
	register(t, eng, "timeout", flow.Task("a", "svc", "slow", flow.AttemptTimeout(20*time.Millisecond), once))
	register(t, eng, "silent", flow.Task("a", "svc", "slow", flow.HeartbeatTimeout(20*time.Millisecond), once))
	register(t, eng, "nonsense", flow.Task("a", "svc", "nonsense"))
	register(t, eng, "huge", flow.Task("a", "svc", "huge"))
	register(t, eng, "foreign", flow.Task("a", "svc", "foreign", flow.Keys("mine"), once))
	for name, code := range map[string]string{"final": "not_retryable", "timeout": "attempt_timeout", "silent": "heartbeat_timeout",
		"nonsense": "outcome_invalid", "huge": "outcome_invalid", "foreign": "object_not_held"} {
		status := runOne(t, eng, name, nil)
		if status.State != "failed" || status.Error == nil || status.Error.Code != code || status.Error.Step != "a" || status.Error.Attempt != 1 {
			t.Errorf("%s: %s %+v, want %s", name, status.State, status.Error, code)
		}
	}
	for range cap(ended) {
		if why := <-ended; why == nil || why == context.Canceled || why.Error() == "" {
			t.Errorf("the context of a handler does not say why it has ended: %v", why)
		}
	}
}

func TestAHandlerGetsItsTaskAndItsParameters(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	type in struct {
		City   string          `json:"city"`
		First  json.RawMessage `json:"first"`
		Limit  int             `json:"limit"`
		Absent *string         `json:"absent"`
	}
	got := make(chan in, 1)
	tasks := make(chan *worker.Task, 1)
	err := engine.Handle(eng, "svc", "typed", func(ctx context.Context, v in) (string, error) {
		got <- v
		tasks <- worker.FromContext(ctx)
		return "<ok>", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	handle(t, eng, "first", func(context.Context, *worker.Task) (json.RawMessage, error) {
		return json.RawMessage(`{"n": 12345678901234567890, "n": 1}`), nil
	})
	if err := engine.Handle(eng, "svc", "strict", func(context.Context, struct {
		Needed string `json:"needed" agnt5:"required"`
	}) (string, error) {
		return "", nil
	}); err != nil {
		t.Fatal(err)
	}
	register(t, eng, "w", flow.Task("first", "svc", "first"), flow.Task("typed", "svc", "typed", flow.After("first"), flow.Input(map[string]int{"limit": 7})))
	register(t, eng, "strict", flow.Task("a", "svc", "strict"))
	id, err := eng.Start(t.Context(), "w", json.RawMessage(`{"city": "Köln",  "limit": 1}`), engine.WithID("run-1"))
	if err != nil {
		t.Fatal(err)
	}
	status, err := eng.Wait(t.Context(), id)
	if err != nil || status.State != "completed" {
		t.Fatalf("%+v %v", status, err)
	}
	v, task := <-got, <-tasks
	if v.City != "Köln" || v.Limit != 7 || v.Absent != nil || string(v.First) != `{"n": 12345678901234567890, "n": 1}` {
		t.Errorf("bound %+v", v)
	}
	if task.WorkflowID != "run-1" || task.WorkflowName != "w" || task.Step != "typed" || task.Attempt != 1 || task.IdempotencyKey == "" ||
		string(task.WorkflowInput) != `{"city": "Köln",  "limit": 1}` || string(task.InputData) != `{"limit":7}` {
		t.Errorf("task %+v", task)
	}
	if string(status.Output) != `{"typed":"\u003cok\u003e"}` || string(status.Steps["first"].Output) != `{"n": 12345678901234567890, "n": 1}` {
		t.Errorf("output %s, first %s", status.Output, status.Steps["first"].Output)
	}
	if status := runOne(t, eng, "strict", nil); status.Error == nil || status.Error.Code != "input_unbound" || !strings.Contains(status.Error.Message, `"needed"`) {
		t.Errorf("%+v", status.Error)
	}
	if err := engine.HandleRaw(eng, "svc", "first", nil); err == nil || !strings.Contains(err.Error(), "already registered") {
		t.Errorf("registered twice: %v", err)
	}
}

func TestWhatIsRefusedIsNamedAndNotJournaled(t *testing.T) {
	eng, _ := open(t, engine.Options{MaxPayload: 1000})
	register(t, eng, "w", flow.WaitSignal("a", "go"))
	id, err := eng.Start(t.Context(), "w", nil, engine.WithID("one"))
	if err != nil {
		t.Fatal(err)
	}
	before, _, err := eng.Feed(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	deep := json.RawMessage(strings.Repeat("[", 65) + strings.Repeat("]", 65))
	start := func(workflow string, input any, opts ...engine.StartOption) error {
		_, err := eng.Start(t.Context(), workflow, input, opts...)
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"unknown workflow":     {start("nobody", nil), "no such workflow"},
		"input too large":      {start("w", strings.Repeat("x", 1001)), "limit is 1000"},
		"input no JSON":        {start("w", json.RawMessage(`{`)), "input"},
		"input bad UTF-8":      {start("w", json.RawMessage("\"\xff\"")), "UTF-8"},
		"input too deep":       {start("w", deep), "64"},
		"id with a blank":      {start("w", nil, engine.WithID("a b")), "workflow_id"},
		"id too long":          {start("w", nil, engine.WithID(strings.Repeat("x", 513))), "workflow_id"},
		"the same id, another": {start("w", 5, engine.WithID(id)), "its input is another"},
		"signal to nobody":     {eng.Signal(t.Context(), "nobody", "go", nil), "no such run"},
		"signal name":          {eng.Signal(t.Context(), id, "a/b", nil), "signal name"},
		"signal payload":       {eng.Signal(t.Context(), id, "go", json.RawMessage("nope")), "payload"},
		"retry of a live run":  {eng.Retry(t.Context(), id, ""), "only a failed or cancelled run"},
		"no such timer":        {eng.FireTimer(t.Context(), id, "t"), "no such timer"},
		"delete a live run":    {eng.Delete(t.Context(), id), "has not finished"},
		"cancel nobody":        {eng.Cancel(t.Context(), "nobody", ""), "no such run"},
		"bad definition":       {eng.Register("x", flow.Definition{}), flow.CodeNoSteps},
		"bad workflow name":    {eng.Register("a b", flow.Definition{Steps: []flow.Step{flow.WaitSignal("a", "go")}}), flow.CodeNameInvalid},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, c.err, c.want)
		}
	}
	after, _, err := eng.Feed(t.Context(), 0, 10_000)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d events before, %d after: %v", len(before), len(after), err)
	}
}

func TestStatusSaysWhyARunDoesNotMove(t *testing.T) {
	eng, _ := open(t, engine.Options{Services: map[string]int{"one": 1}})
	release := make(chan struct{})
	defer close(release)
	block := func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
		_ = task.Heartbeat("half way")
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil, nil
	}
	handle(t, eng, "block", block)
	if err := engine.HandleRaw(eng, "one", "block", block); err != nil {
		t.Fatal(err)
	}
	handle(t, eng, "fails", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, errors.New("try later") })
	hour := time.Hour
	register(t, eng, "w",
		flow.WaitSignal("signal", "go", flow.Timeout(hour, "")), flow.WaitTimer("timer", "t", flow.Delay(hour)),
		flow.Task("nobody", "far", "away"), flow.Task("runs", "svc", "block", flow.Keys("k")), flow.Task("blocked", "svc", "block", flow.Keys("k")),
		flow.Task("retries", "svc", "fails", flow.WithRetry(flow.Retry{InitialIntervalMS: hour.Milliseconds(), MaxIntervalMS: hour.Milliseconds()})),
		flow.Task("full1", "one", "block"), flow.Task("full2", "one", "block"))
	id, err := eng.Start(t.Context(), "w", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"signal": "signal", "timer": "timer", "nobody": "no_worker", "runs": "running", "blocked": "key_held", "retries": "retry_at", "full1": "running", "full2": "service_full"}
	got := map[string]string{}
	until(t, func() bool {
		reasons, err := eng.Explain(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		clear(got)
		for _, r := range reasons {
			got[r.Step] = r.Code
			if r.Detail == "" {
				t.Errorf("%s has no sentence", r.Step)
			}
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	}, func() string { return fmt.Sprintf("%v, want %v", got, want) })
	until(t, func() bool {
		status, err := eng.Status(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return string(status.Steps["runs"].Heartbeat) == `"half way"`
	}, func() string { return "no heartbeat details" })
	if err := eng.Cancel(t.Context(), id, "enough"); err != nil {
		t.Fatal(err)
	}
	if err := eng.Cancel(t.Context(), id, "again"); err != nil {
		t.Fatal(err)
	}
}

// until waits for something that comes about by itself; the deadline is far beyond what it takes.
func until(t *testing.T, done func() bool, what func() string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(what())
		}
	}
}

func TestObjectStateIsUpdatedExactlyOnce(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	handle(t, eng, "inc", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		var n int
		_ = json.Unmarshal(task.Objects["n"].State, &n)
		if err := task.SetObject("n", n+1); err != nil {
			return nil, err
		}
		if task.Attempt == 1 {
			return nil, errors.New("after the update")
		}
		return nil, nil
	})
	handle(t, eng, "drop", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		return nil, task.SetObject("n", nil)
	})
	soon := flow.WithRetry(flow.Retry{InitialIntervalMS: 1})
	register(t, eng, "inc", flow.Task("a", "svc", "inc", flow.Keys("n"), soon), flow.Task("b", "svc", "inc", flow.Keys("n"), soon))
	register(t, eng, "drop", flow.Task("a", "svc", "drop", flow.Keys("n")))
	for range 5 {
		runOne(t, eng, "inc", nil)
	}
	o, err := eng.Object(t.Context(), "n")
	if err != nil || string(o.State) != "10" || o.Version != 10 || o.Fence == 0 {
		t.Fatalf("%+v %v", o, err)
	}
	list, err := eng.Objects(t.Context(), "", "", 0)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	runOne(t, eng, "drop", nil)
	if o, err = eng.Object(t.Context(), "n"); err != nil || string(o.State) != "null" || o.Version != 0 {
		t.Fatalf("removed: %+v %v", o, err)
	}
	runOne(t, eng, "inc", nil)
	if err := eng.DeleteObject(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
	if o, err = eng.Object(t.Context(), "n"); err != nil || string(o.State) != "null" {
		t.Fatalf("deleted: %+v %v", o, err)
	}
}

func TestARunKeepsItsVersionForLife(t *testing.T) {
	eng, path := open(t, engine.Options{})
	handle(t, eng, "h", func(_ context.Context, task *worker.Task) (json.RawMessage, error) { return task.InputData, nil })
	old := flow.Definition{Steps: []flow.Step{flow.WaitSignal("wait", "go"), flow.Task("a", "svc", "h", flow.Input(1), flow.After("wait"))}}
	if err := eng.Register("w", old); err != nil {
		t.Fatal(err)
	}
	id, err := eng.Start(t.Context(), "w", nil)
	if err != nil {
		t.Fatal(err)
	}
	register(t, eng, "w", flow.Task("b", "svc", "h", flow.Input(2)))
	if got := runOne(t, eng, "w", nil); got.Version != 2 || string(got.Output) != `{"b":2}` {
		t.Fatalf("%d %s", got.Version, got.Output)
	}
	if v, err := eng.RegisterVersion(t.Context(), "w", &old, true); err != nil || v.Version != 1 || v.Created {
		t.Fatalf("published by a worker: %+v %v", v, err)
	}
	if got := runOne(t, eng, "w", nil); got.Version != 2 {
		t.Fatalf("a worker of an older release turned the clock back to version %d", got.Version)
	}
	if err := eng.Signal(t.Context(), id, "go", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := eng.Wait(t.Context(), id); err != nil || got.Version != 1 || string(got.Output) != `{"a":1}` {
		t.Fatalf("%+v %v", got, err)
	}
	_ = path
}

func TestADeletedRunIsGoneAndItsIdIsKept(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	handle(t, eng, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
	register(t, eng, "w", flow.Task("a", "svc", "h"))
	id, err := eng.Start(t.Context(), "w", nil, engine.WithID("gone"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := eng.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Status(t.Context(), id); !errors.Is(err, engine.ErrRunExpired) {
		t.Errorf("status: %v", err)
	}
	if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("gone")); !errors.Is(err, engine.ErrRunExpired) {
		t.Errorf("start: %v", err)
	}
	runs, err := eng.List(t.Context(), engine.ListFilter{})
	if err != nil || len(runs) != 0 {
		t.Errorf("list: %v %v", runs, err)
	}
}

func TestWatchGivesEveryEventOnceAndInOrder(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	handle(t, eng, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
	register(t, eng, "w", flow.Task("a", "svc", "h"), flow.Task("b", "svc", "h", flow.After("a")))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var seen []engine.Event
	count := 0
	go func() {
		defer close(ended)
		_ = eng.Watch(ctx, engine.WatchFilter{}, func(e engine.Event) error {
			seen = append(seen, e)
			if e.Kind == "RunCompleted" {
				if count++; count == 20 {
					cancel()
				}
			}
			return nil
		})
	}()
	for range 20 {
		runOne(t, eng, "w", nil)
	}
	<-ended
	for i, e := range seen {
		if e.Seq != uint64(i+1) {
			t.Fatalf("event %d has sequence %d", i, e.Seq)
		}
	}
}

// A step waits for those in after, and is not given their outputs; they count for nothing else that a handler gets.
func TestAfterIsForOrderAlone(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	let := make(chan struct{})
	got := make(chan *worker.Task, 1)
	handle(t, eng, "first", func(context.Context, *worker.Task) (json.RawMessage, error) { return json.RawMessage(`{"n":1}`), nil })
	handle(t, eng, "second", func(context.Context, *worker.Task) (json.RawMessage, error) {
		<-let
		return json.RawMessage(`"` + strings.Repeat("x", 1<<20-2) + `"`), nil
	})
	handle(t, eng, "join", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		got <- task
		return json.RawMessage(`"joined"`), nil
	})
	steps := []flow.Step{flow.Task("a", "svc", "first")}
	var large []string
	for i := range 20 { // more than a task may hold
		large = append(large, fmt.Sprint("b", i))
		steps = append(steps, flow.Task(large[i], "svc", "second"))
	}
	register(t, eng, "w", append(steps, flow.Task("c", "svc", "join", flow.After("a"), flow.RunAfter(large...)))...)
	id, err := eng.Start(t.Context(), "w", nil)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
		t.Error("the step began before those in after had settled")
	default:
	}
	close(let)
	st, err := eng.Wait(t.Context(), id)
	if err != nil || st.State != "completed" || string(st.Output) != `{"c":"joined"}` {
		t.Fatalf("%+v %v", st, err)
	}
	if task := <-got; len(task.Dependencies) != 1 || string(task.Dependencies["a"]) != `{"n":1}` {
		t.Errorf("%d dependencies", len(task.Dependencies))
	}
}

// A start with a signal is both or neither, whether the run is new, open or over.
func TestAStartBringsItsSignal(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	ctx := t.Context()
	register(t, eng, "two", flow.WaitSignal("first", "go"), flow.WaitSignal("second", "go", flow.After("first")))
	start := func(id, workflow, signal, payload string) error {
		t.Helper()
		_, _, err := eng.StartRun(ctx, workflow, nil, engine.WithID(id), engine.WithSignal("go", signal, json.RawMessage(payload)))
		return err
	}
	if err := start("r", "two", "s1", `1`); err != nil {
		t.Fatal(err)
	}
	st, err := eng.Status(ctx, "r")
	if err != nil || st.Steps["first"].State != "completed" || st.Steps["second"].State != "waiting" {
		t.Fatalf("%+v %v", st, err)
	}
	if err := start("r", "two", "s1", `1`); err != nil { // the same again
		t.Error(err)
	}
	if err := start("r", "two", "s1", `2`); !errors.Is(err, engine.ErrSignalConflict) {
		t.Errorf("another payload: %v", err)
	}
	if _, _, err := eng.StartRun(ctx, "two", "other", engine.WithID("r"), engine.WithSignal("go", "s2", nil)); !errors.Is(err, engine.ErrRunConflict) {
		t.Errorf("another input: %v", err)
	}
	if err := start("none", "nothing", "s1", `1`); !errors.Is(err, engine.ErrWorkflowNotFound) {
		t.Errorf("no workflow: %v", err)
	}
	if err := start("bad", "two", "s 1", `1`); err == nil {
		t.Error("a bad signal id was taken")
	}
	if _, err := eng.Status(ctx, "bad"); !errors.Is(err, engine.ErrRunNotFound) {
		t.Errorf("the run was started without its signal: %v", err)
	}
	if st, _ := eng.Status(ctx, "r"); st.Steps["second"].State != "waiting" {
		t.Errorf("a refused start delivered its signal: %+v", st.Steps)
	}
	if err := start("r", "two", "s3", `3`); err != nil { // to the run that exists
		t.Fatal(err)
	}
	if st, err := eng.Wait(ctx, "r"); err != nil || string(st.Output) != `{"second":3}` {
		t.Fatalf("%+v %v", st, err)
	}
	if err := start("r", "two", "s3", `3`); err != nil {
		t.Errorf("the same again, after the end: %v", err)
	}
	if err := start("r", "two", "s4", `4`); !errors.Is(err, engine.ErrRunFinished) {
		t.Errorf("after the end: %v", err)
	}
}
