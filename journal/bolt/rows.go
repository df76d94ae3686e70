package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// The payloads of the small buckets. docs/journal-format.md draws them all.

// tail is the row "tail" of the bucket meta, written with every commit: where the log ends, so that the loss of its last
// record shows.
//
//	| next: uvarint | records: uvarint | base: uvarint | last: uvarint | clean: 1 |
type tail struct {
	next    uint64 // sequence of the next record
	records uint64 // in the log
	base    uint64 // recovery begins with the snapshots and the records after it
	last    uint64 // run of the last record; 0: of no run
	clean   bool   // the last batch was that of a clean stop
}

func (t *tail) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, t.next)
	dst = binary.AppendUvarint(dst, t.records)
	dst = binary.AppendUvarint(dst, t.base)
	dst = binary.AppendUvarint(dst, t.last)
	if t.clean {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// first is the sequence of the first event of the log.
func (t *tail) first() uint64 { return journal.ShardOf(t.next).First() }

func decodeTail(p []byte) (tail, error) {
	d := decoder{p: p}
	t := tail{next: d.uvarint(), records: d.uvarint(), base: d.uvarint(), last: d.uvarint(), clean: d.byte() == 1}
	if d.bad || len(d.p) != 0 || t.next == 0 {
		return t, fmt.Errorf("malformed")
	}
	return t, nil
}

// A head stands under its run's number (8 bytes, big-endian):
//
//	| version: 1 | state: 1 | created: 6 | ended: 6 | version of the workflow: uvarint | last - run: uvarint | events: uvarint |
//	| skipped: uvarint | id: bytes | workflow: bytes | digest: bytes | failed: bytes | tags: bytes, each |
//
// where bytes is a length (uvarint) and as many bytes. The version is 1 if there are tags, else 0.
func appendHead(dst []byte, h *journal.Head) []byte {
	version := byte(0)
	if len(h.Tags) > 0 {
		version = headWithTags
	}
	dst = append(dst, version, h.State)
	dst = appendMillis(dst, h.CreatedAt)
	dst = appendMillis(dst, h.EndedAt)
	dst = binary.AppendUvarint(dst, uint64(h.Version))
	dst = binary.AppendUvarint(dst, h.LastSeq-h.Run)
	dst = binary.AppendUvarint(dst, h.Events)
	dst = binary.AppendUvarint(dst, uint64(h.Skipped))
	dst = appendBytes(dst, h.ID)
	dst = appendBytes(dst, h.Workflow)
	dst = appendBytes(dst, h.Digest)
	dst = appendBytes(dst, h.Failed)
	for _, tag := range h.Tags {
		dst = appendBytes(dst, tag)
	}
	return dst
}

const headWithTags = 1

func decodeHead(key, p []byte) (journal.Head, error) {
	if len(key) != 8 {
		return journal.Head{}, fmt.Errorf("key of %d bytes", len(key))
	}
	h := journal.Head{Run: binary.BigEndian.Uint64(key)}
	d := decoder{p: p}
	version := d.byte()
	if version > headWithTags {
		return h, fmt.Errorf("version %d, this release reads up to %d", version, headWithTags)
	}
	h.State = d.byte()
	h.CreatedAt, h.EndedAt = d.millis(), d.millis()
	h.Version, h.LastSeq, h.Events, h.Skipped = uint32(d.uvarint()), d.uvarint()+h.Run, d.uvarint(), uint32(d.uvarint())
	h.ID, h.Workflow = string(d.bytes()), string(d.bytes())
	h.Digest, h.Failed = slices.Clone(d.bytes()), string(d.bytes())
	for version == headWithTags && len(d.p) > 0 && !d.bad {
		h.Tags = append(h.Tags, string(d.bytes()))
	}
	if d.bad || len(d.p) != 0 {
		return h, fmt.Errorf("malformed")
	}
	return h, nil
}

// An id leads to its run, or is the tombstone of one that was purged:
//
//	| run: uvarint | until: uvarint, Unix ms, 0: the run is there |
func appendID(dst []byte, run uint64, until int64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, run), uint64(until))
}

func decodeID(p []byte) (run uint64, until int64, err error) {
	d := decoder{p: p}
	run, until = d.uvarint(), int64(d.uvarint())
	if d.bad || len(d.p) != 0 {
		err = fmt.Errorf("malformed")
	}
	return run, until, err
}

// An object stands under its key:
//
//	| version: uvarint | fence: uvarint | seq: uvarint | state ... |
func appendObject(dst []byte, o *journal.Object) []byte {
	dst = binary.AppendUvarint(dst, o.Version)
	dst = binary.AppendUvarint(dst, o.Fence)
	dst = binary.AppendUvarint(dst, o.Seq)
	return append(dst, o.State...)
}

func decodeObject(key, p []byte) (journal.Object, error) {
	d := decoder{p: p}
	o := journal.Object{Key: string(key), Version: d.uvarint(), Fence: d.uvarint(), Seq: d.uvarint(), State: slices.Clone(d.p)}
	if d.bad {
		return o, fmt.Errorf("malformed")
	}
	if o.State == nil {
		o.State = []byte{}
	}
	return o, nil
}

// A definition stands under its name (bytes) and version (4, big-endian), its body under its digest:
//
//	| at: 6 | digest ... |
//
// Of one that was deleted the digest is empty.
func definitionKey(name string, version uint32) []byte {
	return binary.BigEndian.AppendUint32(appendBytes(nil, name), version)
}

func decodeDefinition(key, p []byte) (journal.Definition, error) {
	k := decoder{p: key}
	d := decoder{p: p}
	def := journal.Definition{Name: string(k.bytes())}
	if k.bad || len(k.p) != 4 {
		return def, fmt.Errorf("malformed key")
	}
	def.Version = binary.BigEndian.Uint32(k.p)
	def.At = d.millis()
	def.Digest = string(d.p)
	if d.bad {
		return def, fmt.Errorf("malformed")
	}
	return def, nil
}

// The indexes of heads have keys of the state (1) or the workflow (bytes), and the run (8, big-endian); their values are
// nothing but the checksum.
func stateKey(state uint8, run uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{state}, run)
}

func flowKey(workflow string, run uint64) []byte {
	return binary.BigEndian.AppendUint64(appendBytes(make([]byte, 0, 16+len(workflow)), workflow), run)
}

// get finds the payload under key; nil: it is not there. That it is not there is believed only when the rows around its
// place are whole and in order, for a damaged key hides its row, and may hide others.
func (b *bucket) get(tx *bbolt.Tx, key []byte) ([]byte, error) {
	c := tx.Bucket(b.name).Cursor()
	k, v := c.Seek(key)
	if !bytes.Equal(k, key) {
		return b.absent(c, k, v, key)
	}
	p, err := b.unseal(k, v)
	if err != nil {
		return nil, b.damage(key, err.Error())
	}
	return p, nil
}

// absent asks the rows around the place of key, the first of which is k, whether it is really not there.
func (b *bucket) absent(c *bbolt.Cursor, k, v, key []byte) ([]byte, error) {
	var err error
	var found []byte
	if k != nil {
		found, err = b.neighbour(k, v, key, 1)
		k, v = c.Prev()
	} else {
		k, v = last(c)
	}
	if k != nil && err == nil && found == nil {
		found, err = b.neighbour(k, v, key, -1)
	}
	if err == nil {
		return found, nil
	}
	around(c, key, func(k, v []byte) bool {
		if bytes.Equal(k, key) {
			found, _ = b.unseal(k, v)
		}
		return found != nil
	})
	if found != nil {
		return found, nil
	}
	return nil, err
}

// last gives the last row. bbolt's own search for it never ends where a transaction has deleted all that there was.
func last(c *bbolt.Cursor) (k, v []byte) {
	if k, _ := c.First(); k == nil {
		return nil, nil
	}
	return c.Last()
}

// around gives the rows around the place of key, in the order in which they stand, until fn has what it wants: where keys
// are damaged, a search may end beside its goal.
func around(c *bbolt.Cursor, key []byte, fn func(k, v []byte) bool) {
	const before, all = 256, 768 // more than a page has
	k, _ := c.Seek(key)
	if k == nil {
		k, _ = last(c)
	}
	for range before {
		if k, _ = c.Prev(); k == nil {
			break
		}
	}
	var v []byte
	if k == nil {
		k, v = c.First()
	} else {
		k, v = c.Next()
	}
	for n := 0; k != nil && n < all; n++ {
		if fn(k, v) {
			return
		}
		k, v = c.Next()
	}
}

// ordered says whether the rows around the place of key stand in the order of their keys.
func ordered(c *bbolt.Cursor, key []byte) bool {
	var before []byte
	in := true
	around(c, key, func(k, _ []byte) bool {
		in = before == nil || bytes.Compare(before, k) < 0
		before = k
		return !in
	})
	return in
}

// neighbour looks at a row beside the place of key. One whose checksum holds under key is the one that is looked for, and its own key is
// damaged; one whose checksum holds under neither may be, where its lengths are damaged.
func (b *bucket) neighbour(k, v, key []byte, side int) (found []byte, err error) {
	if bytes.Compare(k, key) != side {
		return nil, &journal.DamageError{Damage: journal.Damage{Kind: "page", Detail: fmt.Sprintf("the keys of %s are out of order", b.name)}}
	}
	if _, err := b.unseal(k, v); err != nil {
		if found, _ = b.unseal(key, v); found == nil {
			return nil, b.damage(nil, fmt.Sprintf("a row near %q: %v", key, err))
		}
	}
	return found, nil
}

// keyed is damage of a row that was met under a key, which may be what is damaged: the run that it says is named when there is one.
func (b *bucket) keyed(tx *bbolt.Tx, key []byte, detail string) *journal.DamageError {
	d := b.damage(bytes.Clone(key), detail)
	switch b {
	case stateBucket, flowBucket, endBucket, tagBucket, waypointBucket:
		if at := len(key) - 8; at > 0 {
			if b == waypointBucket {
				at = 0
			}
			d.Run = binary.BigEndian.Uint64(key[at:])
		}
	case definitionBucket:
		k := decoder{p: key}
		if name := k.bytes(); !k.bad && len(k.p) == 4 {
			d.Detail = fmt.Sprintf("version %d of %q: %s", binary.BigEndian.Uint32(k.p), name, detail)
		}
	}
	if d.Run != 0 && tx.Bucket(logBucket.name).Get(seqKey(d.Run)) == nil {
		d.Run = 0
	}
	return d
}

// damage describes a damaged row. The key tells whose it is only where the caller asked for that key.
func (b *bucket) damage(key []byte, detail string) *journal.DamageError {
	d := journal.Damage{Kind: b.kind, Detail: detail}
	switch b {
	case headBucket, snapshotBucket:
		if len(key) == 8 {
			d.Run = binary.BigEndian.Uint64(key)
		}
	case saidBucket:
		if len(key) > 8 {
			d.Run = binary.BigEndian.Uint64(key)
		}
	case logBucket:
		if len(key) == 8 {
			d.Seq = binary.BigEndian.Uint64(key)
		}
	case objectBucket, idBucket, rowBucket, currentBucket, bodyBucket:
		if key != nil {
			d.Detail = fmt.Sprintf("%q: %s", key, detail)
		}
	}
	return &journal.DamageError{Damage: d}
}
