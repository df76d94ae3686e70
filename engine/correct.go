package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// CompleteStep completes a step by hand, with an output. The step must be open, or have failed without anything that caught that; of a run
// that has failed it is the step that failed it, and the run is opened again as by Retry. An attempt of it is cancelled. An item of a step with
// for_each, such as fetch[3], must not have settled.
func (e *Engine) CompleteStep(ctx context.Context, run, step string, output any, reason string) error {
	raw, err := e.marshal("output", output)
	if err != nil {
		return err
	}
	return refusal.OfRun(run, e.correct(ctx, shard.Correct{ID: run, Step: step, As: replay.CorrectComplete, Output: raw, Reason: reason}))
}

// SkipStep skips a step by hand, under the rules of CompleteStep. What depends on it by join all is skipped, too.
func (e *Engine) SkipStep(ctx context.Context, run, step, reason string) error {
	return refusal.OfRun(run, e.correct(ctx, shard.Correct{ID: run, Step: step, As: replay.CorrectSkip, Reason: reason}))
}

// FailStep fails an open step for good by hand: nothing tries it again, and no timer takes it.
func (e *Engine) FailStep(ctx context.Context, run, step, reason string) error {
	return refusal.OfRun(run, e.correct(ctx, shard.Correct{ID: run, Step: step, As: replay.CorrectFail, Reason: reason}))
}

func (e *Engine) correct(ctx context.Context, what shard.Correct) error {
	if len(what.Reason) > maxReason {
		return badRequest("reason: %d bytes, the limit is %d", len(what.Reason), maxReason)
	}
	what.By = byOf(ctx)
	for range 3 {
		err := callErr(ctx, e, func(done func(error)) shard.Input {
			in := what
			in.Reply = done
			return &in
		})
		if !errors.Is(err, shard.ErrAway) {
			return err
		}
		if what.State, err = e.away(what.ID); err != nil {
			return err
		}
		if _, err := what.State.MatchCorrect(what.Step, what.As, what.Output); err != nil {
			return err
		}
	}
	return fmt.Errorf("engine: run %q keeps changing; try again", what.ID)
}
