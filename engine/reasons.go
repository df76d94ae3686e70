package engine

import (
	"context"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// explainedAtOnce is about how many steps are looked at before others may use the loop.
const explainedAtOnce = 5_000

// AddReasons adds to runs of a list, of those that failed and those that are open, the step by which a run failed or for which it
// waits, and why: of several reasons the most urgent one. Of open ones it counts the steps in each state, too.
func (e *Engine) AddReasons(ctx context.Context, runs []RunHead) error {
	asleep := map[int]uint64{}
	for from := 0; from < len(runs); {
		to := from
		if !e.inspect(func(r *shard.Shard) {
			to = from
			for steps := 0; to < len(runs) && steps < explainedAtOnce; to++ {
				steps += 1 + e.explainHead(r, runs, to, asleep)
			}
		}) {
			return e.err()
		}
		if from = to; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for i, last := range asleep {
		s, err := e.archive.Ended(journal.Head{Run: runs[i].Number, LastSeq: last})
		if err == nil { // else it has been deleted, or whoever asks for the run itself is told
			var counts archive.Counts
			runs[i].Reason = archive.MostUrgent(reasons(nobody(), &shard.Run{S: s}, &counts))
			runs[i].StepCounts = counts.ByState()
		}
	}
	return ctx.Err()
}

// explainHead adds the reason of one run. It gives how many steps were looked at.
func (e *Engine) explainHead(r *shard.Shard, runs []RunHead, at int, asleep map[int]uint64) (steps int) {
	head := &runs[at]
	n, waits := e.newer.of(head.Number)
	switch state, _ := replay.ParseRunState(head.State); {
	case waits:
		head.Reason = &Reason{Code: archive.NewerCode, Detail: n.Error()}
	case state == replay.Failed:
		head.Reason = archive.FailedBy(head)
	case !state.Ended():
		if last, is := r.Asleep(head.Number); is {
			asleep[at] = last
		} else if run := r.Peek(head.Number); run != nil {
			var counts archive.Counts
			head.Reason = archive.MostUrgent(reasons(books{Shard: r, hub: e.h, now: e.now()}, run, &counts))
			head.StepCounts = counts.ByState()
			return len(run.S.Steps)
		}
	}
	return 0
}
