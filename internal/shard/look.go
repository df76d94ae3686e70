package shard

import (
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/objects"
	"github.com/agnt5/agnt5d/replay"
)

// What follows is for Inspect and Query: it reads, and changes nothing that is durable.

// Working gives, by step, the heartbeat details of attempts under way, and the worker of each attempt whose start the
// journal does not know yet.
func (r *Shard) Working(run *Run) (beats map[int32][]byte, workers map[int32]string) {
	for i, st := range run.S.All() {
		if st.State != replay.StepRunning && st.State != replay.StepScheduled {
			continue
		}
		slot := r.Hub.Slot(run.S.Run, i)
		if slot == nil || slot.State != leases.Leased {
			continue
		}
		if workers == nil {
			beats, workers = map[int32][]byte{}, map[int32]string{}
		}
		workers[i] = slot.Worker
		if slot.Local {
			workers[i] = replay.InProcess
		}
		if slot.Details != nil {
			beats[i] = slot.Details
		}
	}
	return beats, workers
}

// Before gives the key for which the request waits, who stands in front of it, whether that one holds it, and how many others
// stand between.
func (r *Shard) Before(request uint64) (key string, first objects.Owner, held bool, between int, ok bool) {
	return r.table.Before(request)
}

// Key says who holds an object key and who waits for it.
func (r *Shard) Key(key string) (holder *objects.Owner, queue []objects.Owner, ok bool) {
	return r.table.Key(key)
}

// Keys gives every object key that somebody holds or wants.
func (r *Shard) Keys() []string { return r.table.Keys() }

// Silence says for how long (ms) nothing was heard of the worker that has a lease, and when (Unix ms) its step is offered to
// others if that stays so; 0: never, the attempt runs in this process.
func (r *Shard) Silence(s *leases.Slot, now Now) (silent, until int64) {
	if s.Expires == 0 {
		return 0, 0
	}
	return r.Hub.LeaseMS - (s.Expires - now.Mono), now.Wall + s.Expires - now.Mono
}

// Peek gives a run in memory's books; nil if it is not there.
func (r *Shard) Peek(number uint64) *Run {
	run, _ := r.run(number)
	return run
}

// Asleep gives the last event of a run that is put away.
func (r *Shard) Asleep(number uint64) (last uint64, is bool) {
	p, is := r.parked[number]
	if is {
		last = p.last
	}
	return last, is
}

// Workflows gives every workflow by name.
func (r *Shard) Workflows() map[string]*Workflow { return r.flows }

// Counts is how many runs are in memory's books, and how many of them are put away.
func (r *Shard) Counts() (runs, parked int) { return len(r.runs) + len(r.parked), len(r.parked) }
