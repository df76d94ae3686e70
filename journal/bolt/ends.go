package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// The bucket byend is the index of the runs that have ended, by when:
//
//	| 1 |                    ended: 8 | run: 8 |    every run that has ended
//	| 2 | state: 1 |         ended: 8 | run: 8 |    those in a state other than completed
//	| 3 | workflow: bytes |  ended: 8 | run: 8 |
//
// 4 is kept for the run that started a run. The values are nothing but the checksum.
//
// A run that ends is named in the row "times" at first, and gets its rows with those of some others, in their order: each row by
// itself would make every commit write three pages more. A run is either named there or has its rows.
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

// endKeys are the rows of a run in the index.
func endKeys(l *lateEnd) [][]byte {
	keys := [][]byte{endKey([]byte{endOfAll}, l.HeadMark), endKey(appendBytes([]byte{endOfFlow}, l.workflow), l.HeadMark)}
	if l.state != journal.CompletedState {
		keys = append(keys, endKey([]byte{endOfState, l.state}, l.HeadMark))
	}
	return keys
}

// times is the row "times" of the bucket meta:
//
//	| next: uvarint | slack: uvarint | count: uvarint | as often: next - run: uvarint |
//
// Files of before end after slack: all runs have their rows.
type times struct {
	next  uint64   // where the log ended when the index by end was last brought up to it
	slack int64    // by how many milliseconds a run was ever started before one with a smaller number: the clock was put back
	late  []uint64 // runs that have ended and have no rows in the index yet, each once
}

var timesKey = []byte("times")

func (t *times) append(dst []byte) []byte {
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, t.next), uint64(t.slack))
	dst = binary.AppendUvarint(dst, uint64(len(t.late)))
	for _, run := range t.late {
		dst = binary.AppendUvarint(dst, t.next-run)
	}
	return dst
}

// timesOf gives the row, and whether the index is as the file is.
func timesOf(tx *bbolt.Tx) (t times, ok bool) {
	p, err := metaBucket.get(tx, timesKey)
	if p == nil || err != nil || tx.Bucket(endBucket.name) == nil {
		return t, false
	}
	d := decoder{p: p}
	t = times{next: d.uvarint(), slack: int64(d.uvarint())}
	if len(d.p) > 0 {
		for n := d.uvarint(); n > 0 && !d.bad; n-- {
			t.late = append(t.late, t.next-d.uvarint())
		}
	}
	end, err := tailOf(tx)
	return t, !d.bad && len(d.p) == 0 && err == nil && t.next == end.next
}

// lateEnd is a run of times.late, and what its rows are made of.
type lateEnd struct {
	journal.HeadMark
	state    uint8
	workflow string
}

func lateOf(h *journal.Head) lateEnd {
	return lateEnd{journal.HeadMark{Ended: h.EndedAt, Run: h.Run}, h.State, h.Workflow}
}

// lateHeads gives the heads of the runs that have no rows yet.
func (t *times) lateHeads(j *Journal, tx *bbolt.Tx) ([]journal.Head, error) {
	var heads []journal.Head
	for _, run := range t.late {
		h, ok, err := j.headOrStandIn(tx, run)
		if err != nil {
			return nil, err
		}
		if ok {
			heads = append(heads, h)
		}
	}
	return heads, nil
}

// lateMost is how many runs wait for their rows: a list by end reads the heads of them all.
const lateMost = 64

// clock follows the starts of runs in the order of their numbers.
type clock struct {
	newest int64 // the latest start so far
	slack  int64
}

func (c *clock) start(at int64) {
	c.slack = max(c.slack, c.newest-at)
	c.newest = max(c.newest, at)
}

// end brings the index up to a head that replaces old; nil: there was none, or (damaged) it could not be read.
func (w *writer) end(old, h *journal.Head, damaged bool) error {
	if !w.indexed || old != nil && old.EndedAt == h.EndedAt && old.State == h.State {
		return nil
	}
	if old != nil {
		if err := w.unend(old); err != nil {
			return err
		}
	}
	switch {
	case h.EndedAt == 0:
		return nil
	case damaged: // it may have its rows
		return w.endRows([]lateEnd{lateOf(h)})
	}
	w.late = append(w.late, lateOf(h))
	return nil
}

// settleEnds gives those that waited for it their rows, when they are many.
func (w *writer) settleEnds() error {
	if len(w.late) < lateMost {
		return nil
	}
	err := w.endRows(w.late)
	w.late = w.late[:0]
	return err
}

// endRows puts the rows of some runs into the index.
func (w *writer) endRows(ends []lateEnd) error {
	keys := make([][]byte, 0, 2*len(ends))
	for i := range ends {
		keys = append(keys, endKeys(&ends[i])...)
	}
	slices.SortFunc(keys, bytes.Compare)
	for _, k := range keys {
		if err := w.row(endBucket, k, nil); err != nil {
			return err
		}
	}
	return nil
}

// unend takes a run out of the index.
func (w *writer) unend(h *journal.Head) error {
	b := w.tx.Bucket(endBucket.name)
	if b == nil || !w.indexed || h.EndedAt == 0 {
		return nil
	}
	if i := slices.IndexFunc(w.late, func(l lateEnd) bool { return l.Run == h.Run }); i >= 0 {
		w.late = slices.Delete(w.late, i, i+1)
		return nil
	}
	late := lateOf(h)
	for _, k := range endKeys(&late) {
		if err := w.del(endBucket, k); err != nil {
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
	if j.indexed {
		err = j.view(func(tx *bbolt.Tx) error {
			for _, run := range t.late {
				if h, ok, err := headOf(tx, run); err == nil && ok { // a damaged one is reported by those who read it
					j.late = append(j.late, lateOf(&h))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	} else {
		c = clock{}
		if err = j.buildEnds(&c); err == nil {
			j.indexed = true
		}
		if err := j.place.set(j.path, j.file()); err != nil {
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
		err := j.db().Update(func(tx *bbolt.Tx) error {
			if first && tx.Bucket(endBucket.name) != nil {
				if err := tx.DeleteBucket(endBucket.name); err != nil {
					return err
				}
			}
			if _, err := tx.CreateBucketIfNotExists(endBucket.name); err != nil {
				return err
			}
			if first {
				if err := emptyBucket(tx, tagBucket); err != nil {
					return err
				}
			}
			w := writer{tx: tx, indexed: true}
			in := tx.Bucket(headBucket.name)
			heads := in.Cursor()
			k, v := heads.Seek(at)
			for n := 0; k != nil && (n < indexSlice || !headBucket.leads(in, at, k, v)); n++ {
				if h, ok, err := headAt(tx, k); err == nil && ok { // a damaged one is reported by those who read it
					c.start(h.CreatedAt)
					if err := w.tag(nil, &h); err != nil {
						return err
					}
					if h.EndedAt != 0 {
						w.late = append(w.late, lateOf(&h))
					}
				}
				k, v = heads.Next()
			}
			if err := w.endRows(w.late); err != nil {
				return err
			}
			if at = nil; k != nil {
				at = bytes.Clone(k)
				return nil
			}
			end, err := tailOf(tx)
			if err != nil {
				return err
			}
			done := times{next: end.next, slack: c.slack}
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
