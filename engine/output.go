package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// StepOutput gives the output of a completed step of a run, or of an item such as fetch[3], byte for byte. ErrStepNotFound: the run has no such step;
// ErrStepNotCompleted: it has no output yet, or never will.
func (e *Engine) StepOutput(ctx context.Context, run, step string) (json.RawMessage, error) {
	ref, number, err := e.outputOf(ctx, run, step)
	if err != nil {
		return nil, refusal.OfRun(run, err)
	}
	out, err := e.archive.Payload(ref)
	if err != nil {
		return nil, refusal.OfRun(run, e.hurt(number, err))
	}
	return out, nil
}

// Refers says whether the task of a lease token may know the output of a step: it is under way in that run, and depends on the step;
// and with WithService it is one of that service. Else it is ErrNotReferred.
func (e *Engine) Refers(ctx context.Context, lease, run, step string) error {
	t, err := leases.Claims(lease)
	if err != nil {
		return ErrNotReferred
	}
	only, refers := onlyOf(ctx), false
	if !e.inspect(func(r *shard.Shard) {
		at, slot := r.Peek(t.Run), r.Hub.Slot(t.Run, t.Step)
		refers = at != nil && at.S.ID == run && e.holds(slot, lease, t) && (only == "" || slot.Handler.Service == only) &&
			slices.ContainsFunc(at.S.Deps(t.Step), func(d replay.Instance) bool { return at.S.Name(d) == step })
	}) {
		return e.err()
	}
	if !refers {
		return ErrNotReferred
	}
	return nil
}

// holds says whether a lease token is that of a slot, and its lease stands. t is what the token says.
func (e *Engine) holds(slot *leases.Slot, lease string, t leases.Token) bool {
	if slot == nil || slot.State != leases.Leased || slot.Attempt != t.Attempt || slot.Boot != t.Boot {
		return false
	}
	_, err := e.tokens.Parse(lease, slot.Worker)
	return err == nil
}

// outputOf finds where the output of a step stands, and the number of its run.
func (e *Engine) outputOf(ctx context.Context, run, step string) (ref replay.Payload, number uint64, err error) {
	var why error
	read := func(s *replay.State) {
		number = s.Run
		ref, why = archive.OutputOf(s, step)
	}
	err = callErr(ctx, e, func(done func(error)) shard.Input {
		return &shard.Query{ID: run, Reply: done, Read: func(_ *shard.Shard, r *shard.Run) { read(r.S) }}
	})
	switch {
	case err == nil:
		return ref, number, why
	case !errors.Is(err, shard.ErrAway) && !errors.Is(err, ErrNewerRelease):
		return ref, 0, err
	}
	l, err := e.look(ctx, run, archive.AllSteps) // it has ended, or waits for a newer release
	if err != nil {
		return ref, 0, err
	}
	if l.S == nil {
		return ref, 0, l.Newer
	}
	read(l.S)
	return ref, number, why
}
