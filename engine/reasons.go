package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// urgent is the order in which reasons are told where there is place for one: first what somebody must do something about, then what
// takes its time, then what moves. A code that is not here comes before all of them.
var urgent = []string{archive.NewerCode, "quarantined", "disk_full", codeNoWorker, "key_held", "service_full", codeUnknownSignal, "signal", "retry_at", "queued", "timer", "running"}

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
			runs[i].Reason = mostUrgent(reasons(nobody(), &shard.Run{S: s}, &counts))
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
		where, code, _ := archive.ReadFailed(head.Error)
		head.Reason = &Reason{Step: strings.TrimSuffix(where, ": "+code), Code: code, Detail: head.ErrorMessage}
	case !state.Ended():
		if last, is := r.Asleep(head.Number); is {
			asleep[at] = last
		} else if run := r.Peek(head.Number); run != nil {
			var counts archive.Counts
			head.Reason = mostUrgent(reasons(books{r, e.h, e.now()}, run, &counts))
			head.StepCounts = counts.ByState()
			return len(run.S.Steps)
		}
	}
	return 0
}

// mostUrgent gives one of several reasons.
func mostUrgent(all []Reason) *Reason {
	if len(all) == 0 {
		return nil
	}
	first := slices.MinFunc(all, func(a, b Reason) int { return slices.Index(urgent, a.Code) - slices.Index(urgent, b.Code) })
	return &first
}
