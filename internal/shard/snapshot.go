package shard

import (
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

func (r *Shard) decode(b []byte) (*replay.State, *Def, error) {
	s, err := r.archive.Decode(b)
	if err != nil {
		return nil, nil, err
	}
	def, err := r.Def(s.Graph.Digest)
	return s, def, err
}

// mark writes the run's snapshot with this batch.
func (r *Shard) mark(run *Run) {
	run.snap = run.S.LastSeq
	r.b.Snapshots = append(r.b.Snapshots, journal.Snapshot{Run: run.S.Run, Seq: run.snap, State: archive.AppendSnapshot(nil, run.S)})
}

// snapshot puts the run's state into the batch if the journal has an older one, and gives its size.
func (r *Shard) snapshot(number uint64) int {
	if run := r.runs[number]; run != nil {
		if run.snap >= run.S.LastSeq || !run.S.Resident() {
			return 0
		}
		run.snap = run.S.LastSeq
		state := archive.AppendSnapshot(nil, run.S)
		r.b.Snapshots = append(r.b.Snapshots, journal.Snapshot{Run: number, Seq: run.snap, State: state})
		return len(state)
	}
	p, ok := r.parked[number]
	if !ok || p.snap >= p.last {
		return 0
	}
	p.snap = p.last
	r.parked[number] = p
	r.b.stored = append(r.b.stored, storedSnap{number, p.snap})
	r.b.Snapshots = append(r.b.Snapshots, journal.Snapshot{Run: number, Seq: p.snap, State: p.state})
	return len(p.state)
}
