package bolt

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// ErrIncrement: an increment is damaged, or does not go on where what is before it ends. The error is an *IncrementError.
var ErrIncrement = errors.New("journal: not the next increment")

// IncrementError says why an increment was refused.
type IncrementError struct{ Path, Reason string }

func (e *IncrementError) Error() string { return "journal: " + e.Path + " " + e.Reason }
func (e *IncrementError) Unwrap() error { return ErrIncrement }

// Increment is a file that (*Journal).Increment has written.
type Increment struct {
	Path        string
	Since, UpTo uint64 // it begins after the one event, and ends with the other
	At          int64  // when it was made, Unix ms
	Bytes       int64
	h           increment
}

// OpenIncrement reads an increment, to see that it is whole. progress may be nil.
func OpenIncrement(path string, progress func(done, all int64)) (*Increment, error) {
	r, err := readIncrement(path, progress)
	if err != nil {
		return nil, err
	}
	defer r.f.Close()
	for {
		op, err := r.next()
		if err != nil {
			return nil, err
		}
		if op.op == opEnd {
			return r.in, nil
		}
	}
}

// IsIncrement says whether a file is an increment, or the beginning of one.
func IsIncrement(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return beginsIncrement(f)
}

func beginsIncrement(f io.ReaderAt) bool {
	magic := make([]byte, len(incrementMagic))
	_, err := f.ReadAt(magic, 0)
	return err == nil && string(magic) == incrementMagic
}

// incrementReader reads the ops of an increment, and sees that they are whole.
type incrementReader struct {
	in       *Increment
	f        *os.File
	r        *bufio.Reader
	hash     hash.Hash
	at       int64
	progress func(done, all int64)
}

// change is an op. Its bytes are the caller's.
type change struct {
	op         byte
	b          *bucket
	key, value []byte
}

func readIncrement(path string, progress func(done, all int64)) (*incrementReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &incrementReader{in: &Increment{Path: path, Bytes: fileSize(path)}, f: f, r: bufio.NewReaderSize(f, 1<<20), hash: sha256.New(), progress: progress}
	header := make([]byte, headerBytes)
	n, err := io.ReadFull(r.r, header)
	h, ours, version := decodeIncrement(header[:n])
	switch {
	case err == nil && ours && version > incrementVersion:
		err = &FileError{Path: path, Kind: ErrNewerFormat, Reason: fmt.Sprintf("is an increment of format %d, this release reads up to %d; use a newer agnt5d", version, incrementVersion)}
	case err == nil && ours:
		_, _ = r.hash.Write(header)
		r.at, r.in.h, r.in.Since, r.in.UpTo, r.in.At = int64(n), h, h.since, h.upTo, h.at
		return r, nil
	case beginsIncrement(f):
		err = r.short()
	default:
		err = &IncrementError{path, "is not an increment of a backup"}
		if _, kerr := readKind(f, path); kerr == nil {
			err = &IncrementError{path, "is a whole backup: it comes first, and only increments after it"}
		}
	}
	return nil, errors.Join(err, f.Close())
}

func (r *incrementReader) short() error {
	return &IncrementError{r.in.Path, fmt.Sprintf("is cut short: it has no end after %d bytes", r.in.Bytes)}
}

func (r *incrementReader) damaged(what string) error {
	return &IncrementError{r.in.Path, fmt.Sprintf("is damaged at byte %d: %s", r.at, what)}
}

// next gives the next op. The one after the last is an error.
func (r *incrementReader) next() (c change, err error) {
	from := r.at
	var op, name []byte
	if op, err = r.take(1, nil); err != nil {
		return c, err
	}
	raw := slices.Clone(op)
	for _, into := range []*[]byte{&name, &c.key, &c.value} {
		if *into, raw, err = r.bytes(raw); err != nil {
			return c, err
		}
	}
	c.op = op[0]
	at := slices.IndexFunc(buckets(), func(b *bucket) bool { return bytes.Equal(b.name, name) })
	switch {
	case c.op == opEnd:
		if !bytes.Equal(r.hash.Sum(nil), c.value) {
			r.at = from
			return c, r.damaged("what is before its end is not what was written")
		}
		if _, err := r.r.ReadByte(); err != io.EOF {
			return c, r.damaged("it goes on after its end")
		}
		return c, nil
	case c.op == 0 || c.op > opEnd || at < 0 || buckets()[at] == metaBucket:
		return c, r.damaged(fmt.Sprintf("no op %d of %.20q", c.op, name))
	}
	_, _ = r.hash.Write(raw)
	c.b = buckets()[at]
	if c.op == opPut {
		if _, err := c.b.unseal(c.key, c.value); err != nil {
			return c, r.damaged(err.Error())
		}
	}
	if r.progress != nil {
		r.progress(r.at, r.in.Bytes)
	}
	return c, nil
}

// take gives n bytes, and puts them behind raw.
func (r *incrementReader) take(n int, raw []byte) ([]byte, error) {
	if int64(n) > r.in.Bytes-r.at {
		return nil, r.short()
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(r.r, p); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, r.short()
	} else if err != nil {
		return nil, err
	}
	r.at += int64(n)
	return p, nil
}

// bytes gives what a length is before, and raw with both.
func (r *incrementReader) bytes(raw []byte) (p, all []byte, err error) {
	var n uint64
	for shift := 0; ; shift += 7 {
		one, err := r.take(1, nil)
		if err != nil {
			return nil, raw, err
		}
		raw = append(raw, one[0])
		n |= uint64(one[0]&0x7f) << shift
		if one[0] < 0x80 {
			break
		}
		if shift > 28 {
			return nil, raw, r.damaged("an impossible length")
		}
	}
	if n > maxValue {
		return nil, raw, r.damaged("an impossible length")
	}
	if p, err = r.take(int(n), nil); err != nil {
		return nil, raw, err
	}
	return p, append(raw, p...), nil
}

// RestoreOptions say how to make a journal of a copy.
type RestoreOptions struct {
	Increments []*Increment // what comes after the copy, in their order
	Body       []byte       // of a record of the engine, which says that this was done
	At         int64        // the time of it, Unix ms
	// Progress is told how much is done of which part; nil: nobody wants to know. It must be quick.
	Progress func(what string, done, all int64)
}

// Restore makes a journal at path, where nothing may be, of a copy that was opened by OpenReadOnly and the increments after it. It gets
// a secret of its own, so that lease tokens from before are void. It appears when it is whole; until then, and when it does not become
// so, nothing is there. It gives the last event of the copy.
func Restore(ctx context.Context, copied *Journal, path string, o RestoreOptions) (upTo uint64, err error) {
	if err := absent(path); err != nil {
		return 0, err
	}
	if err := follow(copied, o.Increments); err != nil {
		return 0, err
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return 0, err
	}
	lock, err := acquire(path, 2*time.Second)
	if err != nil {
		return 0, err
	}
	defer lock.release()
	want := uint64(0)
	for _, in := range o.Increments {
		want += 3 * uint64(in.Bytes) // a row takes more in a tree than by itself
	}
	if err := errors.Join(copied.room(path), roomFor(path, want+spareRoom)); err != nil {
		return 0, err
	}
	err = putNew(path, func(temp string) error {
		if err := copied.rewrite(temp, o.part("restoring")); err != nil {
			return err
		}
		upTo, err = renew(ctx, temp, &o)
		return err
	})
	return upTo, err
}

func (o *RestoreOptions) part(what string) func(done, all int64) {
	if o.Progress == nil {
		return nil
	}
	return func(done, all int64) { o.Progress(what, done, all) }
}

// absent is the error of a path at which something is.
func absent(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// follow checks that increments go on where a copy ends.
func follow(copied *Journal, all []*Increment) error {
	lineage, end, before := lineageOf(copied.Secret()), copied.NextSeq()-1, copied.path
	for _, in := range all {
		switch {
		case in.h.lineage != lineage:
			return &IncrementError{in.Path, "is of another journal than " + copied.path}
		case in.Since > end:
			return &IncrementError{in.Path, fmt.Sprintf("begins after event %d, and %s ends with event %d: what is between them is missing, or the order is wrong", in.Since, before, end)}
		case in.UpTo < end:
			return &IncrementError{in.Path, fmt.Sprintf("ends with event %d, and %s with event %d: it is in there already, or the order is wrong", in.UpTo, before, end)}
		}
		end, before = in.UpTo, in.Path
	}
	return nil
}

// Follows is the error of an increment that does not go on where a backup ends, a whole one or an increment.
func (in *Increment) Follows(path string) error {
	if !IsIncrement(path) {
		j, err := OpenReadOnly(path)
		if err != nil {
			return err
		}
		return errors.Join(follow(j, []*Increment{in}), j.Close())
	}
	before, err := OpenIncrement(path, nil)
	if err == nil && before.h.lineage != in.h.lineage {
		err = &IncrementError{in.Path, "is of another journal than " + path}
	}
	return err
}

// renew puts increments into a file, which nobody has open, gives it a new secret and a record of the engine.
func renew(ctx context.Context, path string, o *RestoreOptions) (upTo uint64, err error) {
	j, err := openFile(path, Options{AheadBytes: -1}, false, time.Second)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.db().Close()) }() // it has no queue, and nobody watches it
	if err := errors.Join(j.indexTags(), j.indexEnds(), j.indexExpiry()); err != nil {
		return 0, err
	}
	j.db().NoSync = true
	for _, in := range o.Increments {
		if err := j.apply(ctx, in, o.part("adding "+filepath.Base(in.Path))); err != nil {
			return 0, err
		}
	}
	if len(o.Increments) > 0 {
		var found *journal.DamageError
		_, err := j.VerifyWith(ctx, func(d journal.Damage) {
			if found == nil {
				found = &journal.DamageError{Damage: d}
			}
		}, func(done float64) {
			if o.Progress != nil {
				o.Progress("checking", int64(done*1000), 1000)
			}
		})
		if err == nil && found != nil {
			err = &IncrementError{o.Increments[len(o.Increments)-1].Path, fmt.Sprintf("does not make a whole journal of what is before it: %v", found)}
		}
		if err != nil {
			return 0, err
		}
	}
	upTo = j.tail.next - 1
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it does not fail
	err = j.write(true, 0, func(w *writer) (uint64, error) {
		return 1, errors.Join(w.row(metaBucket, secretKey, secret),
			w.batch(&journal.Batch{Records: []journal.Record{{Seq: j.tail.next, Count: 1, At: o.At, Body: o.Body}}}))
	})
	return upTo, errors.Join(err, j.db().Sync())
}

// applyRows and applyBytes bound what is written in one transaction.
const (
	applyRows  = 10_000
	applyBytes = 8 << 20
)

// apply puts an increment into a journal that nobody else has.
func (j *Journal) apply(ctx context.Context, in *Increment, progress func(done, all int64)) error {
	if err := j.fits(in); err != nil {
		return err
	}
	r, err := readIncrement(in.Path, progress)
	if err != nil {
		return err
	}
	defer r.f.Close()
	c, err := r.next()
	if err != nil {
		return err
	}
	for c.op != opEnd {
		var holes []span
		err := j.write(true, 0, func(w *writer) (uint64, error) {
			w.tail.last, w.clock.slack = in.h.last, max(w.clock.slack, int64(in.h.slack))
			for n, bytes := 0, 0; n < applyRows && bytes < applyBytes && c.op != opEnd; n++ {
				if len(holes) > 0 && c.b != holeBucket {
					return 0, nil // what is purged goes before anything takes its place
				}
				if err := w.change(&c, &holes); err != nil {
					return 0, err
				}
				bytes += len(c.key) + len(c.value)
				if c, err = r.next(); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		if err == nil {
			err = j.empty(holes)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	if j.tail.next != in.UpTo+1 || j.tail.records != in.h.records {
		return &IncrementError{in.Path, fmt.Sprintf("does not fit: together there are %d records up to event %d, and the journal had %d up to event %d", j.tail.records, j.tail.next-1, in.h.records, in.UpTo)}
	}
	return nil
}

// fits checks that an increment follows the event with which it says that it was begun.
func (j *Journal) fits(in *Increment) error {
	return j.view(func(tx *bbolt.Tx) error {
		mark, _, err := markOf(tx, in.Since)
		if err == nil && mark != in.h.mark && mark != [32]byte{} && in.h.mark != [32]byte{} {
			err = &IncrementError{in.Path, fmt.Sprintf("follows another event %d than the one that is there: a copy was put back by hand in between", in.Since)}
		}
		return err
	})
}

// change does what an op says.
func (w *writer) change(c *change, holes *[]span) error {
	in, err := w.tx.CreateBucketIfNotExists(c.b.name)
	if err != nil {
		return err
	}
	switch {
	case c.op == opDelete:
		return in.Delete(c.key)
	case c.op == opClear && len(c.key) == 0:
		if err := w.tx.DeleteBucket(c.b.name); err != nil {
			return err
		}
		_, err := w.tx.CreateBucket(c.b.name)
		return err
	case c.op == opClear:
		var old [][]byte
		cur := in.Cursor()
		for k, _ := cur.Seek(c.key); bytes.HasPrefix(k, c.key); k, _ = cur.Next() {
			old = append(old, slices.Clone(k))
		}
		return w.deleteAll(c.b, old)
	case c.b == headBucket:
		return w.changeHead(c)
	case c.b == holeBucket:
		from, end, err := decodeHole(c.key, c.value)
		if err != nil {
			return err
		}
		*holes = append(*holes, span{from, end})
	case c.b == logBucket:
		r, err := record(c.key, c.value)
		if err != nil {
			return err
		}
		if in.FillPercent = 1; in.Get(c.key) == nil {
			w.tail.records++
		}
		w.tail.next = max(w.tail.next, r.End())
	}
	return in.Put(c.key, c.value)
}

// changeHead puts a head and brings the indexes up to it.
func (w *writer) changeHead(c *change) error {
	h, err := decodeHead(c.key, c.value[4:])
	if err != nil {
		return headBucket.damage(c.key, err.Error())
	}
	clock := w.clock // the heads do not come in the order of their numbers: the increment says what follows from it
	err = w.head(&h)
	w.clock = clock
	return err
}

// emptyRows is how many records are removed in one transaction.
const emptyRows = 5_000

// empty removes what was purged.
func (j *Journal) empty(holes []span) error {
	for i := 0; i < len(holes); {
		err := j.write(true, 0, func(w *writer) (uint64, error) {
			for n := 0; i < len(holes) && n < emptyRows; i++ {
				removed, err := w.clearOut(&holes[i], emptyRows-n)
				if err != nil {
					return 0, err
				}
				if n += removed; n == emptyRows {
					return 0, nil // there may be more in this one
				}
			}
			return 0, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clearOut removes some of the records in a hole, and the runs of which they are the first.
func (w *writer) clearOut(hole *span, most int) (int, error) {
	var keys [][]byte
	c := w.tx.Bucket(logBucket.name).Cursor()
	for k, _ := c.Seek(seqKey(hole.from)); k != nil && seqOf(k) < hole.end && len(keys) < most; k, _ = c.Next() {
		keys = append(keys, slices.Clone(k))
	}
	for _, k := range keys {
		h, ok, err := headAt(w.tx, k)
		if err == nil && ok {
			err = w.forget(&h, 0)
		}
		if err == nil {
			err = w.del(logBucket, k)
		}
		if err != nil {
			return 0, err
		}
		w.tail.records--
		hole.from = binary.BigEndian.Uint64(k)
	}
	return len(keys), nil
}
