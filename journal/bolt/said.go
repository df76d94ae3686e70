package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// A piece of an attempt's log stands under its run (8, big-endian), step (bytes), attempt (4) and place (8): its text.
func saidKey(dst []byte, run uint64, m journal.SaidMark, at uint64) []byte {
	dst = appendBytes(binary.BigEndian.AppendUint64(dst, run), m.Step)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(dst, m.Attempt), at)
}

// sizes of what stands around the step in a key
const (
	saidRun  = 8
	saidTail = 4 + 8
)

func decodeSaid(key, p []byte) (journal.Said, error) {
	d := decoder{p: key}
	if len(key) < saidRun+1+saidTail {
		return journal.Said{}, fmt.Errorf("key of %d bytes", len(key))
	}
	s := journal.Said{Run: binary.BigEndian.Uint64(key), Text: bytes.Clone(p)}
	d.p = key[saidRun:]
	s.Step = string(d.bytes())
	if d.bad || len(d.p) != saidTail {
		return s, fmt.Errorf("malformed key")
	}
	s.Attempt, s.At = binary.BigEndian.Uint32(d.p), binary.BigEndian.Uint64(d.p[4:])
	return s, nil
}

// said puts a piece, and removes those of the same attempt that are behind the last MaxSaid bytes. Files of older releases have no
// bucket for it until it is needed.
func (w *writer) said(s *journal.Said) error {
	to, err := w.tx.CreateBucketIfNotExists(saidBucket.name)
	if err != nil {
		return err
	}
	key := saidKey(nil, s.Run, journal.SaidMark{Step: s.Step, Attempt: s.Attempt}, s.At)
	if err := w.row(saidBucket, key, s.Text); err != nil {
		return err
	}
	own := key[:len(key)-8]
	var old [][]byte
	size := 0
	c := to.Cursor()
	k, v := c.Seek(binary.BigEndian.AppendUint64(bytes.Clone(own), math.MaxUint64))
	if k == nil {
		k, v = c.Last()
	} else if !bytes.HasPrefix(k, own) {
		k, v = c.Prev()
	}
	for ; bytes.HasPrefix(k, own); k, v = c.Prev() {
		if size >= journal.MaxSaid {
			old = append(old, bytes.Clone(k))
		}
		size += max(len(v)-4, 0)
	}
	return w.deleteAll(saidBucket, old)
}

// unsay removes all that the attempts of a run wrote.
func (w *writer) unsay(run uint64) error {
	b := w.tx.Bucket(saidBucket.name)
	if b == nil {
		return nil
	}
	var old [][]byte
	c := b.Cursor()
	for k, _ := c.Seek(seqKey(run)); bytes.HasPrefix(k, seqKey(run)); k, _ = c.Next() {
		old = append(old, bytes.Clone(k))
	}
	return w.deleteAll(saidBucket, old)
}

func (w *writer) deleteAll(b *bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := w.del(b, k); err != nil {
			return err
		}
	}
	return nil
}

// Said gives what attempts of a run wrote to their logs, of one step or ("") of all, after a place, piece by piece: attempt by
// attempt, until over limit bytes are given (0: all). An attempt is given whole.
func (j *Journal) Said(run uint64, step string, after journal.SaidMark, limit int) ([]journal.Said, error) {
	var out []journal.Said
	err := j.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(saidBucket.name)
		if b == nil {
			return nil
		}
		prefix := seqKey(run)
		if step != "" {
			prefix = appendBytes(prefix, step)
		}
		from := prefix
		if after != (journal.SaidMark{}) {
			from = saidKey(nil, run, after, math.MaxUint64)
		}
		size := 0
		c := b.Cursor()
		for k, v := saidBucket.seek(c, from); k != nil; k, v = c.Next() {
			p, err := saidBucket.unseal(k, v)
			if is := bytes.HasPrefix(k, prefix); !is && err == nil {
				break
			} else if !is { // a damaged key
				continue
			}
			if err != nil {
				return saidBucket.damage(k, err.Error())
			}
			s, err := decodeSaid(k, p)
			if err != nil {
				return saidBucket.damage(k, err.Error())
			}
			if n := len(out); limit > 0 && size > limit && (out[n-1].Step != s.Step || out[n-1].Attempt != s.Attempt) {
				return nil
			}
			out = append(out, s)
			size += len(s.Text)
		}
		return nil
	})
	return out, err
}
