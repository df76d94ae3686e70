package engine

import (
	"context"
	"errors"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// ListFilter says which runs List gives. Zero fields mean any.
type ListFilter struct {
	Workflow string
	State    string
	IDPrefix string
	Since    int64  // Unix ms, of the start
	Until    int64  // Unix ms, exclusive
	Before   uint64 // RunHead.Number of the last one seen
	Limit    int    // 0: 100
}

// List gives runs, newest first.
func (e *Engine) List(ctx context.Context, f ListFilter) ([]RunHead, error) {
	if err := e.err(); err != nil && !errors.Is(err, ErrDiskFull) {
		return nil, err
	}
	jf, err := f.heads()
	if err != nil {
		return nil, err
	}
	runs, err := archive.Runs(e.j, jf)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if n, waits := e.newer.of(runs[i].Number); waits {
			runs[i].Error = archive.NewerCode + ": " + n.Error()
		}
	}
	return runs, nil
}

// heads is the filter as the journal takes it.
func (f *ListFilter) heads() (journal.HeadFilter, error) {
	out := journal.HeadFilter{Workflow: f.Workflow, IDPrefix: f.IDPrefix, Since: f.Since, Until: f.Until, Before: f.Before, Limit: f.Limit}
	if out.Limit <= 0 {
		out.Limit = 100
	}
	if f.State != "" {
		st, ok := replay.ParseRunState(f.State)
		if !ok {
			return out, badRequest("state %q: want running, completed, failed, cancelled or quarantined", f.State)
		}
		n := uint8(st)
		out.State = &n
	}
	return out, nil
}
