package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/agnt5/agnt5d/flow"
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
	Event      = model.Event
	Reason     = model.Reason
	Object     = model.Object
	Holder     = model.Holder
	Version    = model.Version
	Workflow   = model.Workflow
	Worker     = model.Worker
)

// StatusOption says how much of a run Status reads.
type StatusOption func(*statusOptions)

type statusOptions struct {
	steps string // "all", "open", "none"
}

// OpenSteps leaves settled steps out of Status.Steps.
func OpenSteps() StatusOption { return func(o *statusOptions) { o.steps = "open" } }

// NoSteps leaves all steps out of Status.Steps.
func NoSteps() StatusOption { return func(o *statusOptions) { o.steps = "none" } }

// Status gives a run as it is on disk, with one reason for each open step why it does not move.
func (e *Engine) Status(ctx context.Context, run string, opts ...StatusOption) (*Status, error) {
	o := statusOptions{steps: "all"}
	for _, opt := range opts {
		opt(&o)
	}
	snap, err := e.look(ctx, run)
	if err != nil {
		return nil, err
	}
	return e.status(snap, o)
}

// Explain gives the reasons alone.
func (e *Engine) Explain(ctx context.Context, run string) ([]Reason, error) {
	snap, err := e.look(ctx, run)
	if err != nil {
		return nil, err
	}
	return snap.reasons, nil
}

// look is what a status is made of.
type look struct {
	s       *replay.State
	reasons []Reason
	beats   map[int32][]byte
	workers map[int32]string
	newer   *newerLook // the run waits for a newer release
}

// look reads a run wherever it is: in memory through the loop, or folded from the journal.
func (e *Engine) look(ctx context.Context, id string) (*look, error) {
	for range 3 {
		got := &look{}
		var encoded []byte
		var g *flow.Graph
		err := callErr(ctx, e, func(done func(error)) shard.Input {
			return &shard.Query{ID: id, Reply: done, Read: func(r *shard.Shard, run *shard.Run) {
				encoded, g = run.S.Append(nil), run.S.Graph
				got.reasons = reasons(r, run)
				got.beats, got.workers = r.Working(run)
			}}
		})
		switch {
		case err == nil:
			got.s, err = replay.Decode(encoded, g)
			return got, err
		case errors.Is(err, ErrNewerRelease):
			return e.lookNewer(id, err)
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
			return &look{s: s}, nil
		}
	}
	return nil, fmt.Errorf("engine: run %q keeps changing; try again", id)
}

func (e *Engine) status(l *look, o statusOptions) (*Status, error) {
	if l.newer != nil {
		return e.statusNewer(l, o)
	}
	return e.statusOf(l, o)
}

func (e *Engine) statusOf(l *look, o statusOptions) (*Status, error) {
	s := l.s
	out := &Status{WorkflowID: s.ID, WorkflowName: s.Workflow, Version: s.Version, State: s.Status.String(), Reason: s.Reason,
		CreatedAt: replay.FormatTime(s.CreatedAt), Steps: map[string]StepStatus{}, StepCounts: map[string]int{}, Reasons: l.reasons,
		LastSeq: s.LastSeq, Events: s.Events, TraceParent: s.Trace, Output: json.RawMessage("null")}
	if s.EndedAt != 0 {
		out.CompletedAt = replay.FormatTime(s.EndedAt)
	}
	if s.FailedBy >= 0 {
		st := s.At(s.FailedBy)
		out.Error = &RunError{Step: s.Name(s.FailedBy), Code: st.Error.Code, Message: st.Error.Message, Attempt: st.Error.Attempt}
	}
	var err error
	if out.Input, err = e.payload(s.Input); err != nil {
		return nil, e.hurt(s.Run, err)
	}
	for i, st := range s.All() {
		def, name := s.Spec(i), s.Name(i)
		state := st.State.String()
		w, working := l.workers[i] // the journal does not know of its start yet, or need not
		if working {
			state = replay.StepRunning.String()
		}
		out.StepCounts[state]++
		if o.steps == "none" || o.steps == "open" && !st.State.Open() {
			continue
		}
		out.Order = append(out.Order, name)
		step := StepStatus{State: state, Type: string(st.Kind().Type), Attempt: st.Attempt, Failures: st.Failures, Since: replay.FormatTime(st.Since), Worker: st.Worker}
		if st.Local {
			step.Worker = "in process"
		}
		if working {
			step.Worker = w
		}
		if st.Due != 0 && st.State.Open() {
			step.Due = replay.FormatTime(st.Due)
		}
		if def.Timer != nil {
			step.TimerKey, step.Failures = def.Timer.Key, 0
		}
		if st.Error != nil {
			step.Error = &StepError{Code: st.Error.Code, Message: st.Error.Message, Type: st.Error.Type, Stack: st.Error.Stack, Attempt: st.Error.Attempt}
		}
		step.Heartbeat = l.beats[i]
		if st.State == replay.StepCompleted {
			if step.Output, err = e.payload(st.Output); err != nil {
				return nil, e.hurt(s.Run, err)
			}
		}
		out.Steps[name] = step
	}
	if s.Status == replay.Completed {
		if out.Output, err = e.output(s); err != nil {
			return nil, e.hurt(s.Run, err)
		}
	}
	return out, nil
}

// output is a run's output: the output of each completed step that nothing depends on, by name, byte for byte.
func (e *Engine) output(s *replay.State) (json.RawMessage, error) {
	out := []byte{'{'}
	for _, i := range s.Graph.Sinks {
		if s.At(i).State != replay.StepCompleted {
			continue
		}
		b, err := e.payload(s.At(i).Output)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = strconv.AppendQuote(out, s.Name(i))
		out = append(out, ':')
		out = append(out, b...)
	}
	return append(out, '}'), nil
}

// hurt is what is said when the journal gave something damaged: the run is quarantined. What a newer release wrote is none.
func (e *Engine) hurt(run uint64, err error) error {
	if n, ok := shard.IsNewer(run, err); ok {
		return n
	}
	var d *journal.DamageError
	if !errors.As(err, &d) || e.r == nil {
		return err
	}
	e.damaged(journal.Damage{Run: run, Seq: d.Seq, Kind: "record", Detail: err.Error()})
	e.send(&shard.Quarantine{Run: run, Seq: d.Seq, Why: err.Error()})
	return fmt.Errorf("%w (%v)", ErrRunQuarantined, err)
}

// ListFilter says which runs List gives. Zero fields mean any.
type ListFilter struct {
	Workflow string
	State    string
	IDPrefix string
	Since    int64  // Unix ms, of the start
	Until    int64  // Unix ms, exclusive
	Before   uint64 // RunHead.Number of the last one seen
	Limit    int    // 0: 100
}

// List gives runs, newest first.
func (e *Engine) List(ctx context.Context, f ListFilter) ([]RunHead, error) {
	if err := e.err(); err != nil && !errors.Is(err, ErrDiskFull) {
		return nil, err
	}
	jf := journal.HeadFilter{Workflow: f.Workflow, IDPrefix: f.IDPrefix, Since: f.Since, Until: f.Until, Before: f.Before, Limit: f.Limit}
	if jf.Limit <= 0 {
		jf.Limit = 100
	}
	if f.State != "" {
		st, ok := replay.ParseRunState(f.State)
		if !ok {
			return nil, badRequest("state %q: want running, completed, failed, cancelled or quarantined", f.State)
		}
		n := uint8(st)
		jf.State = &n
	}
	heads, err := e.j.Heads(jf)
	if err != nil {
		return nil, err
	}
	out := make([]RunHead, len(heads))
	for i := range heads {
		out[i] = runHead(&heads[i])
		if n, waits := e.newer.of(heads[i].Run); waits {
			out[i].Error = newerCode + ": " + n.Error()
		}
	}
	return out, nil
}

func runHead(h *journal.Head) RunHead {
	r := RunHead{WorkflowID: h.ID, WorkflowName: h.Workflow, Version: h.Version, State: replay.RunState(h.State).String(),
		CreatedAt: replay.FormatTime(h.CreatedAt), Skipped: h.Skipped, Error: h.Failed, Number: h.Run}
	if h.EndedAt != 0 {
		r.CompletedAt = replay.FormatTime(h.EndedAt)
	}
	return r
}

func (e *Engine) head(id string) (journal.Head, error) {
	number, until, ok, err := e.j.Lookup(id)
	switch {
	case err != nil:
		return journal.Head{}, err
	case until > e.o.Clock.Now().UnixMilli():
		return journal.Head{}, ErrRunExpired
	case !ok || until != 0:
		return journal.Head{}, ErrRunNotFound
	}
	h, ok, err := e.j.Head(number)
	if err == nil && !ok {
		err = ErrRunNotFound
	}
	return h, err
}
