package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// NameRuns lets damaged heads not stand in the way: what is known of their runs otherwise is given in their place, with Damaged set.
// Without it they are a *DamageError. Verify tells of them either way. fn is given a run's first record, without a body when that cannot be
// read, and says what is known of the run: its id and workflow, and how it is to look. It is called in a transaction, and must only look at
// the record.
func (j *Journal) NameRuns(fn func(first journal.Record) journal.Head) { j.naming.Store(&fn) }

// headOrStandIn is headOf that gives a stand-in for a damaged head.
func (j *Journal) headOrStandIn(tx *bbolt.Tx, run uint64) (journal.Head, bool, error) {
	h, ok, err := headOf(tx, run)
	if err == nil {
		return h, ok, nil
	}
	return j.standIn(tx, run, err)
}

// standIn gives what is known of a run whose head is damaged; without a naming, the error. ok false: there is no such run, and the
// head's key is what is damaged.
func (j *Journal) standIn(tx *bbolt.Tx, run uint64, damage error) (h journal.Head, ok bool, err error) {
	var d *journal.DamageError
	name := j.naming.Load()
	if name == nil || !errors.As(damage, &d) || d.Kind != headBucket.kind {
		return h, false, damage
	}
	first, err := find(tx, run)
	switch {
	case err == journal.ErrNotFound || err == nil && (first.Seq != run || first.Run != run):
		return h, false, nil
	case err != nil:
		first = journal.Record{Seq: run, Run: run, Count: 1}
	}
	h = (*name)(first)
	h.Run, h.CreatedAt, h.EndedAt, h.LastSeq, h.Events, h.Damaged = run, first.At, first.At, run, uint64(first.Count), true
	if tx.Bucket(stateBucket.name).Get(stateKey(journal.OpenState, run)) != nil { // so it is in an engine's memory
		h.State, h.EndedAt, h.Failed = journal.OpenState, 0, ""
	}
	return h, true, nil
}

// forgetDamaged removes what leads to a run whose head is damaged.
func (w *writer) forgetDamaged(run uint64, until int64, damage error) error {
	h, ok, err := w.j.standIn(w.tx, run, damage)
	if err != nil || !ok {
		h = journal.Head{Run: run}
	}
	for state := range uint8(16) {
		if err := w.del(stateBucket, stateKey(state, run)); err != nil {
			return err
		}
	}
	if err := errors.Join(w.unlist(endBucket, run), w.unlist(tagBucket, run)); err != nil { // when it ended and which tags it has is not known
		return err
	}
	h.EndedAt, h.Tags = 0, nil
	return w.forget(&h, until)
}

// unlist removes the rows of a run from an index by reading all of it.
func (w *writer) unlist(b *bucket, run uint64) error {
	in := w.tx.Bucket(b.name)
	if in == nil {
		return nil
	}
	var rows [][]byte
	c := in.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if len(k) > 8 && binary.BigEndian.Uint64(k[len(k)-8:]) == run {
			rows = append(rows, bytes.Clone(k))
		}
	}
	return w.deleteAll(b, rows)
}

// mendedID finds whose an id is by the runs themselves, and by what is to be removed some day: its row is damaged.
func (j *Journal) mendedID(id string) (run uint64, until int64, ok bool, err error) {
	if known, is := j.mended.Load(id); is {
		k := known.([2]uint64)
		return k[0], int64(k[1]), k[0] != 0, nil
	}
	err = j.readHeads(nil, func(h *journal.Head) {
		if h.ID == id {
			run = h.Run
		}
	})
	if err == nil && run == 0 {
		err = j.keys(expiryBucket, func(k []byte) {
			if len(k) > 9 && k[8] == expiryOfID && string(k[9:]) == id {
				until = int64(binary.BigEndian.Uint64(k))
			}
		})
	}
	if err != nil {
		return 0, 0, false, err
	}
	if ok = run != 0 || until != 0; ok { // an id that nobody has may be given at any time
		j.mended.Store(id, [2]uint64{run, uint64(until)})
	}
	return run, until, ok, nil
}
