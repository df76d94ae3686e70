package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

var _ journal.Source = (*Journal)(nil)

// page gives up to pageRecords rows of a bucket from a key on, or until errStop, and where the next page begins; nil: there is none.
func (j *Journal) page(b *bucket, from []byte, fn func(k, p []byte) error) (next []byte, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		if tx.Bucket(b.name) == nil { // of an older release
			return nil
		}
		n := 0
		return b.each(tx, nil, from, func(k, p []byte) error {
			err := errStop
			if n++; n <= pageRecords {
				err = fn(k, p)
			}
			if err == errStop {
				next = bytes.Clone(k)
			}
			return err
		})
	})
	return next, err
}

// EachLeft gives what purges have left behind: first the ids, then the records that tell of purges.
func (j *Journal) EachLeft(fn func(journal.Left) error) error {
	var list []journal.Left
	id := func(k, p []byte) error {
		run, until, err := decodeID(p)
		if err != nil {
			return idBucket.damage(k, err.Error())
		}
		if until != 0 {
			list = append(list, journal.Left{ID: string(k), Run: run, Until: until})
		}
		return nil
	}
	entry := func(k, _ []byte) error {
		if len(k) == 17 && k[8] == expiryOfEntry {
			list = append(list, journal.Left{Entry: seqOf(k[9:]), Until: int64(binary.BigEndian.Uint64(k))})
		}
		return nil
	}
	for _, of := range []struct {
		b    *bucket
		read func(k, p []byte) error
	}{{idBucket, id}, {expiryBucket, entry}} {
		for at := []byte{}; at != nil; {
			next, err := j.page(of.b, at, of.read)
			if err != nil {
				return err
			}
			for _, l := range list {
				if err := fn(l); err != nil {
					return err
				}
			}
			at, list = next, list[:0]
		}
	}
	return nil
}

// EachSaid gives all that attempts wrote to their logs.
func (j *Journal) EachSaid(fn func(journal.Said) error) error {
	for at := []byte{}; at != nil; {
		var list []journal.Said
		size := 0
		next, err := j.page(saidBucket, at, func(k, p []byte) error {
			if size > pageBytes {
				return errStop
			}
			s, err := decodeSaid(k, p)
			if err != nil {
				return saidBucket.damage(k, err.Error())
			}
			list, size = append(list, s), size+len(s.Text)
			return nil
		})
		if err != nil {
			return err
		}
		for _, s := range list {
			if err := fn(s); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

// Import makes a journal of a shard at path, where nothing may be, of the parts that fill gives (journal.Carry): it has a secret of its own.
// It is there when it is whole and was checked; until then, and when it does not become so, nothing is.
func Import(ctx context.Context, path string, shard journal.Shard, fill func(put func(*journal.Part) error) error, checking func(done float64)) error {
	if err := absent(path); err != nil {
		return err
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	lock, err := acquire(path, 2*time.Second)
	if err != nil {
		return err
	}
	defer lock.release()
	temp := path + newSuffix
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err = create(temp, shard); err == nil {
		err = importTo(ctx, temp, fill, checking)
	}
	if err == nil {
		err = absent(path)
	}
	if err == nil {
		err = putInPlace(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

func importTo(ctx context.Context, temp string, fill func(put func(*journal.Part) error) error, checking func(done float64)) (err error) {
	j, err := openFile(temp, Options{AheadBytes: -1}, false, time.Second)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.db().Close()) }() // it has no queue, and nobody watches it
	if err := j.indexEnds(); err != nil {
		return err
	}
	j.db().NoSync = true
	var t journal.Tally
	err = fill(func(p *journal.Part) error {
		t.Add(p)
		return j.write(true, 0, func(w *writer) (uint64, error) { return 1, w.part(p) })
	})
	if err != nil {
		return err
	}
	if err := t.Check(ctx, j, checking); err != nil {
		return err
	}
	return j.db().Sync()
}

// part puts a part of a journal.
func (w *writer) part(p *journal.Part) error {
	next := w.tail.next
	b := p.Batch
	for rest := b.Records; len(rest) > 0; {
		if rest[0].Seq > next {
			if err := w.hole(next, rest[0].Seq); err != nil {
				return err
			}
		}
		n := 1
		for n < len(rest) && rest[n].Seq == rest[n-1].End() {
			n++
		}
		if err := w.log(rest[:n]); err != nil {
			return err
		}
		next, rest = rest[n-1].End(), rest[n:]
	}
	if p.Next > next {
		if err := w.hole(next, p.Next); err != nil {
			return err
		}
		w.tail.next = p.Next
	}
	b.Records, b.Definitions = nil, nil
	for i := range p.Definitions {
		if d := &p.Definitions[i]; d.Digest != "" {
			b.Definitions = append(b.Definitions, *d)
		} else if err := w.row(definitionBucket, definitionKey(d.Name, d.Version), appendMillis(nil, d.At)); err != nil {
			return err
		}
	}
	for _, l := range p.Left {
		if l.ID == "" {
			if err := w.row(expiryBucket, expiryRow(l.Until, expiryOfEntry, seqKey(l.Entry)), nil); err != nil {
				return err
			}
			continue
		}
		if err := errors.Join(w.row(idBucket, []byte(l.ID), appendID(nil, l.Run, l.Until)), w.row(expiryBucket, expiryRow(l.Until, expiryOfID, []byte(l.ID)), nil)); err != nil {
			return err
		}
	}
	err := w.batch(&b)
	if !p.Last {
		w.tail.clean = w.j.tail.clean
	}
	return err
}
