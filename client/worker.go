package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// WorkerOptions are a worker's settings. The zero value means the defaults that each field names.
type WorkerOptions struct {
	// Version is informational, 256 bytes at most.
	Version string
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
	names    []string
	bad      error // of Handle or Publish; Run returns it

	lost       atomic.Bool // the daemon does not answer, and that was said
	joining    sync.Mutex  // one goroutine joins at a time
	mu         sync.Mutex
	session    wire.Registered
	generation int                 // of the session
	open       map[string]*attempt // by token, until the daemon has answered for its outcome
	done       []worker.Outcome    // outcomes to send
	free       chan struct{}       // capacity 1: an attempt has ended
	ready      chan struct{}       // capacity 1: there is an outcome to send
	beat       chan struct{}       // capacity 1: a handler spoke
	rejoined   chan struct{}       // capacity 1: there is a new session, with an interval of its own
	running    sync.WaitGroup
	crew       worker.Crew[*attempt]
}

// attempt is one attempt in this worker's hands, and the context of its handler.
type attempt struct {
	worker.Attempt
	details json.RawMessage // of the handler's own heartbeat, to be sent; nil: it has not spoken since
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
	return &Worker{c: c, service: service, o: o, bad: bad, handlers: map[string]worker.Func{}, flows: map[string]json.RawMessage{}, open: map[string]*attempt{},
		free: make(chan struct{}, 1), ready: make(chan struct{}, 1), beat: make(chan struct{}, 1), rejoined: make(chan struct{}, 1)}
}

// check says which option is out of its range. 0 is in each: it stands for the default.
func (o *WorkerOptions) check() error {
	switch {
	case o.Capacity < 0 || o.Capacity > maxCapacity:
		return fmt.Errorf("worker: option Capacity is %d, want 1 to %d, or 0 for 100", o.Capacity, maxCapacity)
	case o.GCHeadroom > maxHeadroom:
		return fmt.Errorf("worker: option GCHeadroom is %d, want at most %d, 0 for 32 MiB, or less than 0 for none", o.GCHeadroom, maxHeadroom)
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
	HandleRaw(w, name, f)
}

// HandleRaw registers a handler that gets the whole task and answers in JSON.
func HandleRaw(w *Worker, name string, fn worker.Func) {
	if err := flow.ValidName(name); err != nil {
		w.bad = errors.Join(w.bad, fmt.Errorf("handler %s/%s: the name %w", w.service, name, err))
		return
	}
	if w.handlers[name] != nil {
		w.bad = errors.Join(w.bad, fmt.Errorf("handler %s/%s is registered already in this worker", w.service, name))
		return
	}
	w.handlers[name] = fn
	w.names = append(w.names, name)
}

// Publish makes the worker register a workflow when it joins. A definition that the name has had changes nothing: workers of
// an older release do not turn the clock back.
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
}

// Run serves until ctx ends: then it takes no more tasks, waits for its handlers, brings their outcomes and leaves. It returns
// an error at once when the daemon refuses it for good, and before anything is sent when a service, handler or workflow has no
// valid name.
func (w *Worker) Run(ctx context.Context) error {
	if err := flow.ValidName(w.service); err != nil {
		return fmt.Errorf("worker: the service's name %w", err)
	}
	if w.bad != nil {
		return w.bad
	}
	headroom := make([]byte, max(w.o.GCHeadroom, 0)) // never touched: it takes no memory, but counts as heap
	defer runtime.KeepAlive(headroom)
	// What is under way outlives ctx: it is drained.
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if err := w.join(ctx, 0); err != nil {
		if ctx.Err() != nil { // stopped before the daemon was reached: as clean as any stop
			return nil
		}
		return err
	}
	var helpers sync.WaitGroup
	helpers.Go(func() { w.heartbeats(work) })
	for range senders {
		helpers.Go(func() { w.report(work) })
	}
	err := w.take(ctx, work)
	drained := w.drain()
	end()
	w.mu.Lock()
	for _, a := range w.open {
		a.Cancel(context.Canceled)
	}
	w.mu.Unlock()
	w.crew.Dismiss()
	helpers.Wait()
	w.leave()
	if err == nil && !drained {
		err = fmt.Errorf("worker: handlers did not return within %s; their steps are offered to others", w.o.Drain)
	}
	return err
}

// senders is how many requests bring outcomes at once: while one waits for the disk, the next fills.
const senders = 2

// join opens the session, or takes it up again when the daemon does not know it any more. generation is the session that the
// caller found gone; another one of the worker's goroutines may have joined meanwhile.
func (w *Worker) join(ctx context.Context, generation int) error {
	w.joining.Lock()
	defer w.joining.Unlock()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		session, now := w.at()
		if now != generation {
			return nil
		}
		in := &wire.Register{ServiceName: w.service, ServiceVersion: w.o.Version, Handlers: w.names, Capacity: w.o.Capacity, Workflows: w.flows, WorkerID: session.WorkerID}
		w.mu.Lock()
		in.Tokens = slices.Collect(maps.Keys(w.open))
		w.mu.Unlock()
		var got wire.Registered
		bounded, stop := context.WithTimeout(ctx, 10*time.Second)
		err := w.call(bounded, http.MethodPost, "/v1/workers", in, &got)
		stop()
		if err == nil {
			w.mu.Lock()
			w.session = got
			w.generation++
			first := w.generation == 1
			w.mu.Unlock()
			w.lost.Store(false)
			poke(w.rejoined)
			how := "connected"
			if !first {
				how = "came back"
			}
			w.o.Logger.Info("worker "+how, "service", w.service, "daemon", w.c.base, "handlers", w.names, "worker", got.WorkerID)
			for _, token := range got.Lost {
				w.cancelled(token)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !again(err) && !full(err) && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("worker: %w", err)
		}
		w.gone(err)
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// gone says that the daemon does not answer, once until it does again.
func (w *Worker) gone(err error) {
	if w.lost.CompareAndSwap(false, true) {
		w.o.Logger.Warn("trying until the daemon answers; outcomes are kept meanwhile", "error", err)
	}
}

func (w *Worker) back() {
	if w.lost.Load() && w.lost.CompareAndSwap(true, false) {
		w.o.Logger.Info("the daemon answers again", "daemon", w.c.base)
	}
}

func (w *Worker) at() (session wire.Registered, generation int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.session, w.generation
}

// call sends one message in msgpack.
func (w *Worker) call(ctx context.Context, method, path string, in, out any) error {
	body, err := wire.Encode(nil, wire.Msgpack, in)
	if err != nil {
		return err
	}
	return w.c.once(ctx, &request{method: method, path: path, body: body,
		header: map[string]string{"Content-Type": wire.Msgpack, "Accept": wire.Msgpack},
		raw: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusNoContent {
				return nil
			}
			b, err := whole(resp)
			if err != nil {
				return &Unreachable{w.c.base, err}
			}
			return wire.Decode(b, wire.Msgpack, out)
		}})
}

func unknown(err error) bool {
	var p *model.Problem
	return errors.As(err, &p) && p.Code == "worker_not_found"
}

// refused says that the same request will never be taken.
func refused(err error) bool {
	var p *model.Problem
	return errors.As(err, &p) && p.Status >= 400 && p.Status < 500 && !unknown(err) && !again(err)
}

// full says that the daemon has no space; it goes on when there is some.
func full(err error) bool {
	var p *model.Problem
	return errors.As(err, &p) && (p.Code == "disk_full" || p.Status >= 500)
}

func workerPath(id, what string) string { return "/v1/workers/" + url.PathEscape(id) + what }

// take polls for tasks and starts them until ctx ends.
func (w *Worker) take(ctx, work context.Context) error {
	wait := 50 * time.Millisecond
	for seq := uint64(1); ; {
		max := w.room(ctx)
		if ctx.Err() != nil {
			return nil
		}
		session, generation := w.at()
		var got wire.Polled
		bounded, stop := context.WithTimeout(ctx, time.Duration(session.MaxWaitMS)*time.Millisecond+15*time.Second)
		err := w.call(bounded, http.MethodPost, workerPath(session.WorkerID, "/poll"), &wire.Poll{Seq: seq, Max: max, WaitMS: session.MaxWaitMS}, &got)
		stop()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			w.back()
			seq++
			wait = 50 * time.Millisecond
		case unknown(err):
			if err := w.join(ctx, generation); err != nil && ctx.Err() == nil {
				return err
			}
			seq++
			continue
		case again(err) || full(err) || errors.Is(err, context.DeadlineExceeded):
			w.gone(err)
			pause(ctx, wait)
			wait = min(2*wait, 5*time.Second)
			continue
		default:
			return fmt.Errorf("worker: %w", err)
		}
		for _, token := range got.Cancelled {
			w.cancelled(token)
		}
		w.start(work, got.Tasks)
	}
}

// room waits until the worker may take more, and says how many.
func (w *Worker) room(ctx context.Context) int {
	for {
		w.mu.Lock()
		n := w.o.Capacity - len(w.open)
		w.mu.Unlock()
		if n > 0 {
			return n
		}
		select {
		case <-w.free:
		case <-ctx.Done():
			return 0
		}
	}
}

var errCancelled = errors.New("the run was cancelled, or the lease is lost: nobody waits for this attempt")

func (w *Worker) start(work context.Context, tasks []*worker.Task) {
	all := make([]attempt, len(tasks))
	fresh := all[:0]
	w.mu.Lock()
	for _, t := range tasks {
		if w.open[t.Token] != nil { // the answer to a poll came twice
			continue
		}
		fresh = append(fresh, attempt{Attempt: worker.Attempt{Task: t, Parent: work}})
		w.open[t.Token] = &fresh[len(fresh)-1]
	}
	w.mu.Unlock()
	w.running.Add(len(fresh))
	for i := range fresh {
		a := &fresh[i]
		a.Task.OnHeartbeat(func(details json.RawMessage) error {
			if err := context.Cause(a); err != nil {
				return err
			}
			if len(details) > maxDetails {
				return fmt.Errorf("heartbeat details of %d bytes, the limit is %d", len(details), maxDetails)
			}
			w.mu.Lock()
			a.details = details
			w.mu.Unlock()
			poke(w.beat)
			return nil
		})
		w.crew.Hand(a, w.work)
	}
}

func (w *Worker) work(a *attempt) {
	defer w.running.Done()
	var o worker.Outcome
	defer w.ended(a, &o) // deferred: a handler may end this goroutine
	fn := w.handlers[a.Task.HandlerName]
	if fn == nil {
		no := false
		o = worker.Outcome{Status: worker.Failed, Error: &worker.Error{Code: "handler_unknown", Message: fmt.Sprintf("this worker has no handler %s/%s", w.service, a.Task.HandlerName), Retryable: &no}}
		return
	}
	worker.Run(a, fn, a.Task, &o)
}

// ended keeps what came of an attempt until the daemon has answered for it.
func (w *Worker) ended(a *attempt, o *worker.Outcome) {
	a.Cancel(context.Canceled) // what the handler left running
	size := len(o.Output)
	for _, state := range o.Objects {
		size += len(state)
	}
	if size > maxOutcome {
		no := false
		*o = worker.Outcome{Status: worker.Failed, Error: &worker.Error{Code: "outcome_too_large", Message: fmt.Sprintf("the handler's output and object state are %d bytes, no daemon takes more than %d", size, maxOutcome), Retryable: &no}}
	}
	o.Token = a.Task.Token
	w.mu.Lock()
	w.done = append(w.done, *o)
	w.mu.Unlock()
	poke(w.ready)
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (w *Worker) cancelled(token string) {
	w.mu.Lock()
	a := w.open[token]
	w.mu.Unlock()
	if a != nil {
		a.Cancel(errCancelled)
	}
}

const (
	maxDetails = 4 << 10
	maxOutcome = 30 << 20 // bytes that are worth sending at all
)

// maxBatch bounds the outcomes of one request, in number and in bytes.
const (
	maxBatch      = 2000
	maxBatchBytes = 8 << 20
)

func (w *Worker) batch() []worker.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, size := 0, 0
	for n < len(w.done) && n < maxBatch && (n == 0 || size < maxBatchBytes) {
		size += len(w.done[n].Output) + 200
		if e := w.done[n].Error; e != nil {
			size += len(e.Message) + len(e.Stack)
		}
		for _, state := range w.done[n].Objects {
			size += len(state)
		}
		n++
	}
	out := slices.Clone(w.done[:n])
	w.done = slices.Delete(w.done, 0, n)
	if len(w.done) > 0 {
		poke(w.ready)
	}
	return out
}

// report brings outcomes to the daemon until work ends.
func (w *Worker) report(work context.Context) {
	for {
		select {
		case <-w.ready:
		case <-work.Done():
			return
		}
		for {
			runtime.Gosched() // handlers that are about to return bring their outcomes to this request
			batch := w.batch()
			if len(batch) == 0 {
				break
			}
			if !w.bring(work, batch) {
				return
			}
		}
	}
}

// bring sends outcomes until the daemon has answered for them.
func (w *Worker) bring(work context.Context, batch []worker.Outcome) bool {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		session, generation := w.at()
		var got wire.Polled
		bounded, stop := context.WithTimeout(work, time.Minute)
		err := w.call(bounded, http.MethodPost, workerPath(session.WorkerID, "/poll"), &wire.Poll{Outcomes: batch}, &got)
		stop()
		switch {
		case work.Err() != nil:
			return false
		case err == nil && len(got.Results) == len(batch):
			w.back()
			w.answered(got.Results)
			return true
		case err == nil:
			err = fmt.Errorf("%d results for %d outcomes", len(got.Results), len(batch))
		case unknown(err):
			err = w.join(work, generation)
			if err == nil {
				continue
			}
		case refused(err) && len(batch) > 1: // one of them is at fault: the others must not wait for it
			half := len(batch) / 2
			return w.bring(work, batch[:half]) && w.bring(work, batch[half:])
		case refused(err) && batch[0].Error == nil:
			no := false
			w.o.Logger.Error("the daemon refuses an outcome; the attempt fails instead", "error", err)
			batch[0] = worker.Outcome{Token: batch[0].Token, Status: worker.Failed, Error: &worker.Error{Code: "outcome_refused", Message: "the daemon refused the outcome: " + err.Error(), Retryable: &no}}
			continue
		case refused(err):
			w.o.Logger.Error("the daemon refuses an outcome; it is dropped, and the lease runs out", "error", err)
			w.answered([]worker.Result{{Token: batch[0].Token, Code: "refused"}})
			return true
		}
		w.gone(err)
		if !pause(work, wait) {
			return false
		}
	}
}

// answered closes the attempts that the daemon has answered for.
func (w *Worker) answered(results []worker.Result) {
	w.mu.Lock()
	for _, r := range results {
		delete(w.open, r.Token)
		switch r.Code {
		case "recorded", "duplicate", "run_finished":
		case "stale_lease", "conflict": // the attempt was over already: timed out, or its lease was lost
			w.o.Logger.Info("an outcome came too late", "code", r.Code)
		case "invalid", "refused", "newer_release":
			w.o.Logger.Warn("an outcome was not taken", "code", r.Code)
		default: // of a newer daemon; it has answered, and what it did it knows itself
			w.o.Logger.Warn("an outcome was answered with a code that this release does not know", "code", r.Code)
		}
	}
	w.mu.Unlock()
	poke(w.free)
}

// heartbeats renews the leases of everything open until work ends, and sends at once what handlers say.
func (w *Worker) heartbeats(work context.Context) {
	last := time.Now()
	for {
		session, _ := w.at() // a daemon that came back may want them more often
		every := max(time.Duration(session.HeartbeatMS)*time.Millisecond, 10*time.Millisecond)
		due := time.NewTimer(time.Until(last.Add(every)))
		all := false
		select {
		case <-due.C:
			all, last = true, time.Now()
		case <-w.rejoined:
		case <-w.beat:
		case <-work.Done():
			due.Stop()
			return
		}
		due.Stop()
		in := &wire.Heartbeat{}
		w.mu.Lock()
		for token, a := range w.open {
			if a.details != nil || all {
				in.Tokens = append(in.Tokens, wire.Beat{Token: token, Details: a.details})
				a.details = nil
			}
		}
		id, generation := w.session.WorkerID, w.generation
		w.mu.Unlock()
		if len(in.Tokens) == 0 && !all {
			continue
		}
		var got wire.Beaten
		bounded, stop := context.WithTimeout(work, every)
		err := w.call(bounded, http.MethodPost, workerPath(id, "/heartbeat"), in, &got)
		stop()
		switch {
		case unknown(err):
			_ = w.join(work, generation)
		case err != nil && work.Err() == nil:
			w.o.Logger.Warn("a heartbeat did not arrive", "error", err)
		}
		for _, token := range got.Gone {
			w.cancelled(token)
		}
	}
}

// drain waits for the handlers and their outcomes.
func (w *Worker) drain() bool {
	idle, late := make(chan struct{}), make(chan struct{})
	defer close(late)
	go func() {
		w.running.Wait()
		for {
			w.mu.Lock()
			n := len(w.open)
			w.mu.Unlock()
			if n == 0 {
				close(idle)
				return
			}
			select {
			case <-w.free:
			case <-late:
				return
			}
		}
	}()
	t := time.NewTimer(w.o.Drain)
	defer t.Stop()
	select {
	case <-idle:
		return true
	case <-t.C:
		return false
	}
}

// leave tells the daemon, which offers what is open to others.
func (w *Worker) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	session, _ := w.at()
	if err := w.c.once(ctx, &request{method: http.MethodDelete, path: workerPath(session.WorkerID, "")}); err != nil && !unknown(err) {
		w.o.Logger.Warn("could not tell the daemon that this worker leaves", "error", err)
	}
}
