package engine

import (
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
)

// Stats is what the engine did since it was opened, and how it stands.
type Stats struct {
	shard.Stats
	shard.Figures
	Journal journal.Stats
	Now     int64 // Unix ms, when they were read

	OpenRuns int  // in memory's books
	Parked   int  // of them, put away
	Offers   int  // steps that wait for a worker
	Running  int  // attempts in a worker's hands
	Workers  int  // sessions of workers in other processes
	Hold     Hold // of all runs, see Options.Careful
	DiskFull bool // only reads are admitted
	Damages  int  // found since the engine was opened
	Newer    int  // runs that wait for a newer release
	Durable  uint64
	Draining bool
}

// Stats gives them. It waits for the loop, so it also tells that the engine turns.
func (e *Engine) Stats() (Stats, error) {
	var s Stats
	ok := e.inspect(func(r *shard.Shard) {
		s.Stats, s.Workers = r.Stats, 0
		s.OpenRuns, s.Parked = r.Counts()
		s.Offers, s.Running = r.Hub.Offers(), len(r.Hub.Leases())
		for _, session := range e.h.Sessions() {
			if !session.Local {
				s.Workers++
			}
		}
		s.DiskFull = r.Full()
		s.Hold = shownHold(r.Holding())
		s.Figures, s.Now = r.Figures(), e.now().Wall
	})
	if !ok {
		return s, e.err()
	}
	e.damages.mu.Lock()
	s.Damages = len(e.damages.all)
	e.damages.mu.Unlock()
	s.Newer = e.newer.count()
	s.Journal, s.Durable, s.Draining = e.j.Stats(), e.durable.Load(), e.draining.Load()
	return s, nil
}

// Drain stops giving out tasks and taking new runs, while whatever else is asked still gets its answer. Close follows.
func (e *Engine) Drain() {
	e.draining.Store(true)
	e.inspect(func(*shard.Shard) { e.h.Hold() })
}

// Durable is the sequence of the last durable event.
func (e *Engine) Durable() uint64 { return e.durable.Load() }
