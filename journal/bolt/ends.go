package bolt

import (
	"encoding/binary"
	"fmt"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// The bucket byend is the index of the runs that have ended, by when:
//
//	| 1 |                    ended: 8 | run: 8 |    every run that has ended
//	| 2 | state: 1 |         ended: 8 | run: 8 |    those in a state other than completed
//	| 3 | workflow: bytes |  ended: 8 | run: 8 |
//
// 4 and 5 are kept for the run that started a run, and for tags. The values are nothing but the checksum.
//
// Releases that do not know the index write runs that are not in it. The row "times" of the bucket meta tells: it is written
// with every commit of those that do, and says where the log ended then. When it ends elsewhere, the index is made anew as the
// file is opened.
const (
	endOfAll byte = iota + 1
	endOfState
	endOfFlow
)

func endKey(dst []byte, m journal.HeadMark) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(m.Ended)), m.Run)
}

// endKeys are the rows of a head in the index.
func endKeys(h *journal.Head) [][]byte {
	if h.EndedAt == 0 {
		return nil
	}
	m := journal.HeadMark{Ended: h.EndedAt, Run: h.Run}
	keys := [][]byte{endKey([]byte{endOfAll}, m), endKey(appendBytes([]byte{endOfFlow}, h.Workflow), m)}
	if h.State != journal.CompletedState {
		keys = append(keys, endKey([]byte{endOfState, h.State}, m))
	}
	return keys
}

// times is the row "times" of the bucket meta:
//
//	| next: uvarint | slack: uvarint |
type times struct {
	next  uint64 // where the log ended when the index by end was last brought up to it
	slack int64  // by how many milliseconds a run was ever started before one with a smaller number: the clock was put back
}

var timesKey = []byte("times")

func (t *times) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, t.next), uint64(t.slack))
}

// timesOf gives the row, and whether the index is as the file is.
func timesOf(tx *bbolt.Tx) (t times, ok bool) {
	p, err := metaBucket.get(tx, timesKey)
	if p == nil || err != nil || tx.Bucket(endBucket.name) == nil {
		return t, false
	}
	d := decoder{p: p}
	t = times{next: d.uvarint(), slack: int64(d.uvarint())}
	end, err := tailOf(tx)
	return t, !d.bad && len(d.p) == 0 && err == nil && t.next == end.next
}

// clock follows the starts of runs in the order of their numbers.
type clock struct {
	newest int64 // the latest start so far
	slack  int64
}

func (c *clock) start(at int64) {
	c.slack = max(c.slack, c.newest-at)
	c.newest = max(c.newest, at)
}

// end brings the index up to a head that replaces old; nil: there was none, or it could not be read.
func (w *writer) end(old, h *journal.Head) error {
	if !w.indexed {
		return nil
	}
	if old != nil && (old.EndedAt != h.EndedAt || old.State != h.State) {
		if err := w.unend(old); err != nil {
			return err
		}
	}
	for _, k := range endKeys(h) {
		if err := w.row(endBucket, k, nil); err != nil {
			return err
		}
	}
	return nil
}

// unend takes a run out of the index.
func (w *writer) unend(h *journal.Head) error {
	b := w.tx.Bucket(endBucket.name)
	for _, k := range endKeys(h) {
		if b == nil || !w.indexed {
			return nil
		}
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// indexSlice is how many heads are read in one transaction when the index is made.
const indexSlice = 20_000

// indexEnds makes the index by end where an older release has left none, or written behind it. A file that has no room for it
// goes without: lists by end then read every head.
func (j *Journal) indexEnds() error {
	var t times
	var c clock
	var last []byte
	err := j.view(func(tx *bbolt.Tx) error {
		t, j.indexed = timesOf(tx)
		last, _ = tx.Bucket(headBucket.name).Cursor().Last()
		if h, ok, err := headAt(tx, last); err == nil && ok {
			c.newest = h.CreatedAt + t.slack
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.slack = t.slack
	if !j.indexed {
		c = clock{}
		if err = j.buildEnds(&c); err == nil {
			j.indexed = true
		}
		if err := j.place.set(j.path, j.file); err != nil {
			return err
		}
	}
	j.clock = c
	return nil
}

func (j *Journal) buildEnds(c *clock) (err error) {
	defer guard(&err)()
	at := []byte{}
	for first := true; at != nil; first = false {
		err := j.db.Update(func(tx *bbolt.Tx) error {
			if first && tx.Bucket(endBucket.name) != nil {
				if err := tx.DeleteBucket(endBucket.name); err != nil {
					return err
				}
			}
			if _, err := tx.CreateBucketIfNotExists(endBucket.name); err != nil {
				return err
			}
			w := writer{tx: tx, indexed: true}
			heads := tx.Bucket(headBucket.name).Cursor()
			k, _ := heads.Seek(at)
			for n := 0; k != nil && n < indexSlice; n++ {
				if h, ok, err := headAt(tx, k); err == nil && ok { // a damaged one is reported by those who read it
					c.start(h.CreatedAt)
					if err := w.end(nil, &h); err != nil {
						return err
					}
				}
				k, _ = heads.Next()
			}
			if at = nil; k != nil {
				at = append(at, k...)
				return nil
			}
			end, err := tailOf(tx)
			if err != nil {
				return err
			}
			done := times{end.next, c.slack}
			return w.row(metaBucket, timesKey, done.append(nil))
		})
		if err != nil {
			return fmt.Errorf("journal: index by end: %w", err)
		}
	}
	return nil
}

func headAt(tx *bbolt.Tx, key []byte) (journal.Head, bool, error) {
	if len(key) != 8 {
		return journal.Head{}, false, nil
	}
	return headOf(tx, binary.BigEndian.Uint64(key))
}
