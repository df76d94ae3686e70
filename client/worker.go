package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/pool"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/agnt5/agnt5d/worker"
)

// WorkerOptions are a worker's settings. The zero value means the defaults that each field names.
type WorkerOptions struct {
	// Version is informational, 256 bytes at most.
	Version string
	// Publish says what becomes of a workflow that is published with a definition which its name has had. "": nothing, and the
	// log has a warning when another version is current. "current": it becomes current when the worker joins, which is what a
	// roll-back wants; workers of two releases that both say it take turns. The same holds for schedules.
	Publish string
	// Capacity is how many attempts it works on at once, up to 100,000. 0: 100.
	Capacity int
	// Drain is how long Run waits for handlers when its context ends. 0: 10 s; negative: it does not wait.
	Drain time.Duration
	// GCHeadroom is how much more than it needs the heap may grow before the garbage collector runs: a worker's own heap is
	// small and its tasks are short-lived, so that the collector would run all the time. 0: 32 MiB; negative: none; at most 1 GiB.
	GCHeadroom int
	// Logger hears what an operator should know. nil: nothing is logged.
	Logger *slog.Logger
}

// Worker serves handlers of one service for a daemon. An outcome is kept, and sent again, until the daemon has answered for
// it; when the daemon restarts, or the connection breaks, the worker comes back to its session and goes on.
type Worker struct {
	c        *Client
	service  string
	o        WorkerOptions
	handlers map[string]worker.Func
	flows    map[string]json.RawMessage
	agenda   []json.RawMessage // definitions of schedules
	attempts map[stepOf]int64  // how many each step of the published workflows has
	names    []string
	bad      error // of Handle, Publish or Schedule; Run returns it
}

type stepOf struct {
	workflow, step string
	undo           bool // the compensation of it
}

// NewWorker gives a worker for a service of the daemon. An option that is out of its range Run says.
func NewWorker(c *Client, service string, o WorkerOptions) *Worker {
	bad := o.check()
	if o.Capacity == 0 {
		o.Capacity = 100
	}
	if o.Drain == 0 {
		o.Drain = 10 * time.Second
	}
	if o.GCHeadroom == 0 {
		o.GCHeadroom = 32 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Worker{c: c, service: service, o: o, bad: bad, handlers: map[string]worker.Func{}, flows: map[string]json.RawMessage{}, attempts: map[stepOf]int64{}}
}

// check says which option is out of its range. 0 is in each: it stands for the default.
func (o *WorkerOptions) check() error {
	switch {
	case o.Capacity < 0 || o.Capacity > maxCapacity:
		return fmt.Errorf("worker: option Capacity is %d, want 1 to %d, or 0 for 100", o.Capacity, maxCapacity)
	case o.GCHeadroom > maxHeadroom:
		return fmt.Errorf("worker: option GCHeadroom is %d, want at most %d, 0 for 32 MiB, or less than 0 for none", o.GCHeadroom, maxHeadroom)
	case o.Publish != "" && o.Publish != wire.PublishCurrent:
		return fmt.Errorf("worker: option Publish is %q, want \"current\" or \"\"", o.Publish)
	case len(o.Version) > maxVersion:
		return fmt.Errorf("worker: option Version has %d bytes, want at most %d", len(o.Version), maxVersion)
	}
	return nil
}

const (
	maxCapacity = 100_000 // the daemon takes no more
	maxVersion  = 256
	maxHeadroom = 1 << 30
)

// Handle registers a typed handler, with the signature of engine.Handle. What is wrong with it Run says.
func Handle[In, Out any](w *Worker, name string, fn func(ctx context.Context, in In) (Out, error)) {
	f, err := worker.Adapt(fn)
	if err != nil {
		w.bad = errors.Join(w.bad, fmt.Errorf("handler %s/%s: %w", w.service, name, err))
		return
	}
	w.handle(name, f)
}

// HandleRaw registers a handler that gets the whole task and answers in JSON. Outputs of over 16 MiB together it reads with
// Task.Dependency.
func HandleRaw(w *Worker, name string, fn worker.Func) { w.handle(name, worker.Whole(fn)) }

func (w *Worker) handle(name string, fn worker.Func) {
	if err := flow.ValidName(name); err != nil {
		w.bad = errors.Join(w.bad, fmt.Errorf("handler %s/%s: the name %w", w.service, name, err))
		return
	}
	if w.handlers[name] != nil {
		w.bad = errors.Join(w.bad, fmt.Errorf("handler %s/%s is already registered in this worker", w.service, name))
		return
	}
	w.handlers[name] = fn
	w.names = append(w.names, name)
}

// Publish makes the worker register a workflow when it joins. A definition that the name has had changes nothing: workers of
// an older release do not turn the clock back. WorkerOptions.Publish changes that, for a roll-back.
func (w *Worker) Publish(name string, def flow.Definition) {
	body, err := flow.Canonical(&def)
	if bad := flow.ValidName(name); bad != nil && err == nil {
		err = fmt.Errorf("the name %w", bad)
	}
	if problems := flow.Validate(&def); len(problems) > 0 {
		err = problems
	}
	if err != nil {
		w.bad = errors.Join(w.bad, fmt.Errorf("workflow %s: %w", name, err))
		return
	}
	if w.flows[name] != nil && string(w.flows[name]) != string(body) {
		w.bad = errors.Join(w.bad, fmt.Errorf("workflow %s is published twice in this worker, with different definitions", name))
		return
	}
	w.flows[name] = body
	for _, s := range def.All() {
		w.attempts[stepOf{name, s.Name, false}] = flow.RetryPolicy(&s).MaxAttempts
		if s.Compensate != nil {
			w.attempts[stepOf{name, s.Name, true}] = flow.RetryPolicy(&flow.Step{Retry: s.Compensate.Retry}).MaxAttempts
		}
	}
}

// Schedule makes the worker publish a schedule when it joins: the daemon creates it, or changes it when it belongs to this service. One
// that somebody else put, or deleted, stays as it is, and the log has a warning. A definition that the schedule has had changes nothing.
func (w *Worker) Schedule(d schedules.Definition) {
	if problems := d.Check(); len(problems) > 0 {
		w.bad = errors.Join(w.bad, fmt.Errorf("schedule %s: %w", d.Name, problems))
		return
	}
	body, err := json.Marshal(d)
	if err != nil {
		w.bad = errors.Join(w.bad, fmt.Errorf("schedule %s: %w", d.Name, err))
		return
	}
	w.agenda = append(w.agenda, body)
}

// Run serves until ctx ends: then it takes no more tasks, waits for its handlers, brings their outcomes and leaves. It returns
// an error at once when the daemon refuses it for good, and before anything is sent when a service, handler, workflow or
// schedule is not valid.
func (w *Worker) Run(ctx context.Context) error {
	if err := flow.ValidName(w.service); err != nil {
		return fmt.Errorf("worker: the service's name %w", err)
	}
	if w.bad != nil {
		return w.bad
	}
	headroom := make([]byte, max(w.o.GCHeadroom, 0)) // never touched: it takes no memory, but counts as heap
	defer runtime.KeepAlive(headroom)
	p := pool.New(newSource(w), pool.Options{Capacity: w.o.Capacity, Drain: w.o.Drain, MaxOutcome: maxOutcome, Run: w.run, Last: w.last, Logger: w.o.Logger})
	err := p.Run(ctx, context.WithoutCancel(ctx)) // what is under way outlives ctx: it is drained
	var no *model.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no) && no.Status == http.StatusUnauthorized:
		return fmt.Errorf("worker: the daemon at %s refuses this worker: %w; its access token is that of AGNT5_API_KEY, or of the client's options Key or TokenFile", w.c.shown, err)
	}
	return fmt.Errorf("worker: %w", err)
}

const maxOutcome = 30 << 20 // bytes that are worth sending at all

// run runs one attempt.
func (w *Worker) run(ctx context.Context, t *worker.Task, o *worker.Outcome) {
	fn := w.handlers[t.HandlerName]
	if fn == nil {
		no := false
		*o = worker.Outcome{Status: worker.Failed, Error: &worker.Error{Code: "handler_unknown", Message: fmt.Sprintf("this worker has no handler %s/%s", w.service, t.HandlerName), Retryable: &no}}
		return
	}
	worker.Run(ctx, fn, t, o)
}

// last says whether the step has no further attempt, as far as this worker knows: of a workflow that it did not publish it knows
// nothing, and then the log has the stack each time.
func (w *Worker) last(t *worker.Task) bool {
	return int64(t.Attempt) >= w.attempts[stepOf{t.WorkflowName, t.Step, t.Output != nil}]
}
