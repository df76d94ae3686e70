package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
)

// JoinRequest opens a session of a worker in another process.
type JoinRequest struct {
	WorkerID string // of an earlier session that comes back; "": a new one. That of another service's session, or of leases that one has, gets a new one, too
	Service  string
	Version  string // informational
	Host     string // of the worker's process; informational
	PID      int    // of the worker's process on its host; informational
	Handlers []string
	Capacity int      // open leases at once
	Tokens   []string // attempts that it still works on

	// References: its tasks refer to outputs that are over 1 MiB together, and it reads them with StepOutput.
	References bool
}

// Joined is the answer to Join.
type Joined struct {
	WorkerID  string
	Heartbeat time.Duration // how often to send one
	Lease     time.Duration // how long an attempt lives without a sign of life
	MaxWait   time.Duration // the longest that a poll waits
	Lost      []string      // tokens that are no longer valid: stop working on them
}

// MaxWait is the longest that a poll waits for tasks.
const MaxWait = 30 * time.Second

const (
	maxCapacity = 100_000
	maxHandlers = 1_000 // of one session
)

// RequestError says what is wrong with a request.
type RequestError struct{ Detail string }

func (e *RequestError) Error() string { return e.Detail }

func badRequest(format string, args ...any) error {
	return &RequestError{fmt.Sprintf(format, args...)}
}

// Check says what is wrong with a request to join.
func (req *JoinRequest) Check() error {
	if err := flow.ValidName(req.Service); err != nil {
		return badRequest("service_name: %v", err)
	}
	if len(req.Handlers) == 0 {
		return badRequest("handlers: name at least one handler of service %q", req.Service)
	}
	if len(req.Handlers) > maxHandlers {
		return badRequest("handlers: %d, the limit is %d", len(req.Handlers), maxHandlers)
	}
	seen := make(map[string]bool, len(req.Handlers))
	for _, h := range req.Handlers {
		if err := flow.ValidName(h); err != nil {
			return badRequest("handlers: %v", err)
		}
		if seen[h] {
			return badRequest("handlers: %q is given twice", h)
		}
		seen[h] = true
	}
	if len(req.Version) > MaxServiceVersion {
		return badRequest("service_version: %d bytes, the limit is %d", len(req.Version), MaxServiceVersion)
	}
	if len(req.Host) > MaxHost {
		return badRequest("host: %d bytes, the limit is %d", len(req.Host), MaxHost)
	}
	if req.PID < 0 || req.PID > math.MaxInt32 {
		return badRequest("pid: %d, want 0 to %d", req.PID, math.MaxInt32)
	}
	if req.Capacity < 1 || req.Capacity > maxCapacity {
		return badRequest("capacity: %d, want 1 to %d", req.Capacity, maxCapacity)
	}
	if req.WorkerID == "" {
		return nil
	}
	if err := flow.ValidName(req.WorkerID); err != nil {
		return badRequest("worker_id: %v", err)
	}
	if req.WorkerID == "local" {
		return badRequest("worker_id: \"local\" is the engine's own process; choose another")
	}
	return nil
}

// Join opens a session, or takes one up again: leases whose tokens it names go on, whatever else it had is offered to others.
func (e *Engine) Join(ctx context.Context, req JoinRequest) (Joined, error) {
	if err := req.Check(); err != nil {
		return Joined{}, err
	}
	fresh := e.NewID()
	req.WorkerID = cmp.Or(req.WorkerID, fresh)
	out := Joined{Lease: e.o.Lease, Heartbeat: e.o.Lease / 3, MaxWait: MaxWait}
	in := &hub.Join{Only: onlyOf(ctx), ID: req.WorkerID, Else: fresh, Service: req.Service, Version: req.Version, Host: req.Host, PID: req.PID, Handlers: req.Handlers, Capacity: req.Capacity, Refers: req.References}
	for _, text := range req.Tokens {
		t, err := e.tokens.Parse(text, req.WorkerID)
		if err != nil {
			out.Lost = append(out.Lost, text)
			continue
		}
		in.Tokens = append(in.Tokens, t)
	}
	type answer struct {
		id   string
		lost []leases.Token
		err  error
	}
	a, err := callHub(ctx, e, func(done func(answer)) hub.Input {
		in.Reply = func(lost []leases.Token, err error) { done(answer{in.ID, lost, err}) }
		return in
	})
	if err == nil {
		err = a.err
	}
	for _, t := range a.lost {
		out.Lost = append(out.Lost, e.tokens.Sign(t))
	}
	out.WorkerID = a.id
	return out, err
}

// KnowsWorker returns ErrWorkerNotFound when there is no session of that worker.
func (e *Engine) KnowsWorker(ctx context.Context, workerID string) error {
	return callHubErr(ctx, e, func(done func(error)) hub.Input { return &hub.Known{Only: onlyOf(ctx), ID: workerID, Reply: done} })
}

// Leave closes a session: its open tasks are offered to others at once.
func (e *Engine) Leave(ctx context.Context, workerID string) error {
	return callHubErr(ctx, e, func(done func(error)) hub.Input { return &hub.Leave{Only: onlyOf(ctx), ID: workerID, Reply: done} })
}

// PollRequest brings what is done and asks for what is next.
type PollRequest struct {
	Seq      uint64 // the same again gives the same answer; 0 without tasks
	Max      int    // tasks wanted; 0: none
	Wait     time.Duration
	Outcomes []worker.Outcome
}

// PollAnswer is what a worker gets: tasks, one result for each outcome in order, and tokens nobody waits for any more.
type PollAnswer struct {
	Tasks     []*worker.Task
	Results   []worker.Result
	Cancelled []string
}

// Poll records outcomes and gives tasks, in one call. With outcomes it answers when they are durable; without, when there is
// a task or req.Wait is over.
func (e *Engine) Poll(ctx context.Context, workerID string, req PollRequest) (PollAnswer, error) {
	if err := e.checkPoll(&req); err != nil {
		return PollAnswer{}, err
	}
	p := e.prepare(onlyOf(ctx), workerID, &req)
	p.in.Only = onlyOf(ctx)
	type answer struct {
		got hub.PollAnswer
		err error
	}
	a, err := await(ctx, e, func(done func(answer)) {
		p.in.Reply = func(got hub.PollAnswer, err error) { done(answer{got, err}) }
		e.ask(p.in)
	}, func() { e.ask(&hub.Unpoll{Poll: p.in}) })
	if err = cmp.Or(err, a.err); err != nil {
		return PollAnswer{}, err
	}
	if err := e.settle(ctx, p, a.got.Results); err != nil {
		return PollAnswer{}, err
	}
	out := PollAnswer{Results: p.results}
	for _, t := range a.got.Cancelled {
		out.Cancelled = append(out.Cancelled, e.tokens.Sign(t))
	}
	e.tasksOf(workerID, a.got.Tasks, &out)
	return out, nil
}

// checkPoll refuses a poll that is wrong, or asks for tasks when none are given out any more.
func (e *Engine) checkPoll(req *PollRequest) error {
	switch {
	case req.Max < 0 || req.Wait < 0:
		return badRequest("max and wait_ms are not negative")
	case req.Max > 0 && req.Seq == 0:
		return badRequest("seq: a poll for tasks carries a number that grows with each new poll, from 1")
	case e.draining.Load() && req.Max > 0 && len(req.Outcomes) == 0:
		return refusal.ErrClosing
	case e.draining.Load():
		req.Max = 0
	}
	return nil
}

// poll is a poll on its way: the shard's input, and a result for each outcome that came.
type poll struct {
	in      *hub.Poll
	results []worker.Result
	asked   []int // which result each of the input's outcomes has
}

// prepare reads the tokens of a poll. An outcome whose token is no good has its result already.
func (e *Engine) prepare(only, workerID string, req *PollRequest) *poll {
	p := &poll{in: &hub.Poll{ID: workerID, Seq: req.Seq, Max: req.Max}, results: make([]worker.Result, len(req.Outcomes))}
	for i := range req.Outcomes {
		o := &req.Outcomes[i]
		p.results[i].Token = o.Token
		t, err := e.tokens.Parse(o.Token, workerID)
		if err != nil {
			p.results[i].Code = string(shard.BadToken)
			continue
		}
		p.in.Outcomes = append(p.in.Outcomes, e.remoteOutcome(only, t, o))
		p.asked = append(p.asked, i)
	}
	if len(req.Outcomes) == 0 { // with outcomes it waits for nothing else, good tokens or bad
		p.in.WaitMS = min(req.Wait, MaxWait).Milliseconds()
	}
	return p
}

// settle gives each outcome its result. Where memory does not know, the run's history does.
func (e *Engine) settle(ctx context.Context, p *poll, got []hub.PollResult) error {
	if len(got) != len(p.in.Outcomes) {
		return fmt.Errorf("engine: %d results for %d outcomes", len(got), len(p.in.Outcomes))
	}
	looks := map[uint64][]question{}
	for i, r := range got {
		result := &p.results[p.asked[i]]
		result.Code = string(r.Result)
		if r.Look {
			o := p.in.Outcomes[i]
			looks[o.Token.Run] = append(looks[o.Token.Run], question{o, result})
		}
	}
	for run, l := range looks {
		if err := e.earlier(ctx, run, l); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) remoteOutcome(only string, t leases.Token, o *worker.Outcome) *shard.Outcome {
	return e.outcome(&shard.Outcome{Only: only, Token: t, Hash: hashOutcome(o)}, o)
}

// tasksOf builds the tasks of an answer. One that cannot be built fails its attempt for good.
func (e *Engine) tasksOf(workerID string, specs []*shard.Spec, out *PollAnswer) {
	var expires int64
	var expiresAt string // the same for most of an answer
	for _, spec := range specs {
		token := leases.Token{Run: spec.Slot.Run, Step: spec.Step, Attempt: spec.Attempt, Boot: spec.Slot.Boot, Worker: workerID}
		task := &worker.Task{}
		if err := e.fillTask(spec, task); err != nil {
			e.send(e.outcome(&shard.Outcome{Token: token}, unfilled(err)))
			continue
		}
		task.Token = e.tokens.Sign(token)
		if spec.Expires != expires {
			expires, expiresAt = spec.Expires, rfc3339.Format(spec.Expires)
		}
		task.LeaseExpiresAt = expiresAt
		out.Tasks = append(out.Tasks, task)
	}
}

func unreadable(err error) *worker.Outcome {
	no := false
	return &worker.Outcome{Status: worker.Failed, Error: &worker.Error{Message: err.Error(), Code: failure.TaskUnreadable, Retryable: &no}}
}

// question is an outcome about which the run's history must be asked, and the result that stands if it knows nothing.
type question struct {
	o      *shard.Outcome
	result *worker.Result
}

// earlier asks a run's history, once, what its attempts were: of a run that has ended, or of attempts before the newest.
func (e *Engine) earlier(ctx context.Context, run uint64, looks []question) error {
	head, ok, err := e.j.Head(run)
	if err != nil {
		return err
	}
	if !ok {
		e.noRun(run, looks)
		return nil
	}
	last := head.LastSeq
	asked := make([]archive.Attempt, len(looks))
	for i, l := range looks {
		last = max(last, l.o.Last)
		asked[i] = archive.Attempt{Step: l.o.Token.Step, Attempt: l.o.Token.Attempt}
	}
	known, err := e.archive.Outcomes(ctx, run, last, asked)
	if err != nil {
		if err = e.hurt(run, err); errors.Is(err, ErrRunQuarantined) || errors.Is(err, refusal.ErrDamaged) { // the results that the shard gave stand; the others of the poll have theirs
			return nil
		}
		return err
	}
	for i, l := range looks {
		switch known.Match(asked[i], l.o.Token.Boot, l.o.Hash) {
		case replay.Same:
			l.result.Code = string(shard.Duplicate)
		case replay.Other:
			l.result.Code = string(shard.Conflict)
		case replay.Alien:
			l.result.Code = string(shard.BadToken)
		}
	}
	return nil
}

// noRun is for tokens of a run that the journal has no head of. It was deleted, or there never was one of that number: then
// another record has it, or none yet.
func (e *Engine) noRun(run uint64, looks []question) {
	rec, err := e.j.Get(run)
	if taken := err == nil && rec.Run != run; taken || run > e.durable.Load() {
		for _, l := range looks {
			l.result.Code = string(shard.BadToken)
		}
	}
}

// hashOutcome tells a repeated outcome from another one for the same token. It is never 0.
func hashOutcome(o *worker.Outcome) uint64 {
	h := fnv.New64a()
	part := func(b []byte) {
		var n [8]byte
		for i, l := 0, len(b); i < 8; i, l = i+1, l>>8 {
			n[i] = byte(l)
		}
		h.Write(n[:])
		h.Write(b)
	}
	part([]byte(o.Status))
	if o.Status == worker.Completed {
		part(bytes.TrimSpace(archive.OrNull(o.Output)))
		if len(o.Objects) > 0 {
			for _, key := range slices.Sorted(maps.Keys(o.Objects)) {
				part([]byte(key))
				part(o.Objects[key])
			}
		}
	} else if o.Error != nil {
		for _, text := range []string{o.Error.Message, o.Error.Code, o.Error.Type, o.Error.Stack} {
			part([]byte(text))
		}
		if o.Error.Retryable != nil {
			part(fmt.Append(nil, *o.Error.Retryable))
		}
	}
	return max(h.Sum64(), 1)
}

// Beat is a sign of life for one attempt. Own: the handler itself spoke, which is what heartbeat_timeout_ms waits for.
type Beat struct {
	Token   string
	Own     bool
	Details json.RawMessage
	Log     *worker.LogPart // what the handler wrote to its log; nil: nothing
}

// Heartbeat renews leases. It returns the tokens that are no longer valid: their run was cancelled, or the lease is
// lost. Details that are no JSON or over 4 KiB are passed over: one handler's must not cost the others their leases.
func (e *Engine) Heartbeat(ctx context.Context, workerID string, beats []Beat) (gone []string, err error) {
	in := &hub.Beat{Only: onlyOf(ctx), ID: workerID}
	for _, b := range beats {
		if len(b.Details) > maxDetails || len(b.Details) > 0 && flow.CheckJSON(b.Details, maxDetails) != nil {
			b.Details = nil // they are not kept, and nobody's lease depends on them
		}
		t, err := e.tokens.Parse(b.Token, workerID)
		if err != nil {
			gone = append(gone, b.Token)
			continue
		}
		in.Tokens = append(in.Tokens, shard.BeatToken{Token: t, Own: b.Own, Details: b.Details, Log: b.Log})
	}
	type answer struct {
		gone []leases.Token
		err  error
	}
	a, err := callHub(ctx, e, func(done func(answer)) hub.Input {
		in.Reply = func(gone []leases.Token, err error) { done(answer{gone, err}) }
		return in
	})
	if err == nil {
		err = a.err
	}
	for _, t := range a.gone {
		gone = append(gone, e.tokens.Sign(t))
	}
	return gone, err
}

// Workers lists the sessions of workers, and handlers of this process as the session "in process".
func (e *Engine) Workers(ctx context.Context) ([]Worker, error) {
	out := []Worker{}
	ok := e.inspect(func(r *shard.Shard) {
		now := e.now()
		out = out[:0]
		for _, s := range e.h.Sessions() {
			if s.Local && len(s.Handlers) == 0 {
				continue
			}
			w := Worker{WorkerID: s.ID, ServiceName: s.Service, ServiceVersion: s.Version, Host: s.Host, PID: s.PID, Handlers: []string{}, Capacity: s.Capacity,
				JoinedAt: rfc3339.Format(s.JoinedAt), Waiting: s.Waiting(), SilentMS: now.Mono - s.LastSeen, Running: []model.Task{}}
			if s.Local {
				w.WorkerID, w.SilentMS, w.PID = replay.InProcess, 0, os.Getpid()
			}
			if w.Waiting { // its connection is open
				w.SilentMS = 0
			}
			for _, h := range s.Handlers {
				name := h.Name
				if s.Local {
					name = h.Service + "/" + h.Name
				}
				w.Handlers = append(w.Handlers, name)
			}
			for _, slot := range s.Leases() {
				run := r.Peek(slot.Run)
				if run == nil {
					continue
				}
				w.Running = append(w.Running, model.Task{WorkflowID: run.S.ID, Step: run.S.Name(slot.Step), Attempt: slot.Attempt,
					Since: rfc3339.Format(began(run.S, slot)), Cancelled: slot.State == leases.Cancelled, Heartbeat: slot.Details})
			}
			for _, t := range e.h.Hung(s, now.Mono) {
				w.Hung = append(w.Hung, hungTask(r, t, now))
			}
			slices.SortFunc(w.Running, func(a, b model.Task) int { return bytes.Compare([]byte(a.Since), []byte(b.Since)) })
			out = append(out, w)
		}
	})
	if !ok {
		return nil, e.err()
	}
	return out, nil
}

// hungTask is an attempt that is over and whose handler has not returned. Of a run that is not in memory the number is known.
func hungTask(r *shard.Shard, t hub.Hung, now shard.Now) model.Task {
	out := model.Task{WorkflowID: fmt.Sprintf("#%d", t.Run), Attempt: t.Attempt, Since: rfc3339.Format(now.Wall - (now.Mono - t.Since))}
	if run := r.Peek(t.Run); run != nil {
		out.WorkflowID, out.Step = run.S.ID, run.S.Name(t.Step)
	}
	return out
}

// Set keeps a durable setting for the layers above; nil removes it.
func (e *Engine) Set(ctx context.Context, key string, value []byte) error {
	return e.SetNoted(ctx, key, value, "")
}

// SetNoted is Set, and records an event that says what became of the setting, and by whom; what "": none.
func (e *Engine) SetNoted(ctx context.Context, key string, value []byte, what string) error {
	return callErr(ctx, e, func(done func(error)) shard.Input {
		return &shard.Set{By: byOf(ctx), Key: key, Value: value, What: what, Reply: done}
	})
}

// Settings gives the durable settings whose keys begin with prefix. One whose row is damaged, which Damages tells as well, has a nil value;
// its key may be what is damaged.
func (e *Engine) Settings(prefix string) (map[string][]byte, error) {
	rows, err := e.j.Rows(prefix)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(rows))
	for _, r := range rows {
		if out[r.Key] = r.Value; r.Damaged != "" {
			e.damaged(journal.Damage{Kind: "row", Detail: fmt.Sprintf("%q: %s", r.Key, r.Damaged)})
		}
	}
	return out, nil
}
