package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/agnt5/agnt5d/journal"
)

// recordVersion is the first byte of a record's envelope.
const recordVersion = 0

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bucket is a bucket of the file, with the checksum of its name. Every checksum begins with it and goes on over the key, so
// that a value which stands under a foreign key, or in a foreign bucket, is found.
type bucket struct {
	name []byte
	kind string // in Damage
	seed uint32
}

func newBucket(name, kind string) *bucket {
	return &bucket{[]byte(name), kind, crc32.Checksum([]byte(name), castagnoli)}
}

var (
	metaBucket       = newBucket("meta", "tail")
	logBucket        = newBucket("log", "record")
	headBucket       = newBucket("heads", "head")
	idBucket         = newBucket("ids", "id")
	stateBucket      = newBucket("bystate", "index")
	flowBucket       = newBucket("byflow", "index")
	endBucket        = newBucket("byend", "index")
	snapshotBucket   = newBucket("snapshots", "snapshot")
	objectBucket     = newBucket("objects", "object")
	definitionBucket = newBucket("definitions", "definition")
	currentBucket    = newBucket("current", "definition")
	bodyBucket       = newBucket("bodies", "definition")
	waypointBucket   = newBucket("waypoints", "waypoint")
	holeBucket       = newBucket("holes", "hole")
	rowBucket        = newBucket("rows", "row")
	saidBucket       = newBucket("said", "attempt log")
	expiryBucket     = newBucket("expiry", "index")
	tagBucket        = newBucket("bytag", "index")
)

var allBuckets = []*bucket{metaBucket, logBucket, headBucket, idBucket, stateBucket, flowBucket, snapshotBucket, objectBucket,
	definitionBucket, currentBucket, bodyBucket, waypointBucket, holeBucket, rowBucket}

// addedBuckets are those that files of older releases lack.
var addedBuckets = []*bucket{endBucket, saidBucket, expiryBucket, tagBucket}

// Every value of every bucket begins with its checksum:
//
//	| crc32c: 4, big-endian | payload ...                                |
//	  over: bucket name, key, payload

func (b *bucket) sum(key, payload []byte) uint32 {
	return crc32.Update(crc32.Update(b.seed, castagnoli, key), castagnoli, payload)
}

// seal fills in the checksum of value, whose first four bytes are left for it.
func (b *bucket) seal(key, value []byte) {
	binary.BigEndian.PutUint32(value, b.sum(key, value[4:]))
}

// unseal gives the payload of a value that is as it was written.
func (b *bucket) unseal(key, value []byte) ([]byte, error) {
	if len(value) < 4 || len(value) > maxValue {
		return nil, fmt.Errorf("value of %d bytes", len(value))
	}
	got, want := b.sum(key, value[4:]), binary.BigEndian.Uint32(value)
	if got != want {
		return nil, fmt.Errorf("checksum %08x, want %08x", got, want)
	}
	return value[4:], nil
}

// maxValue is more than the engine ever writes; a longer value is damage, and is not read through.
const maxValue = 1 << 29

// A record stands under its first sequence (8 bytes, big-endian), as
//
//	| crc32c: 4 | version: 1 | at: 6 | count: uvarint | run: uvarint | prev: uvarint | n: uvarint | left: uvarint | body ... |
//
//	at     Unix milliseconds, big-endian, two's complement
//	run    seq - run + 1; 0: no run
//	prev   seq - prev;    0: the run's first record
//	n      the position in the run of its first event
//	left   seq - run of the record directly before it in the log + 1; 0: none, or of no run. When that one is damaged, this
//	       tells whose it was
//
// The differences are small where the numbers are large.
func appendRecord(dst []byte, r *journal.Record) []byte {
	dst = append(dst, 0, 0, 0, 0, recordVersion)
	dst = appendMillis(dst, r.At)
	dst = binary.AppendUvarint(dst, uint64(r.Count))
	run, prev := uint64(0), uint64(0)
	if r.Run != 0 {
		run = r.Seq - r.Run + 1
	}
	if r.Prev != 0 {
		prev = r.Seq - r.Prev
	}
	dst = binary.AppendUvarint(dst, run)
	dst = binary.AppendUvarint(dst, prev)
	dst = binary.AppendUvarint(dst, r.N)
	left := uint64(0)
	if r.Left != 0 {
		left = r.Seq - r.Left + 1
	}
	dst = binary.AppendUvarint(dst, left)
	return append(dst, r.Body...)
}

// maxEnvelope is the most that appendRecord adds to a body.
const maxEnvelope = 4 + 1 + 6 + 5 + 4*10

// decodeRecord reads what unseal gave for the key seq. The record's body is part of p.
func decodeRecord(seq uint64, p []byte) (journal.Record, error) {
	r := journal.Record{Seq: seq}
	if len(p) < 7 {
		return r, fmt.Errorf("envelope of %d bytes", len(p))
	}
	if p[0] != recordVersion {
		return r, fmt.Errorf("envelope version %d, this release reads up to %d", p[0], recordVersion)
	}
	r.At = millis(p[1:])
	d := decoder{p: p[7:]}
	count, run, prev, n, left := d.uvarint(), d.uvarint(), d.uvarint(), d.uvarint(), d.uvarint()
	switch {
	case d.bad:
		return r, fmt.Errorf("envelope ends early")
	case count == 0 || count > 1<<32-1 || run > seq || left > seq || prev >= seq && prev != 0:
		return r, fmt.Errorf("impossible envelope: count %d, run %d back, previous %d back", count, run, prev)
	}
	r.Count, r.N, r.Body = uint32(count), n, d.p
	if run != 0 {
		r.Run = seq - run + 1
	}
	if prev != 0 {
		r.Prev = seq - prev
	}
	if left != 0 {
		r.Left = seq - left + 1
	}
	return r, nil
}

func appendMillis(dst []byte, at int64) []byte {
	return append(dst, byte(at>>40), byte(at>>32), byte(at>>24), byte(at>>16), byte(at>>8), byte(at))
}

func millis(p []byte) int64 {
	at := uint64(p[0])<<40 | uint64(p[1])<<32 | uint64(p[2])<<24 | uint64(p[3])<<16 | uint64(p[4])<<8 | uint64(p[5])
	return int64(at<<16) >> 16
}

// decoder reads fields one after the other; bad is set for good when one is not there.
type decoder struct {
	p   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.p)
	if n <= 0 {
		d.p, d.bad = nil, true
		return 0
	}
	d.p = d.p[n:]
	return v
}

func (d *decoder) millis() int64 {
	if len(d.p) < 6 {
		d.p, d.bad = nil, true
		return 0
	}
	at := millis(d.p)
	d.p = d.p[6:]
	return at
}

func (d *decoder) byte() byte {
	if len(d.p) < 1 {
		d.bad = true
		return 0
	}
	b := d.p[0]
	d.p = d.p[1:]
	return b
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.p)) {
		d.p, d.bad = nil, true
		return nil
	}
	b := d.p[:n]
	d.p = d.p[n:]
	return b
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq) }
