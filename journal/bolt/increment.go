package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// An increment is what a journal has that a backup of before lacks. It is a file of its own:
//
//	| "agnt5d increment" | version: 4 | lineage: 32 | since: 8 | upto: 8 | records: 8 | last: 8 | slack: 8 | at: 8 | mark: 32 |
//	| op: 1 | bucket: bytes | key: bytes | value: bytes |   as often as there is something to do
//
// Numbers are big-endian, bytes is a length (uvarint) and as many bytes. The last op is the end: its value is the SHA-256 of all
// before it.
const (
	incrementMagic   = "agnt5d increment"
	incrementVersion = 0
	headerBytes      = len(incrementMagic) + 4 + 32 + 6*8 + 32
)

// What an increment does. Values that are put have their checksums, as in the journal.
const (
	opPut    byte = iota + 1
	opDelete      // the row
	opClear       // the rows of the bucket whose keys begin with the key
	opEnd
)

// increment is the header of an increment.
type increment struct {
	lineage [32]byte // tells journals apart
	since   uint64   // the backup before it has the events up to here
	upTo    uint64   // and with it there are those up to here
	records uint64   // in the log of the journal then
	last    uint64   // tail.last
	slack   uint64   // times.slack
	at      int64    // when it was made, Unix ms
	mark    [32]byte // of the record that holds the event since; zero: it was purged
}

func (h *increment) append(dst []byte) []byte {
	dst = append(dst, incrementMagic...)
	dst = binary.BigEndian.AppendUint32(dst, incrementVersion)
	dst = append(dst, h.lineage[:]...)
	for _, n := range []uint64{h.since, h.upTo, h.records, h.last, h.slack, uint64(h.at)} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return append(dst, h.mark[:]...)
}

// decodeIncrement reads a header of headerBytes bytes. ours: it is one, perhaps of a newer release.
func decodeIncrement(p []byte) (h increment, ours bool, version uint32) {
	if len(p) < headerBytes || string(p[:len(incrementMagic)]) != incrementMagic {
		return h, false, 0
	}
	p = p[len(incrementMagic):]
	version = binary.BigEndian.Uint32(p)
	p = p[4:]
	p = p[copy(h.lineage[:], p):]
	for _, n := range []*uint64{&h.since, &h.upTo, &h.records, &h.last, &h.slack} {
		*n, p = binary.BigEndian.Uint64(p), p[8:]
	}
	h.at = int64(binary.BigEndian.Uint64(p))
	copy(h.mark[:], p[8:])
	return h, true, version
}

// lineageOf tells journals apart without telling their secret.
func lineageOf(secret []byte) [32]byte {
	return sha256.Sum256(append([]byte("agnt5d increment of the journal with this secret: "), secret...))
}

// markOf tells whether two files have the same record for an event; zero: there is none.
func markOf(tx *bbolt.Tx, seq uint64) (mark [32]byte, r journal.Record, err error) {
	r, err = find(tx, seq)
	if err == journal.ErrNotFound {
		return mark, journal.Record{Seq: seq, Count: 1}, nil
	}
	if err != nil {
		return mark, r, err
	}
	return sha256.Sum256(append(seqKey(r.Seq), tx.Bucket(logBucket.name).Get(seqKey(r.Seq))...)), r, nil
}

// Increment writes what the journal has, as it is at one moment, that a backup which ends with the event since lacks. Restore puts
// both together. touched says what records have changed that they do not name to the journal. An engine may be at work meanwhile, but
// the file grows until it is done: w should be fast. Of a damaged journal none is made.
func (j *Journal) Increment(w io.Writer, since uint64, at int64, touched func(*journal.Record) (journal.Touched, error)) (upTo uint64, err error) {
	if j.closed.Load() {
		return 0, journal.ErrClosed
	}
	err = j.view(func(tx *bbolt.Tx) error {
		i := incrementer{tx: tx, w: w, hash: sha256.New(), touched: touched}
		upTo, err = i.write(since, at, j.secret)
		return err
	})
	return upTo, err
}

// incrementer writes one increment.
type incrementer struct {
	tx      *bbolt.Tx
	w       io.Writer
	hash    io.Writer
	buf     []byte
	touched func(*journal.Record) (journal.Touched, error)
	since   uint64
}

func (i *incrementer) write(since uint64, at int64, secret []byte) (upTo uint64, err error) {
	t, err := tailOf(i.tx)
	if err != nil {
		return 0, err
	}
	if since < t.first() || since >= t.next {
		return 0, fmt.Errorf("%w: the journal has the events %d to %d, not %d", ErrNoEvent, t.first(), t.next-1, since)
	}
	times, _ := timesOf(i.tx)
	mark, r, err := markOf(i.tx, since)
	if err != nil {
		return 0, err
	}
	i.since = since
	h := increment{lineage: lineageOf(secret), since: since, upTo: t.next - 1, records: t.records, last: t.last, slack: uint64(times.slack), at: at, mark: mark}
	i.buf = h.append(i.buf)
	steps := []func() error{
		func() error { return i.whole(holeBucket) }, // first: what is purged makes room for what has its name
		func() error { return i.log(max(r.End(), since+1)) },
		func() error { return i.newer(snapshotBucket) },
		func() error { return i.newer(objectBucket) },
		i.said,
		func() error { return i.whole(definitionBucket) },
		func() error { return i.whole(currentBucket) },
		func() error { return i.whole(rowBucket) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return 0, err
		}
	}
	if err := i.flush(); err != nil {
		return 0, err
	}
	sum := i.hash.(interface{ Sum([]byte) []byte }).Sum(nil)
	i.op(opEnd, nil, nil, sum)
	return h.upTo, i.flush()
}

func (i *incrementer) op(op byte, b *bucket, key, value []byte) {
	i.buf = append(i.buf, op)
	if b == nil {
		b = &bucket{}
	}
	i.buf = appendBytes(appendBytes(appendBytes(i.buf, b.name), key), value)
}

// some writes what is there when it is much.
func (i *incrementer) some() error {
	if len(i.buf) < 1<<20 {
		return nil
	}
	return i.flush()
}

func (i *incrementer) flush() error {
	_, _ = i.hash.Write(i.buf)
	_, err := i.w.Write(i.buf)
	i.buf = i.buf[:0]
	return err
}

// put writes a row as it stands in the journal, if it is there and whole.
func (i *incrementer) put(b *bucket, key []byte) (there bool, err error) {
	if p, err := b.get(i.tx, key); err != nil || p == nil {
		return false, err
	}
	i.op(opPut, b, key, i.tx.Bucket(b.name).Get(key))
	return true, nil
}

// whole writes all rows of a bucket.
func (i *incrementer) whole(b *bucket) error {
	i.op(opClear, b, nil, nil)
	return b.each(i.tx, nil, nil, func(k, _ []byte) error {
		i.op(opPut, b, k, i.tx.Bucket(b.name).Get(k))
		return i.some()
	})
}

// log writes the records from a sequence on, and what changed with them.
func (i *incrementer) log(from uint64) error {
	l, err := logAfter(i.tx, from-1)
	if err != nil {
		return err
	}
	for {
		r, err := l.next()
		if err != nil || r.Seq == 0 {
			return err
		}
		if r.Seq < from {
			continue
		}
		if err := i.record(&r); err != nil {
			return err
		}
		if err := i.some(); err != nil {
			return err
		}
	}
}

func (i *incrementer) record(r *journal.Record) error {
	key := seqKey(r.Seq)
	i.op(opPut, logBucket, key, i.tx.Bucket(logBucket.name).Get(key))
	touched, err := i.touched(r)
	if err != nil {
		return fmt.Errorf("record %d: %w", r.Seq, err)
	}
	if err := i.named(r, &touched); err != nil {
		return err
	}
	if r.Run == 0 {
		return nil
	}
	if isWaypoint(r) {
		if _, err := i.put(waypointBucket, waypointKey(r.Run, r.N)); err != nil {
			return err
		}
	}
	h, ok, err := headOf(i.tx, r.Run)
	if err != nil || !ok || h.LastSeq != r.Seq { // a head names the record with which it was written
		return err
	}
	if _, err := i.put(headBucket, seqKey(r.Run)); err != nil {
		return err
	}
	if p, err := snapshotBucket.get(i.tx, seqKey(r.Run)); err != nil || p != nil {
		return err
	}
	i.op(opDelete, snapshotBucket, seqKey(r.Run), nil)
	return nil
}

// named writes what a record has changed by name, as it is now.
func (i *incrementer) named(r *journal.Record, t *journal.Touched) error {
	until := int64(0)
	for _, id := range t.IDs {
		p, err := idBucket.get(i.tx, []byte(id))
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		_, kept, err := decodeID(p)
		if err != nil {
			return idBucket.damage([]byte(id), err.Error())
		}
		if kept == 0 {
			continue // a later run has it: its head says so
		}
		until = max(until, kept)
		if _, err := i.put(idBucket, []byte(id)); err != nil {
			return err
		}
		if err := i.putExpiry(expiryRow(kept, expiryOfID, []byte(id))); err != nil {
			return err
		}
	}
	if until != 0 {
		if err := i.putExpiry(expiryRow(until, expiryOfEntry, seqKey(r.Seq))); err != nil {
			return err
		}
	}
	for _, digest := range t.Bodies {
		if _, err := i.put(bodyBucket, []byte(digest)); err != nil {
			return err
		}
	}
	for _, key := range t.Objects {
		if there, err := i.put(objectBucket, []byte(key)); err != nil {
			return err
		} else if !there {
			i.op(opDelete, objectBucket, []byte(key), nil)
		}
	}
	return nil
}

// putExpiry writes a row of a bucket that older files lack.
func (i *incrementer) putExpiry(key []byte) error {
	if i.tx.Bucket(expiryBucket.name) == nil {
		return nil
	}
	_, err := i.put(expiryBucket, key)
	return err
}

// newer writes the rows that were written with an event after since.
func (i *incrementer) newer(b *bucket) error {
	return b.each(i.tx, nil, nil, func(k, p []byte) error {
		d := decoder{p: p}
		if b == objectBucket { // version, fence, sequence
			_, _ = d.uvarint(), d.uvarint()
		}
		if seq := d.uvarint(); d.bad {
			return b.damage(k, "malformed")
		} else if seq > i.since {
			i.op(opPut, b, k, i.tx.Bucket(b.name).Get(k))
		}
		return i.some()
	})
}

// said writes what attempts wrote to their logs, of the runs of which it may have changed.
func (i *incrementer) said() error {
	in := i.tx.Bucket(saidBucket.name)
	if in == nil {
		return nil
	}
	c := in.Cursor()
	for k, v := c.First(); k != nil; {
		if len(k) < saidRun {
			return saidBucket.damage(nil, fmt.Sprintf("a key of %d bytes", len(k)))
		}
		run := slices.Clone(k[:saidRun])
		h, ok, err := headOf(i.tx, binary.BigEndian.Uint64(run))
		if err != nil {
			return err
		}
		if ok && h.EndedAt != 0 && h.LastSeq <= i.since {
			k, v = c.Seek(seqKey(h.Run + 1))
			continue
		}
		i.op(opClear, saidBucket, run, nil)
		for ; bytes.HasPrefix(k, run); k, v = c.Next() {
			if _, err := saidBucket.unseal(k, v); err != nil {
				return saidBucket.damage(k, err.Error())
			}
			i.op(opPut, saidBucket, k, v)
			if err := i.some(); err != nil {
				return err
			}
		}
	}
	return nil
}

// ErrNoEvent: the journal does not have the event after which an increment was to begin.
var ErrNoEvent = errors.New("journal: no such event")
