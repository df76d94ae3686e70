package archive

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

// Snapshot is a state as a snapshot holds it, and as one that is put away lies in memory: whether the run is idle and when it must
// be looked at stand in front, so that a start need not decode what only sleeps.
//
//	form(1 byte: 0 busy, 1 idle) n(uvarint) (step(uvarint) due(8 bytes))... state
type Snapshot struct {
	Idle  bool
	Dues  []Due  // of an idle run: when it must be looked at
	State []byte // see replay.Decode
}

// dueOfRun is the step of a time for which the run itself waits.
const dueOfRun = 1 << 30

// Due is a time for which a step waits, or the run itself.
type Due struct {
	Step int32
	At   int64 // Unix ms
}

// AppendSnapshot appends the snapshot of a state.
func AppendSnapshot(dst []byte, s *replay.State) []byte {
	if !s.Idle() {
		return s.Append(append(dst, 0, 0))
	}
	n := 0
	s.Dues(func(replay.Instance, int64) { n++ })
	dst = binary.AppendUvarint(append(dst, 1), uint64(n))
	s.Dues(func(i replay.Instance, due int64) {
		step := uint64(i)
		if i == replay.RunItself {
			step = dueOfRun
		}
		dst = binary.AppendUvarint(dst, step)
		dst = binary.BigEndian.AppendUint64(dst, uint64(due))
	})
	return s.Append(dst)
}

var errSnapshot = errors.New("malformed snapshot")

// ParseSnapshot takes a snapshot apart. One of a newer release wraps event.ErrFormat.
func ParseSnapshot(b []byte) (Snapshot, error) {
	if len(b) > 0 && b[0] > 1 {
		return Snapshot{}, fmt.Errorf("snapshot of form %d: %w", b[0], event.ErrFormat)
	}
	if len(b) < 2 {
		return Snapshot{}, errSnapshot
	}
	out := Snapshot{Idle: b[0] == 1}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)) {
		return Snapshot{}, errSnapshot
	}
	b = b[1+size:]
	for range n {
		step, size := binary.Uvarint(b)
		if size <= 0 || len(b) < size+8 || step > dueOfRun {
			return Snapshot{}, errSnapshot
		}
		due := Due{int32(step), int64(binary.BigEndian.Uint64(b[size:]))}
		if step == dueOfRun {
			due.Step = replay.RunItself
		}
		out.Dues = append(out.Dues, due)
		b = b[size+8:]
	}
	out.State = b
	return out, nil
}

// Decode gives the state that a snapshot holds.
func (a *Archive) Decode(b []byte) (*replay.State, error) {
	snap, err := ParseSnapshot(b)
	if err != nil {
		return nil, err
	}
	digest, err := replay.DigestOf(snap.State)
	if err != nil {
		return nil, err
	}
	g, err := a.Graph(digest)
	if err != nil {
		return nil, err
	}
	return replay.Decode(snap.State, g)
}
