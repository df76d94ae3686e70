package bolt

import (
	"encoding/binary"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// A run's records are linked backwards only. So that any page of a long history is found at once, the record that holds the
// run's event 512, 1024, ... is noted as a waypoint, under the run (8) and the position of the record's first event (8):
//
//	| seq: uvarint |
const waypointEvery = 512

func (w *writer) waypoint(r *journal.Record) error {
	return w.row(waypointBucket, waypointKey(r.Run, r.N), binary.AppendUvarint(nil, r.Seq))
}

// isWaypoint says whether a record of a run is noted.
func isWaypoint(r *journal.Record) bool { return r.Last()/waypointEvery > (r.N-1)/waypointEvery }

func waypointKey(run, n uint64) []byte {
	return binary.BigEndian.AppendUint64(seqKey(run), n)
}

// waypointFrom finds the first waypoint of the run whose record begins at position n or behind. 0: there is none.
func waypointFrom(tx *bbolt.Tx, run, n uint64) (seq uint64, err error) {
	want := waypointKey(run, n)
	k, v := tx.Bucket(waypointBucket.name).Cursor().Seek(want)
	if len(k) != 16 || binary.BigEndian.Uint64(k) != run {
		return 0, nil
	}
	p, err := waypointBucket.unseal(k, v)
	if err != nil {
		return 0, &journal.DamageError{Damage: journal.Damage{Run: run, Kind: "waypoint", Detail: err.Error()}}
	}
	seq, size := binary.Uvarint(p)
	if size != len(p) || seq == 0 {
		return 0, &journal.DamageError{Damage: journal.Damage{Run: run, Kind: "waypoint", Detail: "malformed"}}
	}
	return seq, nil
}
