package engine

import (
	"errors"

	"github.com/agnt5/agnt5d/internal/evaluate"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// evaluate works an expression out in a goroutine of its own. The loop calls it.
func (e *Engine) evaluate(q *shard.Question) {
	e.thinking.Go(func() {
		e.thinkers <- struct{}{}
		defer func() { <-e.thinkers }()
		got, err := evaluate.Answer(q, e.archive)
		if err != nil {
			if err = e.hurt(q.Run, err); errors.Is(err, ErrRunQuarantined) || errors.Is(err, refusal.ErrDamaged) {
				return
			}
			got = &shard.Evaluated{Run: q.Run, Step: q.Step, No: q.No, Got: replay.Evaluated{Err: "what the expression names cannot be read: " + err.Error()}}
		}
		e.send(got)
	})
}
