package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// The bucket bytag is the index of the runs that have tags:
//
//	| 1 | tag: bytes |             run: 8 |    every run that has the tag
//	| 2 | tag: bytes | ended: 8 |  run: 8 |    those that have ended, by when
//
// The values are nothing but the checksum. Files of older releases lack it: none of their runs has a tag, and it is made as the file
// is opened.
const (
	tagOfAll byte = iota + 1
	tagOfEnd
)

func tagPrefix(byEnd bool, tag string) []byte {
	kind := tagOfAll
	if byEnd {
		kind = tagOfEnd
	}
	return appendBytes([]byte{kind}, tag)
}

// tagKeys are the rows of a run in the index.
func tagKeys(h *journal.Head) (keys [][]byte) {
	for _, tag := range h.Tags {
		keys = append(keys, binary.BigEndian.AppendUint64(tagPrefix(false, tag), h.Run))
		if h.EndedAt != 0 {
			keys = append(keys, endKey(tagPrefix(true, tag), journal.HeadMark{Ended: h.EndedAt, Run: h.Run}))
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys
}

// retag brings the index up to a head that replaces old. damaged: what it replaces could not be read.
func (w *writer) retag(old, h *journal.Head, damaged bool) error {
	if damaged {
		if err := w.unlist(tagBucket, h.Run); err != nil {
			return err
		}
	}
	return w.tag(old, h)
}

// tag brings the index from one head of a run to another; nil: there is none.
func (w *writer) tag(old, h *journal.Head) error {
	if (old == nil || len(old.Tags) == 0) && (h == nil || len(h.Tags) == 0) || w.tx.Bucket(tagBucket.name) == nil {
		return nil
	}
	var before, after [][]byte
	if old != nil {
		before = tagKeys(old)
	}
	if h != nil {
		after = tagKeys(h)
	}
	in := func(keys [][]byte, k []byte) bool {
		_, found := slices.BinarySearchFunc(keys, k, bytes.Compare)
		return found
	}
	for _, k := range before {
		if !in(after, k) {
			if err := w.del(tagBucket, k); err != nil {
				return err
			}
		}
	}
	for _, k := range after {
		if !in(before, k) {
			if err := w.row(tagBucket, k, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// rareMost is how many rows of each of several tags are counted to find the one with the fewest.
const rareMost = 10_000

// rarest gives the tag that has the fewest runs.
func rarest(tx *bbolt.Tx, tags []string) string {
	if len(tags) == 1 {
		return tags[0]
	}
	cursors, prefixes := make([]*bbolt.Cursor, len(tags)), make([][]byte, len(tags))
	for n := range rareMost {
		for i := range tags {
			var k []byte
			if n == 0 {
				cursors[i], prefixes[i] = tx.Bucket(tagBucket.name).Cursor(), tagPrefix(false, tags[i])
				k, _ = cursors[i].Seek(prefixes[i])
			} else {
				k, _ = cursors[i].Next()
			}
			if !bytes.HasPrefix(k, prefixes[i]) {
				return tags[i]
			}
		}
	}
	return tags[0]
}

// indexTags makes the index where an older release has left none. A file that has no room for it goes without: lists by tag then read
// every head.
func (j *Journal) indexTags() (err error) {
	there := false
	err = j.view(func(tx *bbolt.Tx) error { there = tx.Bucket(tagBucket.name) != nil; return nil })
	if err != nil || there {
		return err
	}
	defer guard(&err)()
	err = j.db().Update(func(tx *bbolt.Tx) error { return emptyBucket(tx, tagBucket) })
	if err != nil && !outOfSpace(err) {
		return fmt.Errorf("journal: index by tag: %w", err)
	}
	return j.place.set(j.path, j.file())
}

// emptyBucket makes a bucket anew.
func emptyBucket(tx *bbolt.Tx, b *bucket) error {
	if tx.Bucket(b.name) != nil {
		if err := tx.DeleteBucket(b.name); err != nil {
			return err
		}
	}
	_, err := tx.CreateBucket(b.name)
	return err
}
