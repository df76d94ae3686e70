package engine

import (
	"sync"

	"github.com/agnt5/agnt5d/internal/archive"
)

// newerRuns is the runs that wait for a newer release, by number.
type newerRuns struct {
	mu  sync.Mutex
	all map[uint64]archive.Newer
}

func (n *newerRuns) of(run uint64) (*archive.NewerError, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	got, ok := n.all[run]
	return &archive.NewerError{Newer: got}, ok
}

func (n *newerRuns) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.all)
}

// waits hears of a run that waits for a newer release.
func (e *Engine) waits(n archive.Newer) {
	e.newer.mu.Lock()
	if e.newer.all == nil {
		e.newer.all = map[uint64]archive.Newer{}
	}
	e.newer.all[n.Run] = n
	e.newer.mu.Unlock()
	e.o.Logger.Warn("a run waits for the newer release of agnt5d that wrote it", "run", n.Run, "record", n.Seq, "why", n.Why)
}

// lookNewer reads a run that a newer release wrote on: its events up to the first that is not understood, and its head.
func (e *Engine) lookNewer(id string, err error) (*archive.Look, error) {
	h, herr := e.head(id)
	if herr != nil {
		return nil, herr
	}
	why, _ := archive.IsNewer(h.Run, err)
	if n, waits := e.newer.of(h.Run); waits {
		why = n
	}
	s, err := e.archive.FoldRun(h.Run, max(h.LastSeq, why.Last))
	if err != nil && s == nil {
		if _, newer := archive.IsNewer(h.Run, err); !newer {
			return nil, e.hurt(h.Run, err)
		}
	}
	return archive.Waiting(h, s, why), nil
}
