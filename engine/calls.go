package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/expression"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/oklog/ulid/v2"
)

// Register stores a workflow under a name and makes it current. A definition that the name has had makes no new version. The
// error of a bad definition is flow.Problems: every problem at once. Runs keep the version they started with.
func (e *Engine) Register(name string, def flow.Definition) error {
	_, err := e.RegisterVersion(context.Background(), name, &def, false)
	return err
}

// RegisterVersion is Register with its answer. byWorker: a digest that the name has had changes nothing at all.
func (e *Engine) RegisterVersion(ctx context.Context, name string, def *flow.Definition, byWorker bool) (Version, error) {
	if bad := flow.WorkflowName(name); len(bad) > 0 {
		return Version{}, append(bad, flow.Validate(def)...)
	}
	body, err := flow.Canonical(def)
	if err != nil {
		if problems := flow.Validate(def); len(problems) > 0 {
			return Version{}, problems
		}
		return Version{}, err
	}
	own, problems := flow.Parse(body) // a copy that the caller cannot change
	if len(problems) > 0 {
		return Version{}, problems
	}
	g, err := e.graph(own, body)
	if err != nil {
		return Version{}, err
	}
	return e.register(ctx, name, g, body, byWorker)
}

// graph makes the graph of a definition. One that is stored already means what it meant then: ${ in an object key was once what it says.
func (e *Engine) graph(def *flow.Definition, body []byte) (*flow.Graph, error) {
	if expression.HasTemplate(json.RawMessage(body)) {
		if g, err := e.archive.Graph(flow.DigestOf(body)); err == nil {
			return g, nil
		}
	}
	return flow.NewGraph(def)
}

// mends says whether rows of definitions are damaged, so that one that is registered again must be written again.
func (e *Engine) mends(d flow.Digest) bool {
	_, err := e.j.Definitions()
	_, body := e.j.DefinitionBody(string(d))
	var damages journal.Damages
	var damage *journal.DamageError
	return errors.As(err, &damages) || errors.As(body, &damage)
}

func (e *Engine) register(ctx context.Context, name string, g *flow.Graph, body []byte, byWorker bool) (Version, error) {
	type answer struct {
		got shard.Registered
		err error
	}
	a, err := call(ctx, e, func(done func(answer)) shard.Input {
		return &shard.Register{By: byOf(ctx), Name: name, Graph: g, Body: body, ByWorker: byWorker, Mend: e.mends(g.Digest), Reply: func(got shard.Registered, err error) { done(answer{got, err}) }}
	})
	if err == nil {
		err = a.err
	}
	if err == nil && a.got.Created {
		e.lookAgain()
	}
	return Version{Name: name, Version: a.got.Version, Current: a.got.Current, Digest: string(a.got.Digest), Created: a.got.Created, Replaced: a.got.Before}, err
}

// UseVersion makes a version that a workflow has had its current one, so that new runs get it. Runs keep the version they
// started with. It gives ErrWorkflowNotFound when there is no such version.
func (e *Engine) UseVersion(ctx context.Context, name string, version uint32) (Version, error) {
	if version == 0 { // Workflow's word for the current one
		return Version{}, badRequest("version: want the number of a version that the workflow has, 1 or more")
	}
	w, err := e.Workflow(ctx, name, version)
	if err != nil {
		return Version{}, err
	}
	g, err := e.archive.Graph(flow.Digest(w.Digest))
	if err != nil {
		return Version{}, err
	}
	return e.register(ctx, name, g, w.Definition, false)
}

// call sends the input that make makes and waits for its answer.
func call[T any](ctx context.Context, e *Engine, make_ func(done func(T)) shard.Input) (T, error) {
	return await(ctx, e, func(done func(T)) { e.send(make_(done)) }, func() {})
}

// callHub is call for what a worker asks.
func callHub[T any](ctx context.Context, e *Engine, make_ func(done func(T)) hub.Input) (T, error) {
	return await(ctx, e, func(done func(T)) { e.ask(make_(done)) }, func() {})
}

// await sends something to the loop and waits for its answer. giveUp is called when the caller does not wait any longer. Only the
// first answer counts.
func await[T any](ctx context.Context, e *Engine, send func(done func(T)), giveUp func()) (T, error) {
	var zero T
	if err := e.err(); err != nil {
		return zero, err
	}
	ch := make(chan T, 1)
	send(func(v T) {
		select {
		case ch <- v:
		default:
		}
	})
	select {
	case v := <-ch:
		return v, nil
	case <-ctx.Done():
		giveUp()
		return zero, ctx.Err()
	case <-e.done:
		select {
		case v := <-ch:
			return v, nil
		default:
		}
		if err := e.err(); err != nil {
			return zero, err
		}
		return zero, ErrClosed
	}
}

// callHubErr is callHub for answers that are only an error.
func callHubErr(ctx context.Context, e *Engine, make_ func(done func(error)) hub.Input) error {
	got, err := callHub(ctx, e, make_)
	if err != nil {
		return err
	}
	return got
}

// callErr is call for answers that are only an error.
func callErr(ctx context.Context, e *Engine, make_ func(done func(error)) shard.Input) error {
	got, err := call(ctx, e, make_)
	if err != nil {
		return err
	}
	return got
}

// entropy makes ids of one millisecond count up; it is safe for concurrent use.
var entropy = &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}

// NewID makes an id for a run: a ULID, ascending in time.
func (e *Engine) NewID() string {
	id, err := ulid.New(uint64(e.o.Clock.Now().UnixMilli()), entropy)
	if err != nil { // more ids in one millisecond than its entropy has room for, or a clock before 1970
		id = ulid.Make()
	}
	return id.String()
}

// StartOption changes a Start.
type StartOption func(*startOptions)

type startOptions struct {
	id    string
	given bool
	trace string

	version uint32
	at      time.Time
	delay   time.Duration
	signal  *startSignal
	tags    map[string]string
	sent    func()
}

type startSignal struct {
	name, id string
	payload  any
}

// WithID names the run. The same id with the same workflow and input again gives the run that exists.
func WithID(id string) StartOption { return func(o *startOptions) { o.id, o.given = id, true } }

// WithVersion starts a run of that version of the workflow instead of the current one. ErrWorkflowNotFound: there is no such version.
// A run of that id that exists with another version is ErrRunConflict. 0: the current one, and any that exists.
func WithVersion(n uint32) StartOption { return func(o *startOptions) { o.version = n } }

// WithSignal delivers a signal together with the start: both are recorded, or neither. When the run of that id exists the signal goes to
// it; when it has ended that is ErrRunFinished. An id that is "" is made; the same start with the same signal id again changes nothing.
func WithSignal(name, id string, payload any) StartOption {
	return func(o *startOptions) { o.signal = &startSignal{name, id, payload} }
}

// WithStartAt lets the run's first steps wait until a time. The run is there at once: it takes signals, and can be cancelled. A time that
// has passed changes nothing. It is not compared when the run of an id exists.
func WithStartAt(at time.Time) StartOption { return func(o *startOptions) { o.at = at } }

// WithDelay is WithStartAt that long after the start, in whole milliseconds.
func WithDelay(d time.Duration) StartOption { return func(o *startOptions) { o.delay = d } }

// WithTags gives the run tags: names and values by which lists find it. At most 16; a name is 1 to 128 of letters, digits, _ . -, a value up to
// 256 bytes of printable UTF-8. They are not compared when the run of an id exists, and it keeps those that it has.
func WithTags(tags map[string]string) StartOption { return func(o *startOptions) { o.tags = tags } }

// lastStart is the latest time for which a run can wait.
var lastStart = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// checkWhen checks when the first steps are to start.
func (o *startOptions) checkWhen(now time.Time) error {
	switch {
	case !o.at.IsZero() && o.delay != 0:
		return badRequest("a start has start_at or delay, not both")
	case o.delay < 0:
		return badRequest("delay: %s is negative", o.delay)
	case o.at.After(lastStart) || now.Add(o.delay).After(lastStart):
		return badRequest("start_at: want a time before the year 10000")
	}
	return nil
}

// startAt gives the time as Unix ms; 0: there is none.
func (o *startOptions) startAt() int64 {
	if o.at.IsZero() {
		return 0
	}
	return max(o.at.UnixMilli(), 0)
}

// WithSent calls fn when the start has its place among all that is asked of the engine: what is asked later comes later.
func WithSent(fn func()) StartOption { return func(o *startOptions) { o.sent = fn } }

// WithTrace gives the run a W3C traceparent.
func WithTrace(parent string) StartOption { return func(o *startOptions) { o.trace = parent } }

// Start starts a run of the workflow's current version and returns its id once that is on disk. Input is anything that
// encoding/json takes; json.RawMessage and []byte are kept byte for byte.
func (e *Engine) Start(ctx context.Context, workflow string, input any, opts ...StartOption) (string, error) {
	id, _, err := e.StartRun(ctx, workflow, input, opts...)
	return id, err
}

// StartRun is Start that also says whether the run is new.
func (e *Engine) StartRun(ctx context.Context, workflow string, input any, opts ...StartOption) (id string, created bool, err error) {
	var o startOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.given {
		if err := flow.ValidRunID(o.id); err != nil {
			return "", false, badRequest("workflow_id: %v", err)
		}
	} else {
		o.id = e.NewID()
	}
	if len(o.trace) > maxTrace {
		return "", false, badRequest("traceparent: %d bytes, the limit is %d", len(o.trace), maxTrace)
	}
	raw, err := e.marshal("input", input)
	if err != nil {
		return "", false, err
	}
	signal, err := e.startSignal(o.signal)
	if err == nil {
		err = o.checkWhen(e.o.Clock.Now())
	}
	if terr := flow.ValidTags(o.tags); err == nil && terr != nil {
		err = badRequest("tags: %v", terr)
	}
	if err != nil {
		return "", false, err
	}
	if e.draining.Load() {
		return "", false, refusal.ErrClosing
	}
	type answer struct {
		got shard.Started
		err error
	}
	a, err := await(ctx, e, func(done func(answer)) {
		e.send(&shard.Start{By: byOf(ctx), ID: o.id, Given: o.given, Workflow: workflow, Version: o.version, Input: raw, Trace: o.trace, Tags: archive.TagsOf(o.tags), StartAt: o.startAt(), DelayMS: o.delay.Milliseconds(), Signal: signal,
			Reply: func(got shard.Started, err error) { done(answer{got, err}) }})
		if o.sent != nil {
			o.sent()
		}
	}, func() {})
	if err == nil {
		err = e.ofDefinition(workflow, a.err)
	}
	switch {
	case err == ErrWorkflowNotFound:
		return "", false, e.noVersion(workflow, o.version)
	case err != nil:
		return "", false, refusal.OfRun(o.id, err)
	case a.got.Away:
		err := e.sameStart(o.id, replay.Origin{Workflow: workflow, Version: o.version, Input: raw})
		if err == nil && signal != nil {
			_, err = e.SignalRun(ctx, o.id, signal.Name, json.RawMessage(signal.Payload), WithSignalID(signal.ID))
			return o.id, false, err
		}
		return o.id, false, refusal.OfRun(o.id, err)
	}
	return a.got.ID, a.got.Created, nil
}

// startSignal checks the signal that comes with a start.
func (e *Engine) startSignal(s *startSignal) (*shard.StartSignal, error) {
	if s == nil {
		return nil, nil
	}
	if s.id == "" {
		s.id = e.NewID()
	} else if err := flow.ValidRunID(s.id); err != nil {
		return nil, badRequest("signal_id: %v", err)
	}
	if err := flow.ValidName(s.name); err != nil {
		return nil, badRequest("signal name: %v", err)
	}
	raw, err := e.marshal("payload", s.payload)
	return &shard.StartSignal{Name: s.name, ID: s.id, Payload: raw}, err
}

// sameStart says whether the run that has that id was started so.
func (e *Engine) sameStart(id string, start replay.Origin) error {
	number, err := e.archive.Find(id, e.o.Clock.Now().UnixMilli())
	if err != nil {
		return err
	}
	first, err := e.archive.First(number)
	if err != nil {
		return e.hurt(number, err)
	}
	return replay.Origin{Workflow: first.Name, Version: first.Version, Input: first.Payload}.Match(start)
}

// marshal makes JSON of what a caller gave, and checks it.
func (e *Engine) marshal(what string, v any) (json.RawMessage, error) {
	var raw json.RawMessage
	switch v := v.(type) {
	case nil:
		return json.RawMessage("null"), nil
	case json.RawMessage:
		raw = v
	case []byte:
		raw = v
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return nil, &PayloadError{What: what, Detail: err.Error()}
		}
		raw = b
	}
	if len(raw) == 0 {
		return json.RawMessage("null"), nil
	}
	return raw, e.checkPayload(what, raw)
}

// Signal sends a signal to a run; it is durable when Signal returns. The same signal id again gives the first answer.
func (e *Engine) Signal(ctx context.Context, run, name string, payload any, opts ...SignalOption) error {
	_, err := e.SignalRun(ctx, run, name, payload, opts...)
	return err
}

// SignalOption changes a Signal.
type SignalOption func(*signalOptions)

type signalOptions struct {
	id    string
	given bool
}

// WithSignalID names the signal, so that sending it again is harmless.
func WithSignalID(id string) SignalOption {
	return func(o *signalOptions) { o.id, o.given = id, true }
}

// SignalRun is Signal that also gives the signal's id and the step that consumed it, "" if none has; and a hint when none ever
// will, because no step of the workflow waits for that name. The log says so, too.
func (e *Engine) SignalRun(ctx context.Context, run, name string, payload any, opts ...SignalOption) (Signalled, error) {
	var o signalOptions
	for _, opt := range opts {
		opt(&o)
	}
	id := o.id
	if !o.given {
		id = e.NewID()
	} else if err := flow.ValidRunID(id); err != nil {
		return Signalled{}, badRequest("signal_id: %v", err)
	}
	if err := flow.ValidName(name); err != nil {
		return Signalled{}, badRequest("signal name: %v", err)
	}
	raw, err := e.marshal("payload", payload)
	if err != nil {
		return Signalled{}, err
	}
	var in *shard.Signal
	type answer struct {
		by  string
		err error
	}
	a, err := call(ctx, e, func(done func(answer)) shard.Input {
		in = &shard.Signal{By: byOf(ctx), ID: run, Name: name, SignalID: id, Payload: raw, Reply: func(by string, err error) { done(answer{by, err}) }}
		return in
	})
	if err == nil {
		err = a.err
	}
	if errors.Is(err, shard.ErrAway) {
		a.by, err = e.oldSignal(run, name, id, raw)
	}
	if errors.Is(err, ErrSignalConflict) {
		err = fmt.Errorf("signal id %q: %w", id, err)
	}
	if err != nil {
		return Signalled{SignalID: id}, refusal.OfRun(run, err)
	}
	out := Signalled{SignalID: id, ConsumedBy: a.by}
	if a.by == "" && in.Graph != nil {
		if out.Hint = neverTaken(in.Graph.Def, name); out.Hint != "" {
			e.o.Logger.Warn("a signal will never be taken", "run", run, "signal", name, "why", out.Hint)
		}
	}
	return out, nil
}

// neverTaken says why no step of a workflow will take a signal of that name; "" when one may.
func neverTaken(def *flow.Definition, name string) string {
	var known []string
	for i := range def.Steps {
		switch s := def.Steps[i].Signal; {
		case s == nil:
		case s.Name == name:
			return ""
		case !slices.Contains(known, s.Name):
			known = append(known, s.Name)
		}
	}
	if len(known) == 0 {
		return "no step of its workflow waits for a signal, so it will never be taken"
	}
	if len(known) > 20 {
		known = append(known[:20], "…")
	}
	return fmt.Sprintf("no step of its workflow waits for that name, so it will never be taken; it waits for: %s", strings.Join(known, ", "))
}

// oldSignal answers a signal to a run that has ended: one that it received before gets its first answer.
func (e *Engine) oldSignal(run, name, id string, payload []byte) (string, error) {
	s, err := e.away(run)
	if err != nil {
		return "", err
	}
	by, received, err := s.MatchSignal(name, id, payload)
	if err == nil && !received {
		err = ErrRunFinished
	}
	return by, err
}

// Limits of texts that a run keeps, in bytes.
const (
	maxReason = 1024 // of a cancel
	maxTrace  = 256
)

// Cancel ends a run. Workers that have steps of it hear of it; cancelling a cancelled run changes nothing.
func (e *Engine) Cancel(ctx context.Context, run, reason string) error {
	return e.cancel(ctx, run, reason, false)
}

// CancelNow ends a run at once, whatever it has left to do: what is not compensated stays so, and steps of finally that have not ended are
// cancelled. One whose fate was to complete is cancelled, one whose fate was to fail has failed.
func (e *Engine) CancelNow(ctx context.Context, run, reason string) error {
	return e.cancel(ctx, run, reason, true)
}

func (e *Engine) cancel(ctx context.Context, run, reason string, force bool) error {
	if len(reason) > maxReason {
		return badRequest("reason: %d bytes, the limit is %d", len(reason), maxReason)
	}
	err := callErr(ctx, e, func(done func(error)) shard.Input {
		return &shard.Cancel{By: byOf(ctx), ID: run, Reason: reason, Force: force, Reply: done}
	})
	if !errors.Is(err, shard.ErrAway) {
		return refusal.OfRun(run, err)
	}
	head, err := e.head(run)
	if err != nil {
		return refusal.OfRun(run, err)
	}
	cancelled, err := replay.RunState(head.State).MatchCancel()
	if err == nil && !cancelled {
		err = fmt.Errorf("%w; it had ended before, so it cannot be cancelled, only deleted", ErrRunQuarantined)
	}
	return refusal.OfRun(run, err)
}

// Retry reopens a failed or cancelled run: what was settled stays, the failed step and each cancelled one become ready anew. History keeps the
// reason.
func (e *Engine) Retry(ctx context.Context, run, reason string) error {
	return refusal.OfRun(run, e.retry(ctx, run, reason))
}

func (e *Engine) retry(ctx context.Context, run, reason string) error {
	if len(reason) > maxReason {
		return badRequest("reason: %d bytes, the limit is %d", len(reason), maxReason)
	}
	in := &shard.Retry{By: byOf(ctx), ID: run, Reason: reason}
	for range 3 {
		err := callErr(ctx, e, func(done func(error)) shard.Input {
			in = &shard.Retry{By: byOf(ctx), ID: run, Reason: reason, State: in.State, Reply: done}
			return in
		})
		if !errors.Is(err, shard.ErrAway) {
			return err
		}
		if in.State, err = e.away(run); err != nil {
			return err
		}
		if err := in.State.MatchRetry(); err != nil {
			return err
		}
	}
	return fmt.Errorf("engine: run %q keeps changing; try again", run)
}

// Pause pauses a run: no task of it is handed out, and no time comes for which it waits, until it is resumed. What workers have goes on,
// signals are taken, and what becomes ready waits. A pause ends with the run. One that is paused already stays so.
func (e *Engine) Pause(ctx context.Context, run, reason string) error {
	return refusal.OfRun(run, e.setPause(ctx, run, reason, false))
}

// Resume ends the pause of a run: its tasks are handed out, and what is overdue comes at once. One that is not paused stays so.
func (e *Engine) Resume(ctx context.Context, run, reason string) error {
	return refusal.OfRun(run, e.setPause(ctx, run, reason, true))
}

func (e *Engine) setPause(ctx context.Context, run, reason string, resume bool) error {
	if len(reason) > maxReason {
		return badRequest("reason: %d bytes, the limit is %d", len(reason), maxReason)
	}
	err := callErr(ctx, e, func(done func(error)) shard.Input {
		return &shard.Pause{By: byOf(ctx), ID: run, Reason: reason, Resume: resume, Reply: done}
	})
	if !errors.Is(err, shard.ErrAway) {
		return err
	}
	s, err := e.away(run)
	if err == nil {
		_, err = s.MatchPause(!resume)
	}
	return err
}

// FireTimer fires a timer of a run now: it releases the steps deferred to it, and the timer itself if it is waiting.
func (e *Engine) FireTimer(ctx context.Context, run, timer string) error {
	return refusal.OfRun(run, e.fire(ctx, run, timer))
}

func (e *Engine) fire(ctx context.Context, run, timer string) error {
	err := callErr(ctx, e, func(done func(error)) shard.Input {
		return &shard.Fire{By: byOf(ctx), ID: run, Timer: timer, Reply: done}
	})
	if !errors.Is(err, shard.ErrAway) {
		return err
	}
	s, err := e.away(run)
	if err != nil {
		return err
	}
	_, fired, err := s.MatchFire(timer)
	if err == nil && !fired {
		err = ErrTimerNotWaiting
	}
	return err
}

// Delete removes a finished run and its history. Its id cannot be used again for Options.Tombstones.
// Its children that have ended are deleted with it; ErrRunOpen while one is open that was not abandoned, or while it is itself the child
// of an open run.
func (e *Engine) Delete(ctx context.Context, run string) error {
	var why error
	g := gathering{e: e, remove: func(all []doomed) error {
		_, not, err := e.deleteAll(ctx, all, "")
		why = cmp.Or(why, not)
		return err
	}}
	err := g.add(ctx, run)
	if err == nil {
		err = g.flush()
	}
	return refusal.OfRun(run, cmp.Or(err, why))
}

// DeleteMany removes those of the runs that have finished, up to 1,000 with one record of the journal, and says how many those
// were. Children of runs that are open are kept. Each slice is durable before the next begins; an error leaves those that were deleted
// before it deleted.
func (e *Engine) DeleteMany(ctx context.Context, runs []string, reason string) (int, error) {
	if len(reason) > maxReason {
		return 0, badRequest("reason: %d bytes, the limit is %d", len(reason), maxReason)
	}
	done := 0
	g := gathering{e: e, remove: func(all []doomed) error {
		n, _, err := e.deleteAll(ctx, all, reason)
		done += n
		return err
	}}
	for _, run := range runs {
		if err := g.add(ctx, run); err != nil && !errors.Is(err, ErrRunOpen) {
			return done, err
		}
	}
	err := g.flush()
	return done, err
}

// Wait waits until the run has ended and gives its status.
func (e *Engine) Wait(ctx context.Context, run string, opts ...StatusOption) (*Status, error) {
	s, err := e.wait(ctx, run, opts)
	if err != nil && err == ctx.Err() {
		err = fmt.Errorf("run %q has not ended: %w", run, err)
	}
	return s, refusal.OfRun(run, err)
}

func (e *Engine) wait(ctx context.Context, run string, opts []StatusOption) (*Status, error) {
	ended := make(chan *replay.State, 1)
	key := new(int)
	err := callErr(ctx, e, func(done func(error)) shard.Input {
		return &shard.Await{ID: run, Key: key, Ended: func(s *replay.State) { ended <- s }, Reply: done}
	})
	switch {
	case errors.Is(err, shard.ErrAway):
		return e.Status(ctx, run, opts...)
	case errors.Is(err, ErrNewerRelease): // it may have ended all the same
		if s, serr := e.Status(ctx, run, opts...); serr == nil && s.CompletedAt != "" {
			return s, nil
		}
		return nil, err
	case err != nil:
		return nil, err
	}
	unserved := time.AfterFunc(tellAfter, func() { e.sayUnserved(ctx, run) })
	defer unserved.Stop()
	select {
	case s := <-ended:
		if s != nil {
			return e.status(&archive.Look{S: s}, shown(opts))
		}
		return e.Status(ctx, run, opts...)
	case <-ctx.Done():
		e.send(&shard.Forget{ID: run, Key: key})
		return nil, ctx.Err()
	case <-e.done:
		if err := e.err(); err != nil {
			return nil, err
		}
		return nil, ErrClosed
	}
}

// WaitFor is Wait with a bound: after d it gives the status as it is then.
func (e *Engine) WaitFor(ctx context.Context, run string, d time.Duration) (*Status, error) {
	bounded, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	s, err := e.Wait(bounded, run)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return e.Status(ctx, run)
	}
	return s, err
}
