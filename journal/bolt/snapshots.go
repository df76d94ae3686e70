package bolt

import (
	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Snapshot gives the stored state of a run. ok is false when there is none.
func (j *Journal) Snapshot(run uint64) (s journal.Snapshot, ok bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		key := seqKey(run)
		p, err := snapshotBucket.get(tx, key)
		if err != nil || p == nil {
			return err
		}
		d := decoder{p: p}
		s = journal.Snapshot{Run: run, Seq: d.uvarint()}
		if d.bad {
			return snapshotBucket.damage(key, "malformed")
		}
		s.State, ok = append([]byte(nil), d.p...), true
		return nil
	})
	return s, ok, err
}
