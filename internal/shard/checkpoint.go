package shard

import (
	"slices"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/leases"
)

// checkpoint is a recovery point in the making: when every run that was in the books at Base has a snapshot of Base or
// later, recovery may start at Base. It is written a slice a turn, so that no turn is long.
type checkpoint struct {
	base uint64
	runs []uint64
}

// sliceRuns and sliceBytes bound what one turn adds to a checkpoint.
const (
	sliceRuns  = 2_000
	sliceBytes = 2 << 20
)

// Checkpoint begins a recovery point, unless one is being made.
func (r *Shard) Checkpoint() {
	if r.checkpoint != nil {
		return
	}
	c := &checkpoint{base: r.next - 1, runs: make([]uint64, 0, len(r.runs)+len(r.parked))}
	for n, run := range r.runs {
		if run.snap < run.S.LastSeq {
			c.runs = append(c.runs, n)
		}
	}
	for n, p := range r.parked {
		if p.snap < p.last {
			c.runs = append(c.runs, n)
		}
	}
	slices.Sort(c.runs)
	r.checkpoint = c
	r.logBytes = 0
}

// snapshotSlice writes the next slice of the checkpoint that is being made, if one is.
func (r *Shard) snapshotSlice() {
	if r.checkpoint == nil {
		if r.logBytes < r.cfg.CheckpointBytes {
			return
		}
		r.Checkpoint()
	}
	r.slice(sliceRuns, sliceBytes)
}

func (r *Shard) slice(maxRuns, maxBytes int) {
	c := r.checkpoint
	size := 0
	for n := 0; len(c.runs) > 0 && n < maxRuns && size < maxBytes; n++ {
		number := c.runs[0]
		c.runs = c.runs[1:]
		size += r.snapshot(number)
	}
	if len(c.runs) == 0 {
		if len(r.newer) == 0 { // a run that waits has no snapshot of ours: the release that understands it reads its records
			r.b.Base = c.base
		}
		r.checkpoint = nil
	}
}

// parkRuns bounds what one turn puts away.
const parkRuns = 256

// parkSome puts idle runs away when there are many in memory, those that no turn has touched since the last look: a few a
// turn, so that no turn is long.
func (r *Shard) parkSome() {
	if len(r.parking) == 0 {
		if len(r.runs) < r.cfg.MaxLive || r.turnNo < r.parkAt {
			return
		}
		r.parkSince, r.parkAt = r.parkedAt, r.turnNo+r.cfg.ParkTurns
		r.parkedAt = r.turnNo
		for n, run := range r.runs {
			if r.idle(run) {
				r.parking = append(r.parking, n)
			}
		}
	}
	n := min(len(r.parking), parkRuns)
	for _, number := range r.parking[:n] {
		run := r.runs[number]
		if run == nil || !r.idle(run) {
			continue
		}
		p := parked{snap: run.snap, last: run.S.LastSeq}
		if p.snap != p.last || len(r.flying) > 0 { // the snapshot may not be durable yet
			p.state = archive.AppendSnapshot(make([]byte, 0, 192), run.S)
		}
		r.parked[number] = p
		delete(r.runs, number)
		delete(r.ids, run.S.ID)
		r.left(run.S.ID, number)
		r.Stats.Parked++
	}
	if r.parking = r.parking[n:]; len(r.parking) == 0 {
		r.parking = nil
	}
}

// idle says whether the run may be put away.
func (r *Shard) idle(run *Run) bool {
	s := run.S
	return run.touched <= r.parkSince && len(run.facts) == 0 && len(run.waiters) == 0 && s.LastSeq <= r.durable && s.Status.Live() && s.Idle()
}

// Rest makes the last batch of a clean stop: what workers were given last, and a whole recovery point.
func (r *Shard) Rest(now Now) *Batch {
	if r.broken != nil {
		return nil
	}
	r.begin(now)
	for _, slot := range r.starts[r.first:] {
		if slot.State == leases.Leased && !slot.Journaled && !slot.Local {
			if run, _ := r.run(slot.Run); run != nil {
				r.give(run, started{slot})
			}
		}
	}
	r.drain()
	r.checkpoint = nil
	r.Checkpoint()
	r.slice(1<<62, 1<<62)
	r.b.Clean = true
	return r.finish()
}
