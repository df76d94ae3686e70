package engine

import (
	"context"

	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/model"
)

// Diff compares two runs by their histories: where they first did not do the same, and what is different of their states, times,
// attempts, payloads and definitions. With all, steps that do not differ are there, too.
func (e *Engine) Diff(ctx context.Context, a, b string, all bool) (*model.Diff, error) {
	first, lastFirst, err := e.lastOf(ctx, a)
	if err != nil {
		return nil, refusal.OfRun(a, err)
	}
	second, lastSecond, err := e.lastOf(ctx, b)
	if err != nil {
		return nil, refusal.OfRun(b, err)
	}
	out, failed, err := e.archive.Diff(ctx, first, second, lastFirst, lastSecond, all)
	if err != nil {
		id := a
		if failed == second.Run {
			id = b
		}
		return nil, refusal.OfRun(id, e.hurt(failed, err))
	}
	return out, nil
}
