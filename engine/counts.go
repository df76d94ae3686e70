package engine

import (
	"context"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// countedMost is how many open runs are looked at to count the stuck ones.
const countedMost = 10_000

// keptFor is how much longer than it took to count the runs the count is kept, and keptMost how long at most.
const (
	keptFor  = 20
	keptMost = time.Minute
)

// counted is the count of runs that was made last.
type counted struct {
	mu    sync.Mutex
	of    time.Duration // its StuckFor
	until time.Time
	got   RunCounts
}

// RunCounts counts the runs by state, and those that are stuck for so long, as ListFilter.StuckFor says. With very many runs the
// counts are some seconds old, a minute at most.
func (e *Engine) RunCounts(ctx context.Context, stuckFor time.Duration) (RunCounts, error) {
	if err := e.err(); err != nil {
		return RunCounts{}, err
	}
	c := &e.counted
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == stuckFor && time.Now().Before(c.until) {
		return c.got, ctx.Err()
	}
	began := time.Now()
	got, err := e.count(ctx, stuckFor)
	if err != nil {
		return got, err
	}
	c.got, c.of = got, stuckFor
	c.until = time.Now().Add(min(keptFor*time.Since(began), keptMost))
	return got, nil
}

func (e *Engine) count(ctx context.Context, stuckFor time.Duration) (RunCounts, error) {
	out := RunCounts{States: map[string]int{}, StuckForMS: stuckFor.Milliseconds()}
	states, err := e.j.States()
	if err != nil {
		return out, err
	}
	for _, st := range []replay.RunState{replay.Running, replay.Finishing, replay.Completed, replay.Failed, replay.Cancelled, replay.Quarantined} {
		out.States[st.String()] = states[uint8(st)]
		out.Total += states[uint8(st)]
	}
	f := ListFilter{StuckFor: stuckFor, Limit: 1000}
	for looked := 0; ; {
		page, next, err := archive.Runs(e.j, f, func(heads []journal.Head) ([]journal.Head, error) {
			looked += len(heads)
			return e.stuck(ctx, heads, f)
		})
		if err != nil {
			return out, err
		}
		out.Stuck += len(page)
		if f.Cursor = next; next == "" {
			return out, nil
		}
		if looked >= countedMost {
			out.More = true
			return out, nil
		}
	}
}
