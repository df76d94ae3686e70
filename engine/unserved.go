package engine

import (
	"context"
	"time"

	"github.com/agnt5/agnt5d/model"
)

// tellAfter is how long somebody waits for a run's end before the log says that nobody serves what the run wants.
const tellAfter = time.Second

// sayUnserved logs which steps of a run want a handler that nobody serves, each handler once: a program that forgot to register
// one would wait without a word.
func (e *Engine) sayUnserved(ctx context.Context, run string) {
	reasons, err := e.Explain(ctx, run)
	if err != nil {
		return
	}
	for _, r := range reasons {
		if r.Code != model.ReasonNoWorker {
			continue
		}
		if _, said := e.unserved.LoadOrStore(r.Detail, true); !said {
			e.o.Logger.Warn("a run waits for a handler that nobody serves: register it with engine.Handle, or start a worker", "run", run, "step", r.Step, "why", r.Detail)
		}
	}
}
