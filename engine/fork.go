package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// Fork says how a run is forked: the new run keeps what the other one did well, and does the rest anew. See Engine.Fork.
type Fork struct {
	From    string         // the step from which it runs again, with everything after it
	Set     map[string]any // outputs, by step: these steps count as completed
	Input   any            // of the new run; nil: that of the run forked from
	Version uint32         // of the workflow; 0: that of the run forked from
	ID      string         // of the new run; "": one is made
	Reason  string         // why; history shows it
}

// Forked is the answer to a fork.
type Forked = model.Fork

// ForkPlan says what a fork does with each step.
type ForkPlan = model.ForkPlan

// Fork starts a new run that takes over from one that has ended: its input, its tags, and every step that had settled and does not follow
// from f.From, from a step of f.Set, or from one that runs again, with its output and the signal that it took. Those never run there. Steps
// that had not settled run again, and so does what is new in that version of the workflow. The same fork with the same ID gives the run that exists.
// ErrRunOpen: the run has not ended; ErrStepNotFound: the version has no such step; ErrForkTooLarge; ErrRunOutputTooLarge.
func (e *Engine) Fork(ctx context.Context, run string, f Fork) (Forked, error) {
	of, set, input, err := e.askedFork(run, f)
	if err != nil {
		return Forked{}, err
	}
	out := Forked{WorkflowID: f.ID, ForkedFrom: model.ForkedFrom{WorkflowID: run, Step: f.From}}
	if f.ID != "" {
		switch there, err := e.forkedBefore(ctx, f.ID, of); {
		case err != nil:
			return Forked{}, refusal.OfRun(f.ID, err)
		case there != nil:
			out.WorkflowName, out.Version = there.Workflow, there.Version
			return out, nil
		}
	} else {
		out.WorkflowID = e.NewID()
	}
	s, plan, version, err := e.planFork(ctx, run, f)
	if err != nil {
		return Forked{}, refusal.OfRun(run, err)
	}
	in := &shard.Start{By: byOf(ctx), ID: out.WorkflowID, Given: f.ID != "", Workflow: s.Workflow, Version: version, Input: input, Tags: s.Tags}
	of.Run = s.Run
	in.Fork, err = e.takenOver(s, plan, of, set, in, func(p replay.Payload) ([]byte, error) { return e.archive.Payload(p) })
	if in.Fork != nil {
		in.Fork.Reason = f.Reason
	}
	if err == nil && input == nil {
		in.Input, err = e.archive.Payload(s.Input)
	}
	if err != nil {
		if _, gone := e.head(run); gone != nil { // it was deleted meanwhile
			err = gone
		}
		return Forked{}, refusal.OfRun(run, e.hurt(s.Run, err))
	}
	out.WorkflowName, out.Version, out.Plan = s.Workflow, version, shownPlan(plan)
	out.Created, err = e.startFork(ctx, in)
	if !out.Created {
		out.Plan = nil
	}
	return out, err
}

// startFork creates the run of a fork. It gives false when that exists.
func (e *Engine) startFork(ctx context.Context, in *shard.Start) (bool, error) {
	if e.draining.Load() {
		return false, refusal.ErrClosing
	}
	type answer struct {
		got shard.Started
		err error
	}
	a, err := call(ctx, e, func(done func(answer)) shard.Input {
		in.Reply = func(got shard.Started, err error) { done(answer{got, err}) }
		return in
	})
	switch {
	case err != nil:
		return false, err
	case errors.Is(a.err, ErrWorkflowNotFound):
		return false, e.noVersion(in.Workflow, in.Version)
	case a.err != nil:
		return false, refusal.OfRun(in.ID, a.err)
	case a.got.Away: // it came and ended while this one was read
		_, err := e.forkedBefore(ctx, in.ID, in.Fork.Of)
		return false, refusal.OfRun(in.ID, err)
	}
	return a.got.Created, nil
}

// PlanFork says what Fork would do, and does nothing. It is refused as Fork would be.
func (e *Engine) PlanFork(ctx context.Context, run string, f Fork) (Forked, error) {
	of, set, input, err := e.askedFork(run, f)
	if err != nil {
		return Forked{}, err
	}
	if f.ID != "" {
		if _, err := e.forkedBefore(ctx, f.ID, of); err != nil {
			return Forked{}, refusal.OfRun(f.ID, err)
		}
	}
	s, plan, version, err := e.planFork(ctx, run, f)
	if err == nil {
		unread := func(replay.Payload) ([]byte, error) { return nil, nil } // only its size counts
		_, err = e.takenOver(s, plan, of, set, &shard.Start{Input: input}, unread)
	}
	if err != nil {
		return Forked{}, refusal.OfRun(run, err)
	}
	return Forked{WorkflowID: f.ID, WorkflowName: s.Workflow, Version: version, ForkedFrom: model.ForkedFrom{WorkflowID: run, Step: f.From}, Plan: shownPlan(plan)}, nil
}

func shownPlan(p *replay.ForkPlan) *ForkPlan {
	out := &ForkPlan{Kept: p.Names(replay.ForkKept), Set: p.Names(replay.ForkSet), RunsAgain: p.Names(replay.ForkAgain, replay.ForkRepeat), MayRepeat: p.Names(replay.ForkRepeat),
		Why: map[string]model.ForkWhy{}}
	steps := p.Graph.Def.Steps
	for i, what := range p.Steps {
		if what != replay.ForkAgain && what != replay.ForkRepeat {
			continue
		}
		why := model.ForkWhy{Code: p.Why[i].Code}
		if why.Code == replay.ForkAfter || why.Code == replay.ForkAfterSet {
			why.After = steps[p.Why[i].After].Name
		}
		out.Why[steps[i].Name] = why
	}
	return out
}

// askedFork checks what was asked for, and gives what tells it from another fork.
func (e *Engine) askedFork(run string, f Fork) (of replay.Forked, set map[string][]byte, input []byte, err error) {
	if len(f.Reason) > maxReason {
		return of, nil, nil, badRequest("reason: %d bytes, the limit is %d", len(f.Reason), maxReason)
	}
	if f.ID != "" {
		if err := flow.ValidRunID(f.ID); err != nil {
			return of, nil, nil, badRequest("workflow_id: %v", err)
		}
	}
	if f.From == "" {
		return of, nil, nil, badRequest("from: want the name of the step from which the new run runs again")
	}
	set, raws := map[string][]byte{}, map[string]json.RawMessage{}
	for name, v := range f.Set {
		raw, err := e.marshal("set."+name, v)
		if err != nil {
			return of, nil, nil, err
		}
		set[name], raws[name] = raw, raw
	}
	if f.Input != nil {
		if input, err = e.marshal("input", f.Input); err != nil {
			return of, nil, nil, err
		}
	}
	text, err := json.Marshal([]any{f.Version, raws, json.RawMessage(archive.OrNull(input)), input != nil})
	return replay.Forked{ID: run, From: f.From, Hash: replay.HashBytes(text)}, set, input, err
}

// forkedBefore gives the run that has the id, when it is that fork; nil: there is none.
func (e *Engine) forkedBefore(ctx context.Context, id string, of replay.Forked) (*replay.State, error) {
	l, err := e.look(ctx, id, archive.NoSteps)
	switch {
	case errors.Is(err, ErrRunNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case l.S == nil:
		return nil, l.Newer
	}
	return l.S, l.S.MatchForked(of)
}

// planFork reads the run and says what becomes of each step in the version that the fork is of.
func (e *Engine) planFork(ctx context.Context, run string, f Fork) (s *replay.State, plan *replay.ForkPlan, version uint32, err error) {
	l, err := e.look(ctx, run, archive.NoSteps)
	switch {
	case err != nil:
		return nil, nil, 0, err
	case l.Newer != nil:
		return nil, nil, 0, l.Newer
	}
	s = l.S
	if err := s.MatchFork(); err != nil {
		return nil, nil, 0, err
	}
	g, version := s.Graph, s.Version
	if f.Version != 0 && f.Version != s.Version {
		w, err := e.version(s.Workflow, f.Version)
		if errors.Is(err, ErrWorkflowNotFound) {
			err = e.noVersion(s.Workflow, f.Version)
		}
		if err == nil {
			g, err = e.archive.Graph(flow.Digest(w.Digest))
		}
		if err != nil {
			return nil, nil, 0, err
		}
		version = f.Version
	}
	plan, err = s.PlanFork(g, f.From, slices.Sorted(maps.Keys(f.Set)))
	if err != nil {
		return nil, nil, 0, fmt.Errorf("%w; version %d of workflow %q has others", err, version, s.Workflow)
	}
	return s, plan, version, nil
}

// takenOver gives what a fork takes over. read gives what stands in the journal.
func (e *Engine) takenOver(s *replay.State, plan *replay.ForkPlan, of replay.Forked, set map[string][]byte, in *shard.Start, read func(replay.Payload) ([]byte, error)) (*shard.Fork, error) {
	out := &shard.Fork{Of: of, Digest: plan.Graph.Digest, Set: map[replay.Instance][]byte{}}
	besides := len(in.Input)
	if in.Input == nil {
		besides = int(s.Input.Len)
	}
	for name, raw := range set {
		out.Set[plan.Graph.Index[name]] = raw
		besides += len(raw)
	}
	if err := plan.Fits(s, out.Set); err != nil {
		return nil, err
	}
	var err error
	out.Kept, err = s.Keep(plan, besides, read)
	return out, err
}
