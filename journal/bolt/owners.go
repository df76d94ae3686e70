package bolt

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// owners finds out whose damaged records are: from the links of later records, and from the rows that name a record of
// their run. What is missing in one stretch may be several records.
type owners struct {
	found []journal.Damage  // in the order of the log
	stray []journal.Damage  // that have no place in it
	runs  map[uint64]uint64 // first sequence of a damaged record -> run
	left  map[uint64]uint64 // end of a damaged part -> run of the record that ended there
}

func (o *owners) damage(d journal.Damage) {
	if d.Seq == 0 {
		o.stray = append(o.stray, d)
		return
	}
	o.found = append(o.found, d)
}

// covers says whether a sequence is in a damaged part of the log.
func (o *owners) covers(seq uint64) bool {
	i, _ := slices.BinarySearchFunc(o.found, seq, func(d journal.Damage, seq uint64) int {
		if d.End() <= seq {
			return -1
		}
		return 1
	})
	return i < len(o.found) && o.found[i].Seq <= seq
}

func (o *owners) link(r *journal.Record) {
	if len(o.found) == 0 {
		return
	}
	if r.Prev != 0 {
		o.name(r.Prev, r.Run)
	}
	o.before(r.Seq, r.Left)
}

// before notes whose record stood directly before a sequence, if it is damaged.
func (o *owners) before(seq, run uint64) {
	if run == 0 || !o.covers(seq-1) {
		return
	}
	if o.left == nil {
		o.left = map[uint64]uint64{}
	}
	o.left[seq] = run
}

// name notes that a record of the run begins at seq, if it is damaged.
func (o *owners) name(seq, run uint64) {
	if !o.covers(seq) {
		return
	}
	if o.runs == nil {
		o.runs = map[uint64]uint64{}
	}
	o.runs[seq] = run
}

// resolve gives the damages with the runs that are known, in the order of the log.
func (o *owners) resolve(j *Journal) []journal.Damage {
	known := o.stray
	if len(o.found) == 0 {
		return known
	}
	o.ask(j)
	j.mu.Lock()
	t := j.tail
	j.mu.Unlock()
	o.before(t.next, t.last)
	for _, d := range o.found {
		var starts []uint64
		for s := range o.runs {
			if s >= d.Seq && s < d.End() {
				starts = append(starts, s)
			}
		}
		if len(starts) == 0 { // no link names it: but its neighbour does
			d.Run = o.left[d.End()]
			known = append(known, d)
			continue
		}
		slices.Sort(starts)
		for i, s := range starts {
			part := d
			part.Seq, part.Run, part.Count = s, o.runs[s], uint32(d.End()-s)
			if i+1 < len(starts) {
				part.Count = uint32(starts[i+1] - s)
			}
			known = append(known, part)
		}
	}
	return known
}

// ask reads the rows that name a run's first or last record, or one on the way.
func (o *owners) ask(j *Journal) {
	_ = j.rows(headBucket, func(_ *bbolt.Tx, k, p []byte) {
		if h, err := decodeHead(k, p); err == nil {
			o.name(h.Run, h.Run)
			o.name(h.LastSeq, h.Run)
		}
	}, nil)
	_ = j.rows(snapshotBucket, func(_ *bbolt.Tx, k, p []byte) {
		d := decoder{p: p}
		if seq := d.uvarint(); len(k) == 8 && !d.bad {
			o.name(seq, binary.BigEndian.Uint64(k))
		}
	}, nil)
	_ = j.rows(waypointBucket, func(_ *bbolt.Tx, k, p []byte) {
		d := decoder{p: p}
		if seq := d.uvarint(); len(k) == 16 && !d.bad {
			o.name(seq, binary.BigEndian.Uint64(k))
		}
	}, nil)
}

// leads says whether a search for the key k finds its row, and goes on behind the key at. Near a damaged key it may not: it would pass over
// rows, or give some again.
func (b *bucket) leads(in *bbolt.Bucket, at, k, v []byte) bool {
	if _, err := b.unseal(k, v); err != nil || bytes.Compare(k, at) <= 0 {
		return false
	}
	found, _ := in.Cursor().Seek(k)
	return bytes.Equal(found, k)
}

// rows reads a whole bucket, many rows in a transaction: good ones are given to fn, bad ones to bad. A nil bad passes over
// them.
func (j *Journal) rows(b *bucket, fn func(tx *bbolt.Tx, key, payload []byte), bad func(*journal.DamageError)) error {
	var at []byte
	for more := true; more; {
		var damages []*journal.DamageError
		err := j.view(func(tx *bbolt.Tx) error {
			in := tx.Bucket(b.name)
			if in == nil { // of an older release
				more = false
				return nil
			}
			c := in.Cursor()
			k, v := c.Seek(at)
			for n := 0; k != nil; n++ {
				if n >= pageRecords && b.leads(in, at, k, v) {
					at = slices.Clone(k)
					return nil
				}
				if p, err := b.unseal(k, v); err != nil {
					damages = append(damages, b.keyed(tx, k, err.Error()))
				} else {
					fn(tx, k, p)
				}
				k, v = c.Next()
			}
			more = false
			return nil
		})
		for _, d := range damages {
			if bad != nil {
				bad(d)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
