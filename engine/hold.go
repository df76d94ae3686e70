package engine

import (
	"context"
	"fmt"

	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/model"
)

// Hold is how the hold of Options.Careful stands.
type Hold = model.Hold

// Holding says how the hold of Options.Careful stands.
func (e *Engine) Holding() (Hold, error) {
	var h shard.Hold
	if !e.inspect(func(r *shard.Shard) { h = r.Holding() }) {
		return Hold{}, e.err()
	}
	return shownHold(h), nil
}

// ResumeAll ends the hold of Options.Careful: the runs go on, oldest first, perSecond of them a second, or as fast as it goes when that is 0.
// It does not wait for that; Holding says how far it is. Asked again it changes the rate. Until the journal has that, nothing goes on. What
// is overdue in a run comes when its turn has come. A run that is paused itself stays so, and one that starts meanwhile is not held. Without
// a hold it changes nothing.
func (e *Engine) ResumeAll(ctx context.Context, perSecond int, reason string) (Hold, error) {
	if perSecond < 0 || perSecond > MaxPerSecond {
		return Hold{}, badRequest("per_second: %d, want 1 to %d, or 0 for as fast as it goes", perSecond, MaxPerSecond)
	}
	if len(reason) > maxReason {
		return Hold{}, badRequest("reason: %d bytes, the limit is %d", len(reason), maxReason)
	}
	var h shard.Hold
	err := callErr(ctx, e, func(done func(error)) shard.Input {
		return &shard.ReleaseAll{By: byOf(ctx), PerSecond: perSecond, Reason: reason, Reply: func(got shard.Hold, err error) {
			h = got
			done(err)
		}}
	})
	if err != nil {
		return Hold{}, err
	}
	return shownHold(h), nil
}

func shownHold(h shard.Hold) Hold {
	out := Hold{Held: h.On, Runs: h.Runs, Resuming: h.Releasing, Resumed: h.Released, PerSecond: h.PerSecond}
	if h.On {
		out.Since = rfc3339.Format(h.Since)
	}
	return out
}

// Held says that the hold of Options.Careful was not ended, or not to its end. An engine that has stopped says it, too.
func (e *Engine) Held() bool { return e.held.Load() }

// released tells that the hold is over.
func (e *Engine) released(runs int) {
	e.held.Store(false)
	e.o.Logger.Info("every run is resumed: nothing is held any more", "runs", runs)
}

// heldText says why a run is held, as the end of a sentence.
func heldText(h shard.Hold) string {
	if !h.Releasing {
		return "is held, as every run is since the engine was started carefully (agnt5d serve --careful)"
	}
	if h.PerSecond == 0 {
		return "is held for a moment: the runs are being resumed, oldest first"
	}
	return fmt.Sprintf("is held: the runs are being resumed %d a second, oldest first, and %d are left", h.PerSecond, h.Runs)
}
