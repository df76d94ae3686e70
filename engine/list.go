package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
)

// ListFilter says which runs List gives. Zero fields mean any. Its cursor is RunPage.Next of the page before.
type ListFilter = model.ListFilter

// RunPage is a part of a list. Next is the cursor of the next part, "" after the last one. A page may have fewer runs than were
// asked for, or none, and still have a next one: no more than 10,000 runs are looked at for a page.
type RunPage struct {
	Runs []RunHead
	Next string
}

// List gives up to f.Limit runs, newest first. It may look at all of them to find so many; ListPage does not.
func (e *Engine) List(ctx context.Context, f ListFilter) ([]RunHead, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	runs := []RunHead{}
	for limit := f.Limit; ; {
		p, err := e.ListPage(ctx, f)
		if err != nil {
			return nil, err
		}
		runs = append(runs, p.Runs...)
		if f.Limit, f.Cursor = limit-len(runs), p.Next; f.Limit == 0 || p.Next == "" {
			return runs, ctx.Err()
		}
	}
}

// ListPage gives a page of runs, newest first.
func (e *Engine) ListPage(ctx context.Context, f ListFilter) (RunPage, error) {
	if err := e.err(); err != nil && !errors.Is(err, ErrDiskFull) {
		return RunPage{}, err
	}
	runs, next, err := archive.Runs(e.j, f, func(heads []journal.Head) ([]journal.Head, error) { return e.stuck(ctx, heads, f) })
	var wrong *archive.FilterError
	if errors.As(err, &wrong) {
		return RunPage{}, badRequest("%s", wrong.Detail)
	}
	if err != nil {
		return RunPage{}, err
	}
	for i := range runs {
		if n, waits := e.newer.of(runs[i].Number); waits {
			runs[i].Error = archive.NewerCode + ": " + n.Error()
		}
	}
	return RunPage{runs, next}, nil
}

// stuck leaves the runs that nothing has moved for long enough. The loop looks at a few at a time, so that nobody waits for it.
func (e *Engine) stuck(ctx context.Context, heads []journal.Head, f ListFilter) ([]journal.Head, error) {
	before := e.o.Clock.Now().UnixMilli() - f.StuckFor.Milliseconds()
	var out []journal.Head
	for some := range slices.Chunk(heads, 50) {
		stands := make([]shard.Stillness, len(some))
		if !e.inspect(func(r *shard.Shard) {
			for i := range some {
				stands[i] = r.Still(some[i].Run, f.Signals)
			}
		}) {
			return nil, e.err()
		}
		for i, st := range stands {
			if st.Asleep && f.Signals {
				s, err := e.archive.FoldRun(some[i].Run, st.Last)
				st.Stuck = err == nil && shard.Waits(s)
			}
			if !st.Stuck {
				continue
			}
			rec, err := e.j.Get(st.Last)
			if err == nil && rec.At <= before {
				out = append(out, some[i])
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
