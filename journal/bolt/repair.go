package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// RepairOptions say what the layers above know of a damaged journal.
type RepairOptions struct {
	Lost        map[uint64]string                                         // runs of which not all can be had, with their ids
	Head        func(run, last uint64) (journal.Head, error)              // makes a head from the run's records, of which the last one is named
	Name        func(run uint64) string                                   // the id of a run
	Definitions []journal.Definition                                      // what the log says of versions; those that have no whole row get one
	Entry       func(lost map[uint64]string) (body []byte, events uint32) // a record of the engine that says what was done; no events: none is written
	At, Until   int64                                                     // the time, and until when the ids of lost runs are kept; Unix ms
	Progress    func(done, all int64)                                     // nil: nobody wants to know
}

// Repair makes a journal at path, where nothing may be, of what is whole in a journal that was opened by OpenReadOnly. Rows whose checksums
// do not hold are left out; heads, indexes and holes are made anew from the log. A run of which a record is lost is left out as a whole,
// and its id is kept from being used again: half a run would do its steps a second time. It gives all runs that were left out. The damaged
// journal is not changed.
func Repair(ctx context.Context, damaged *Journal, path string, o RepairOptions) (lost map[uint64]string, err error) {
	if err := errors.Join(absent(path), damaged.room(path)); err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	lock, err := acquire(path, 2*time.Second)
	if err != nil {
		return nil, err
	}
	defer lock.release()
	err = putNew(path, func(temp string) error {
		if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := create(temp, journal.ShardOf(damaged.tail.next)); err != nil {
			return err
		}
		r := repairer{ctx: ctx, from: damaged, o: &o, lost: maps.Clone(o.Lost), ends: map[uint64]runEnd{}, whole: map[uint64]bool{}}
		if r.lost == nil {
			r.lost = map[uint64]string{}
		}
		lost = r.lost
		return r.all(temp)
	})
	return lost, err
}

type repairer struct {
	ctx   context.Context
	from  *Journal
	to    *Journal
	o     *RepairOptions
	lost  map[uint64]string
	ends  map[uint64]runEnd
	whole map[uint64]bool // runs with a whole head
	made  []journal.Head  // for runs that had none
	put   []moved         // rows for the next transaction
	size  int
	done  int64
}

func (r *repairer) all(temp string) (err error) {
	if r.to, err = openFile(temp, Options{AheadBytes: -1}, false, time.Second); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.to.db().Close()) }()
	if err := r.to.indexEnds(); err != nil {
		return err
	}
	r.to.db().NoSync = true
	for _, step := range []func() error{r.look, r.log, r.heads, r.others, r.entry, r.check} {
		if err := errors.Join(step(), r.ctx.Err()); err != nil {
			return err
		}
	}
	return r.to.db().Sync()
}

// rows gives the whole rows of a bucket.
func (r *repairer) rows(b *bucket, fn func(k, p []byte)) error {
	return r.from.rows(b, func(_ *bbolt.Tx, k, p []byte) { fn(k, p) }, nil)
}

// records gives the whole records.
func (r *repairer) records(fn func(rec *journal.Record, k, p []byte)) error {
	first, next := r.from.tail.first(), r.from.tail.next
	return r.rows(logBucket, func(k, p []byte) {
		if seq := seqOf(k); len(k) == 8 && seq >= first && seq < next {
			if rec, err := decodeRecord(seq, p); err == nil && rec.End() <= next {
				fn(&rec, k, p)
			}
		}
	})
}

// look finds which runs are whole: their records are linked, and end where their heads say.
func (r *repairer) look() error {
	err := r.records(func(rec *journal.Record, _, _ []byte) {
		if rec.Run == 0 {
			return
		}
		end, seen := r.ends[rec.Run]
		if rec.Prev != 0 && (!seen || end.last != rec.Prev || end.n+1 != rec.N) || rec.Prev == 0 && rec.Seq != rec.Run {
			r.lose(rec.Run)
		}
		r.ends[rec.Run] = runEnd{last: rec.Seq, n: rec.Last()}
	})
	if err != nil {
		return err
	}
	err = r.rows(headBucket, func(k, p []byte) {
		h, err := decodeHead(k, p)
		if err != nil {
			return
		}
		end, seen := r.ends[h.Run]
		if !seen || end.last < h.LastSeq || h.EndedAt != 0 && end.last != h.LastSeq {
			r.lost[h.Run] = h.ID
		}
		r.whole[h.Run] = true
	})
	if err != nil {
		return err
	}
	for _, run := range slices.Sorted(maps.Keys(r.ends)) {
		if _, lost := r.lost[run]; lost || r.whole[run] {
			continue
		}
		h, err := r.o.Head(run, r.ends[run].last)
		if err != nil {
			r.lose(run)
			continue
		}
		r.made = append(r.made, h)
	}
	return nil
}

func (r *repairer) lose(run uint64) {
	if r.lost[run] == "" {
		r.lost[run] = r.o.Name(run)
	}
}

// keep puts a row into the new journal, with the others that come.
func (r *repairer) keep(b *bucket, k, p []byte) {
	v := append(make([]byte, 4, 4+len(p)), p...)
	b.seal(k, v)
	r.put = append(r.put, moved{b, slices.Clone(k), v})
	r.size += len(k) + len(v)
}

// flush writes them, a part at a time.
func (r *repairer) flush() error {
	for len(r.put) > 0 {
		err := r.to.write(true, 0, func(w *writer) (uint64, error) {
			n := min(len(r.put), applyRows)
			for _, row := range r.put[:n] {
				in, err := w.tx.CreateBucketIfNotExists(row.b.name)
				if err != nil {
					return 0, err
				}
				if row.b == logBucket {
					in.FillPercent = 1
					w.tail.records++
				}
				if err := in.Put(row.key, row.value); err != nil {
					return 0, err
				}
			}
			r.put = r.put[n:]
			return 0, nil
		})
		if err != nil {
			return err
		}
	}
	r.put, r.size = nil, 0
	if r.o.Progress != nil {
		r.o.Progress(min(r.done, r.from.Stats().UsedBytes), r.from.Stats().UsedBytes)
	}
	return r.ctx.Err()
}

// copyRows keeps what pick says of the whole rows of a bucket.
func (r *repairer) copyRows(b *bucket, pick func(k, p []byte) bool) error {
	var failed error
	err := r.rows(b, func(k, p []byte) {
		if failed != nil || !pick(k, p) {
			return
		}
		r.keep(b, k, p)
		if r.done += int64(len(k) + len(p)); r.size > applyBytes {
			failed = r.flush()
		}
	})
	if err == nil {
		err = failed
	}
	if err == nil {
		err = r.flush()
	}
	return err
}

// log copies the records of runs that are whole, and those of the engine. What is between them was purged, or is lost.
func (r *repairer) log() error {
	t := r.from.tail
	at, last := t.first(), uint64(0)
	var holes []span
	err := r.copyRows(logBucket, func(k, p []byte) bool {
		seq := seqOf(k)
		if len(k) != 8 || seq < at || seq >= t.next {
			return false
		}
		rec, err := decodeRecord(seq, p)
		if _, lost := r.lost[rec.Run]; err != nil || lost || rec.End() > t.next {
			return false
		}
		if seq > at {
			holes = append(holes, span{at, seq})
		}
		at, last = rec.End(), rec.Run
		return true
	})
	if err != nil {
		return err
	}
	if at < t.next {
		holes = append(holes, span{at, t.next})
	}
	return r.to.write(true, 0, func(w *writer) (uint64, error) {
		w.tail.next, w.tail.last, w.tail.base = t.next, last, 0
		for _, h := range holes {
			if err := w.row(holeBucket, seqKey(h.from), binary.AppendUvarint(nil, h.end-h.from)); err != nil {
				return 0, err
			}
		}
		return 0, w.row(metaBucket, secretKey, r.from.secret)
	})
}

// heads puts the heads, and with them ids and indexes.
func (r *repairer) heads() error {
	var some []journal.Head
	var failed error
	put := func() {
		if failed == nil && len(some) > 0 {
			failed = r.to.write(true, 0, func(w *writer) (uint64, error) {
				for i := range some {
					if err := w.head(&some[i]); err != nil {
						return 0, err
					}
				}
				return 0, nil
			})
		}
		some = some[:0]
	}
	err := r.rows(headBucket, func(k, p []byte) {
		h, err := decodeHead(k, p)
		if _, lost := r.lost[h.Run]; err == nil && !lost {
			if some = append(some, h); len(some) == applyRows {
				put()
			}
		}
	})
	some = append(some, r.made...)
	put()
	return errors.Join(err, failed)
}

// others copies what is not made anew. Without the snapshots, and with no recovery point, a start folds the whole log.
func (r *repairer) others() error {
	ofRun := func(k, _ []byte) bool {
		if len(k) < 8 {
			return false
		}
		run := binary.BigEndian.Uint64(k)
		_, lost := r.lost[run]
		_, there := r.ends[run]
		return there && !lost
	}
	all := func(k, p []byte) bool { return true }
	tombstone := func(_, p []byte) bool {
		_, until, err := decodeID(p)
		return err == nil && until != 0
	}
	for _, step := range []struct {
		b    *bucket
		pick func(k, p []byte) bool
	}{{waypointBucket, ofRun}, {saidBucket, ofRun}, {idBucket, tombstone}, {expiryBucket, all}, {objectBucket, all}, {definitionBucket, all},
		{currentBucket, all}, {bodyBucket, func(k, p []byte) bool { return checkDigest(string(k), p) == nil }}, {rowBucket, all}} {
		if err := r.copyRows(step.b, step.pick); err != nil {
			return err
		}
	}
	return nil
}

// entry puts what the log says of definitions that have lost their rows, and what tells of the lost runs.
func (r *repairer) entry() error {
	return r.to.write(true, 0, func(w *writer) (uint64, error) {
		for i := range r.o.Definitions {
			d := &r.o.Definitions[i]
			key := definitionKey(d.Name, d.Version)
			if w.tx.Bucket(definitionBucket.name).Get(key) == nil {
				if err := w.row(definitionBucket, key, append(appendMillis(nil, d.At), d.Digest...)); err != nil {
					return 0, err
				}
			}
			if d.Current && w.tx.Bucket(currentBucket.name).Get([]byte(d.Name)) == nil {
				if err := w.row(currentBucket, []byte(d.Name), binary.AppendUvarint(nil, uint64(d.Version))); err != nil {
					return 0, err
				}
			}
		}
		for run, id := range r.lost {
			if w.tx.Bucket(idBucket.name).Get([]byte(id)) != nil || id == "" {
				continue
			}
			if err := errors.Join(w.row(expiryBucket, expiryRow(r.o.Until, expiryOfID, []byte(id)), nil), w.row(idBucket, []byte(id), appendID(nil, run, r.o.Until))); err != nil {
				return 0, err
			}
		}
		body, events := r.o.Entry(r.lost)
		if events == 0 {
			return 0, nil
		}
		seq := r.from.tail.next
		if len(r.lost) > 0 {
			if err := w.row(expiryBucket, expiryRow(r.o.Until, expiryOfEntry, seqKey(seq)), nil); err != nil {
				return 0, err
			}
		}
		return 1, w.batch(&journal.Batch{Records: []journal.Record{{Seq: seq, Count: events, At: r.o.At, Body: body}}})
	})
}

// check sees that the new journal is whole. A definition without a body is not: it is to be registered again.
func (r *repairer) check() error {
	var first error
	_, err := r.to.Verify(r.ctx, func(d journal.Damage) {
		if first == nil && d.Kind != bodyBucket.kind {
			first = &journal.DamageError{Damage: d}
		}
	})
	return errors.Join(err, first)
}
