package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// What the engine shows. The shapes stand in package view, which programs without an engine can read as well.
type (
	Status     = model.Status
	RunError   = model.RunError
	StepStatus = model.StepStatus
	StepError  = model.StepError
	RunHead    = model.RunHead
	RunCounts  = model.RunCounts
	Event      = model.Event
	Span       = model.Span
	AttemptLog = model.AttemptLog
	Reason     = model.Reason
	Object     = model.Object
	Holder     = model.Holder
	Version    = model.Version
	Workflow   = model.Workflow
	Worker     = model.Worker
	Signalled  = model.Signalled
)

// StatusOption says how much of a run Status reads.
type StatusOption func(*statusOptions)

type statusOptions struct {
	steps archive.Steps
	items *archive.ItemsAsked
}

// ItemsAsked says which items of a step with for_each a status shows.
type ItemsAsked = archive.ItemsAsked

// WithItems shows items of a step with for_each: Status.Items.
func WithItems(ask ItemsAsked) StatusOption { return func(o *statusOptions) { o.items = &ask } }

// OpenSteps leaves settled steps out of Status.Steps.
func OpenSteps() StatusOption { return func(o *statusOptions) { o.steps = archive.OpenSteps } }

// NoSteps leaves all steps out of Status.Steps.
func NoSteps() StatusOption { return func(o *statusOptions) { o.steps = archive.NoSteps } }

func shown(opts []StatusOption) (o statusOptions) {
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// reads says how much of the run must be looked at.
func (o *statusOptions) reads() archive.Steps {
	if o.items != nil {
		return archive.AllSteps
	}
	return o.steps
}

// Status gives a run as it is on disk, with one reason for each open step why it does not move.
func (e *Engine) Status(ctx context.Context, run string, opts ...StatusOption) (*Status, error) {
	show := shown(opts)
	l, err := e.look(ctx, run, show.reads())
	if err != nil {
		return nil, refusal.OfRun(run, err)
	}
	s, err := e.status(l, show)
	return s, refusal.OfRun(run, err)
}

func (e *Engine) status(l *archive.Look, show statusOptions) (*Status, error) {
	l.Items = show.items
	out, err := e.archive.Status(l, show.steps)
	if err != nil {
		return nil, e.hurt(l.S.Run, err)
	}
	return out, nil
}

// StatusAt gives a run as it was after its last event at or before a sequence of the journal, by a fold of its history. Of the
// reasons there are those that the history tells: which worker was there is not in it. ErrRunNotFound: the run had not begun.
func (e *Engine) StatusAt(ctx context.Context, run string, at uint64, opts ...StatusOption) (*Status, error) {
	s, err := e.statusAt(ctx, run, at, opts)
	return s, refusal.OfRun(run, err)
}

func (e *Engine) statusAt(ctx context.Context, run string, at uint64, opts []StatusOption) (*Status, error) {
	h, last, err := e.lastOf(ctx, run)
	if err != nil {
		return nil, err
	}
	if at < h.Run {
		return nil, notBegun(at, h.Run)
	}
	s, seq, when, err := e.archive.StateAt(h.Run, last, at)
	var l *archive.Look
	switch _, newer := archive.IsNewer(h.Run, err); {
	case newer:
		if l, err = e.lookNewer(run, err); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, e.hurt(h.Run, err)
	default:
		l = &archive.Look{S: s, Reasons: ReasonsThen(s)}
	}
	out, err := e.status(l, shown(opts))
	if err == nil && l.Newer == nil {
		out.AsOf = &model.AsOf{Seq: seq, N: s.Events, At: rfc3339.Format(when)}
	}
	return out, err
}

func notBegun(at, first uint64) error {
	return fmt.Errorf("%w: at event %d it had not begun; its first event is %d", ErrRunNotFound, at, first)
}

// Explain gives the reasons alone.
func (e *Engine) Explain(ctx context.Context, run string) ([]Reason, error) {
	l, err := e.look(ctx, run, archive.NoSteps)
	if err != nil {
		return nil, refusal.OfRun(run, err)
	}
	return l.Reasons, nil
}

// look reads a run wherever it is: in memory through the loop, or folded from the journal.
func (e *Engine) look(ctx context.Context, id string, steps archive.Steps) (*archive.Look, error) {
	for range 3 {
		got := &archive.Look{}
		var encoded []byte
		var g *flow.Graph
		err := callErr(ctx, e, func(done func(error)) shard.Input {
			return &shard.Query{ID: id, Reply: done, Read: func(r *shard.Shard, run *shard.Run) {
				if steps == archive.NoSteps && run.S.Status == replay.Running { // nobody waits until a large run is encoded
					got.S, got.Counts = run.S.Brief(), &archive.Counts{}
					got.Reasons = reasons(books{Shard: r, hub: e.h, now: e.now()}, run, got.Counts)
					return
				}
				encoded, g = run.S.Append(nil), run.S.Graph
				got.Reasons = reasons(books{Shard: r, hub: e.h, now: e.now()}, run, nil)
				got.Beats, got.Workers = r.Working(run)
			}}
		})
		switch {
		case err == nil && got.S != nil:
			return got, nil
		case err == nil:
			got.S, err = replay.Decode(encoded, g)
			return got, err
		case errors.Is(err, ErrNewerRelease):
			return e.lookNewer(id, err)
		case errors.Is(err, refusal.ErrDamaged):
			return nil, e.hurt(0, err)
		case !errors.Is(err, shard.ErrAway):
			return nil, err
		}
		s, err := e.away(id)
		if errors.Is(err, ErrNewerRelease) {
			return e.lookNewer(id, err)
		}
		if err != nil {
			return nil, err
		}
		if s.Status.Ended() {
			return &archive.Look{S: s}, nil
		}
	}
	return nil, fmt.Errorf("engine: run %q keeps changing; try again", id)
}

// hurt is what is said when the journal gave something damaged: the run is quarantined. What a newer release wrote is none.
func (e *Engine) hurt(run uint64, err error) error {
	if n, ok := archive.IsNewer(run, err); ok {
		return n
	}
	var d *journal.DamageError
	if !errors.As(err, &d) {
		return err
	}
	if gone := (*archive.UndefinedError)(nil); errors.As(err, &gone) {
		e.damaged(d.Damage)
		return gone
	}
	e.damaged(journal.Damage{Run: run, Seq: d.Seq, Kind: "record", Detail: err.Error()})
	e.send(&shard.Quarantine{Run: run, Seq: d.Seq, Why: err.Error()})
	return fmt.Errorf("%w (%v)", ErrRunQuarantined, err)
}

// quarantineEnded marks the runs that had ended before the engine was opened, and of which it found damaged records then: lists show
// them. The open ones are marked by the shard.
func (e *Engine) quarantineEnded() {
	for _, d := range e.Damages() {
		if h, err := e.archive.Head(d.Run); err != nil || d.Kind != "record" || !replay.RunState(h.State).Ended() {
			continue
		} else if _, err := e.archive.Ended(h); err != nil {
			_ = e.hurt(d.Run, err)
		}
	}
}

func (e *Engine) head(id string) (journal.Head, error) {
	return e.archive.FindHead(id, e.o.Clock.Now().UnixMilli())
}

// away folds a run that has ended from the journal.
func (e *Engine) away(id string) (*replay.State, error) {
	h, err := e.head(id)
	if err != nil {
		return nil, err
	}
	s, err := e.archive.Ended(h)
	if err != nil {
		return nil, e.hurt(h.Run, err)
	}
	return s, nil
}
