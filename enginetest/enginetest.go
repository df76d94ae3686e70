// Package enginetest helps to test workflows: a real engine on a journal in a temporary folder, handlers replaced by stubs,
// and assertions on the path that a run took.
//
//	func TestApproval(t *testing.T) {
//		kit := enginetest.New(t)
//		kit.Register("approval", approval)
//		kit.Stub("mail", "send", "sent")
//		run := kit.Start("approval", map[string]any{"document": "plan"})
//		run.Signal("approved", map[string]any{"by": "ada"})
//		run.Completes("prepare", "wait", "publish").Skips("escalate")
//	}
//
// # Time
//
// Time is the machine's. A test of what takes days runs in a bubble of testing/synctest: there time passes as soon as
// everybody waits, so that 48 hours take milliseconds, and the engine, its timers, time-outs and retries follow.
//
//	synctest.Test(t, func(t *testing.T) {
//		kit := enginetest.New(t)
//		...
//		run.Completes("escalate") // the time-out of 48 hours has passed
//	})
package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// Patience is how long a test waits for a run, by the clock that the test runs under.
const Patience = 365 * 24 * time.Hour

// Kit is an engine under test. Its methods end the test when something is wrong.
type Kit struct {
	*engine.Engine
	t    testing.TB
	path string
	o    engine.Options

	mu    sync.Mutex
	calls map[string][]Call
	stubs []stub
}

// Call is one attempt that a stub answered.
type Call struct {
	Run, Step string
	Attempt   uint32
	Input     json.RawMessage // what the handler would have got as parameters: the union of all that the task carries
}

type stub struct {
	service, handler string
	fn               worker.Func
}

// New opens an engine on a new journal. It is closed when the test ends.
func New(t testing.TB) *Kit { return NewWith(t, engine.Options{}) }

// NewWith is New with the engine's options.
func NewWith(t testing.TB, o engine.Options) *Kit {
	t.Helper()
	k := &Kit{t: t, path: filepath.Join(t.TempDir(), "runs.db"), o: o, calls: map[string][]Call{}}
	k.open()
	t.Cleanup(func() {
		if err := k.Engine.Close(); err != nil && !errors.Is(err, engine.ErrClosed) {
			t.Errorf("enginetest: closing the engine: %v", err)
		}
	})
	return k
}

func (k *Kit) open() {
	k.t.Helper()
	eng, err := engine.Open(k.path, k.o)
	if err != nil {
		k.t.Fatalf("enginetest: %v", err)
	}
	k.Engine = eng
	for _, s := range k.stubs {
		k.serve(s)
	}
}

// Restart closes the engine and opens it again on the same journal, with the same stubs: what a deploy does. Handlers that were
// registered with engine.Handle are not there any more.
func (k *Kit) Restart() {
	k.t.Helper()
	if err := k.Engine.Close(); err != nil {
		k.t.Fatalf("enginetest: closing the engine: %v", err)
	}
	k.open()
}

// Register stores a workflow of these steps.
func (k *Kit) Register(workflow string, steps ...flow.Step) {
	k.t.Helper()
	if err := k.Engine.Register(workflow, flow.Definition{Steps: steps}); err != nil {
		k.t.Fatalf("enginetest: workflow %q: %v", workflow, err)
	}
}

// Stub answers every attempt of a handler with result, or fails it when result is an error (flow.NonRetryable fails the step
// for good).
func (k *Kit) Stub(service, handler string, result any) {
	k.t.Helper()
	k.StubFunc(service, handler, func(context.Context, *worker.Task) (any, error) {
		if err, failed := result.(error); failed {
			return nil, err
		}
		return result, nil
	})
}

// StubFunc answers every attempt of a handler with what fn makes of the task.
func (k *Kit) StubFunc(service, handler string, fn func(ctx context.Context, task *worker.Task) (any, error)) {
	k.t.Helper()
	s := stub{service, handler, func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
		k.called(service+"/"+handler, task)
		result, err := fn(ctx, task)
		if err != nil {
			return nil, err
		}
		return json.Marshal(result)
	}}
	k.stubs = append(k.stubs, s)
	k.serve(s)
}

func (k *Kit) serve(s stub) {
	k.t.Helper()
	if err := engine.HandleRaw(k.Engine, s.service, s.handler, s.fn); err != nil {
		k.t.Fatalf("enginetest: stub of %s/%s: %v", s.service, s.handler, err)
	}
}

func (k *Kit) called(handler string, task *worker.Task) {
	places := map[string]any{"input_data": task.InputData, "dependencies": task.Dependencies, "workflow_input": task.WorkflowInput}
	if task.Input != nil {
		places["input"] = task.Input
	}
	input, _ := json.Marshal(places)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls[handler] = append(k.calls[handler], Call{task.WorkflowID, task.Step, task.Attempt, input})
}

// Calls gives the attempts that the stub of a handler answered, in order.
func (k *Kit) Calls(service, handler string) []Call {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.calls[service+"/"+handler])
}

// Run is a run under test.
type Run struct {
	ID string
	k  *Kit
}

// As gives the same run with its assertions told to another test: a subtest, say.
func (r *Run) As(t testing.TB) *Run {
	k := &Kit{Engine: r.k.Engine, t: t, path: r.k.path, o: r.k.o, calls: r.k.calls}
	return &Run{ID: r.ID, k: k}
}

// Start starts a run.
func (k *Kit) Start(workflow string, input any, options ...engine.StartOption) *Run {
	k.t.Helper()
	id, err := k.Engine.Start(k.t.Context(), workflow, input, options...)
	if err != nil {
		k.t.Fatalf("enginetest: start of %q: %v", workflow, err)
	}
	return &Run{ID: id, k: k}
}

// Signal sends a signal.
func (r *Run) Signal(name string, payload any) {
	r.k.t.Helper()
	if err := r.k.Engine.Signal(r.k.t.Context(), r.ID, name, payload); err != nil {
		r.k.t.Fatalf("enginetest: signal %q of run %s: %v", name, r.ID, err)
	}
}

// Fire fires a timer now.
func (r *Run) Fire(timer string) {
	r.k.t.Helper()
	if err := r.k.FireTimer(r.k.t.Context(), r.ID, timer); err != nil {
		r.k.t.Fatalf("enginetest: timer %q of run %s: %v", timer, r.ID, err)
	}
}

// Status is the run as it is now.
func (r *Run) Status() *engine.Status {
	r.k.t.Helper()
	st, err := r.k.Engine.Status(r.k.t.Context(), r.ID)
	if err != nil {
		r.k.t.Fatalf("enginetest: run %s: %v", r.ID, err)
	}
	return st
}

// Wait waits for the run's end.
func (r *Run) Wait() *engine.Status {
	r.k.t.Helper()
	ctx, cancel := context.WithTimeout(r.k.t.Context(), Patience)
	defer cancel()
	st, err := r.k.Engine.Wait(ctx, r.ID)
	if err != nil {
		r.k.t.Fatalf("enginetest: waiting for run %s: %v\n%s", r.ID, err, r.why())
	}
	return st
}

// Completes waits for the run's end, and wants it completed, and these steps completed in this order; others may stand between.
func (r *Run) Completes(steps ...string) *Run {
	r.k.t.Helper()
	r.ends("completed", steps)
	return r
}

// Fails waits for the run's end, and wants it failed at that step, with that code ("": any).
func (r *Run) Fails(step, code string) *Run {
	r.k.t.Helper()
	st := r.ends("failed", nil)
	if st.Error.Step != step || code != "" && st.Error.Code != code {
		r.k.t.Errorf("run %s failed at %s with %s: %s; want %s with %s", r.ID, st.Error.Step, st.Error.Code, st.Error.Message, step, code)
	}
	return r
}

func (r *Run) ends(state string, steps []string) *engine.Status {
	r.k.t.Helper()
	st := r.Wait()
	if st.State != state {
		why := ""
		if st.Error != nil {
			why = fmt.Sprintf(" at %s: %s (%s)", st.Error.Step, st.Error.Message, st.Error.Code)
		}
		r.k.t.Fatalf("run %s has %s%s; want %s", r.ID, st.State, why, state)
	}
	path := r.Path()
	at := 0
	for _, want := range steps {
		i := slices.Index(path[at:], want)
		if i < 0 {
			r.k.t.Errorf("run %s took the path %v; want %v in this order", r.ID, path, steps)
			break
		}
		at += i + 1
	}
	return st
}

// Skips wants these steps skipped.
func (r *Run) Skips(steps ...string) *Run {
	r.k.t.Helper()
	st := r.Status()
	for _, name := range steps {
		if got := st.Steps[name].State; got != "skipped" {
			r.k.t.Errorf("run %s: step %s is %s; want it skipped", r.ID, name, orNone(got))
		}
	}
	return r
}

func orNone(state string) string {
	if state == "" {
		return "not in the workflow"
	}
	return state
}

// Path gives the steps that completed, in the order in which they did.
func (r *Run) Path() []string {
	r.k.t.Helper()
	var path []string
	after := uint64(0)
	for {
		events, err := r.k.History(r.k.t.Context(), r.ID, after, 1000)
		if err != nil {
			r.k.t.Fatalf("enginetest: history of run %s: %v", r.ID, err)
		}
		for _, e := range events {
			after = e.Seq
			if e.Kind == "StepCompleted" {
				path = append(path, e.Step)
			}
		}
		if len(events) == 0 {
			return path
		}
	}
}

// why says what the run's open steps wait for.
func (r *Run) why() string {
	reasons, err := r.k.Explain(context.Background(), r.ID)
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, reason := range reasons {
		text += fmt.Sprintf("  %s: %s (%s)\n", reason.Step, reason.Detail, reason.Code)
	}
	return text
}
