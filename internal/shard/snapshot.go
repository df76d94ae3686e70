package shard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// The form of a snapshot, and of a run put away: whether it is idle and when it must be looked at stand in front, so that a
// start need not decode what only sleeps.
//
//	form(1 byte: 0 busy, 1 idle) n(uvarint) (step(uvarint) due(8 bytes))... state
func appendParked(dst []byte, s *replay.State) []byte {
	if !s.Idle() {
		return s.Append(append(dst, 0, 0))
	}
	n := 0
	s.Dues(func(replay.Instance, int64) { n++ })
	dst = binary.AppendUvarint(append(dst, 1), uint64(n))
	s.Dues(func(i replay.Instance, due int64) {
		dst = binary.AppendUvarint(dst, uint64(i))
		dst = binary.BigEndian.AppendUint64(dst, uint64(due))
	})
	return s.Append(dst)
}

type stepDue struct {
	step int32
	due  int64
}

func splitParked(b []byte) (idle bool, dues []stepDue, state []byte, err error) {
	bad := errors.New("malformed snapshot")
	if len(b) > 0 && b[0] > 1 {
		return false, nil, nil, fmt.Errorf("snapshot of form %d: %w", b[0], ErrNewerRelease)
	}
	if len(b) < 2 {
		return false, nil, nil, bad
	}
	idle = b[0] == 1
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)) {
		return false, nil, nil, bad
	}
	b = b[1+size:]
	for range n {
		step, size := binary.Uvarint(b)
		if size <= 0 || len(b) < size+8 || step > 1<<30 {
			return false, nil, nil, bad
		}
		dues = append(dues, stepDue{int32(step), int64(binary.BigEndian.Uint64(b[size:]))})
		b = b[size+8:]
	}
	return idle, dues, b, nil
}

// DecodeSnapshot gives the state that a snapshot holds.
func DecodeSnapshot(b []byte, graphs func(flow.Digest) (*flow.Graph, error)) (*replay.State, error) {
	_, _, body, err := splitParked(b)
	if err != nil {
		return nil, err
	}
	digest, err := replay.DigestOf(body)
	if err != nil {
		return nil, err
	}
	g, err := graphs(digest)
	if err != nil {
		return nil, err
	}
	return replay.Decode(body, g)
}

func (r *Shard) decode(b []byte) (*replay.State, *Def, error) {
	s, err := DecodeSnapshot(b, r.graph)
	if s == nil {
		return nil, nil, err
	}
	return s, r.defs[s.Graph.Digest], err
}

// mark writes the run's snapshot with this batch.
func (r *Shard) mark(run *Run) {
	run.snap = run.S.LastSeq
	r.b.Snapshots = append(r.b.Snapshots, journal.Snapshot{Run: run.S.Run, Seq: run.snap, State: appendParked(nil, run.S)})
}

// snapshot puts the run's state into the batch if the journal has an older one, and gives its size.
func (r *Shard) snapshot(number uint64) int {
	if run := r.runs[number]; run != nil {
		if run.snap >= run.S.LastSeq || !run.S.Resident() {
			return 0
		}
		run.snap = run.S.LastSeq
		state := appendParked(nil, run.S)
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
