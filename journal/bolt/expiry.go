package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// The bucket expiry is the index of what purges have left behind, by when it is over:
//
//	| until: 8 | 0 | id         |    the tombstone of an id
//	| until: 8 | 1 | record: 8  |    a record that told of purges
//
// The values are nothing but the checksum. The row "expiry" of the bucket meta says that the index is there: files of older releases
// lack it, and it is made as the file is opened. Records that told of purges before are not in it, and stay.
const (
	expiryOfID byte = iota
	expiryOfEntry
)

var expiryKey = []byte("expiry")

func expiryRow(until int64, kind byte, what []byte) []byte {
	return append(append(binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(what)), uint64(until)), kind), what...)
}

// expire notes what purges leave behind.
func (w *writer) expire(purges []journal.Purge) error {
	entries := map[uint64]int64{}
	for i := range purges {
		if p := &purges[i]; p.Entry != 0 {
			entries[p.Entry] = max(entries[p.Entry], p.Until)
		}
	}
	for entry, until := range entries {
		if err := w.row(expiryBucket, expiryRow(until, expiryOfEntry, seqKey(entry)), nil); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what is over.
func (w *writer) sweep(now int64) error {
	if now <= 0 {
		return nil
	}
	b := w.tx.Bucket(expiryBucket.name)
	if b == nil {
		return nil
	}
	var over [][]byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil && len(over) < journal.MaxSwept; k, _ = c.Next() {
		if len(k) >= 9 && int64(binary.BigEndian.Uint64(k)) >= now {
			break
		}
		over = append(over, append([]byte(nil), k...))
	}
	for _, k := range over {
		if err := w.over(k); err != nil {
			return err
		}
		if err := w.del(expiryBucket, k); err != nil {
			return err
		}
	}
	return nil
}

// over removes what a row of the index names, if it is still there.
func (w *writer) over(k []byte) error {
	switch {
	case len(k) > 9 && k[8] == expiryOfID:
		until, id := int64(binary.BigEndian.Uint64(k)), k[9:]
		p, err := idBucket.get(w.tx, id)
		if err != nil || p == nil {
			return nil // a damaged one is left as it is
		}
		if _, kept, err := decodeID(p); err != nil || kept != until {
			return nil
		}
		return w.del(idBucket, id)
	case len(k) == 17 && k[8] == expiryOfEntry:
		r, err := record(k[9:], w.tx.Bucket(logBucket.name).Get(k[9:]))
		if err != nil || r.Run != 0 {
			return nil
		}
		if err := w.del(logBucket, k[9:]); err != nil {
			return err
		}
		w.tail.records--
		return w.hole(r.Seq, r.End())
	}
	return nil
}

// indexExpiry makes the index where an older release has left none. A file that has no room for it goes without: what purges leave
// behind stays.
func (j *Journal) indexExpiry() error {
	there := false
	err := j.view(func(tx *bbolt.Tx) error {
		p, err := metaBucket.get(tx, expiryKey) // one that is damaged says nothing
		there = p != nil && err == nil && tx.Bucket(expiryBucket.name) != nil
		return nil
	})
	if err != nil || there {
		return err
	}
	if err := j.buildExpiry(); err != nil && !outOfSpace(err) {
		return err
	}
	return j.place.set(j.path, j.file())
}

func (j *Journal) buildExpiry() (err error) {
	defer guard(&err)()
	at := []byte{}
	for first := true; at != nil; first = false {
		err := j.db().Update(func(tx *bbolt.Tx) error {
			if first && tx.Bucket(expiryBucket.name) != nil {
				if err := tx.DeleteBucket(expiryBucket.name); err != nil {
					return err
				}
			}
			if _, err := tx.CreateBucketIfNotExists(expiryBucket.name); err != nil {
				return err
			}
			w := writer{tx: tx}
			in := tx.Bucket(idBucket.name)
			ids := in.Cursor()
			k, v := ids.Seek(at)
			for n := 0; k != nil && (n < indexSlice || !idBucket.leads(in, at, k, v)); n++ {
				if p, err := idBucket.unseal(k, v); err == nil { // a damaged one is reported by those who read it
					if _, until, err := decodeID(p); err == nil && until != 0 {
						if err := w.row(expiryBucket, expiryRow(until, expiryOfID, k), nil); err != nil {
							return err
						}
					}
				}
				k, v = ids.Next()
			}
			if at = nil; k != nil {
				at = bytes.Clone(k)
				return nil
			}
			return w.row(metaBucket, expiryKey, nil)
		})
		if err != nil {
			return fmt.Errorf("journal: index of what is over: %w", err)
		}
	}
	return nil
}
