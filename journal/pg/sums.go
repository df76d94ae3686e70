package pg

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/agnt5/agnt5d/journal"
)

// A row's checksum is a CRC-32C over its table's letter and all its values in the order of its columns: numbers as 8 bytes, texts with
// their length in front. It finds what has changed behind the journal's back, in the database, on the way, or in a copy of a row under
// another key.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type summer struct{ crc uint32 }

func sumOf(table byte, shard journal.Shard) *summer {
	s := &summer{}
	return s.bytes([]byte{table}).num(uint64(shard))
}

func (s *summer) bytes(b []byte) *summer {
	s.crc = crc32.Update(s.crc, castagnoli, b)
	return s
}

func (s *summer) num(n uint64) *summer {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return s.bytes(b[:])
}

func (s *summer) text(t string) *summer { return s.num(uint64(len(t))).bytes([]byte(t)) }

func (s *summer) sum() int32 { return int32(s.crc) }

func recordSum(shard journal.Shard, r *journal.Record) int32 {
	var b [1 + 7*8]byte
	b[0] = 'l'
	for i, n := range [...]uint64{uint64(shard), r.Seq, uint64(r.Count), r.Run, r.Prev, r.N, uint64(r.At)} {
		binary.BigEndian.PutUint64(b[1+8*i:], n)
	}
	return int32(crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, r.Body))
}

func headSum(shard journal.Shard, h *journal.Head) int32 {
	return sumOf('h', shard).num(h.Run).text(h.ID).text(h.Workflow).num(uint64(h.Version)).num(uint64(h.State)).num(h.LastSeq).num(h.Events).
		num(uint64(h.CreatedAt)).num(uint64(h.EndedAt)).num(uint64(h.Skipped)).text(string(h.Digest)).text(h.Failed).sum()
}

func idSum(shard journal.Shard, id string, run uint64, until int64) int32 {
	return sumOf('i', shard).text(id).num(run).num(uint64(until)).sum()
}

func tagSum(shard journal.Shard, tag string, run uint64) int32 {
	return sumOf('t', shard).text(tag).num(run).sum()
}

func waypointSum(shard journal.Shard, run, n, seq uint64) int32 {
	return sumOf('w', shard).num(run).num(n).num(seq).sum()
}

func snapshotSum(shard journal.Shard, s *journal.Snapshot) int32 {
	return sumOf('s', shard).num(s.Run).num(s.Seq).bytes(s.State).sum()
}

func objectSum(shard journal.Shard, o *journal.Object) int32 {
	return sumOf('o', shard).text(o.Key).num(o.Version).num(o.Fence).num(o.Seq).bytes(o.State).sum()
}

func settingSum(shard journal.Shard, key string, value []byte) int32 {
	return sumOf('r', shard).text(key).bytes(value).sum()
}

func definitionSum(shard journal.Shard, d *journal.Definition) int32 {
	return sumOf('d', shard).text(d.Name).num(uint64(d.Version)).text(d.Digest).num(uint64(d.At)).sum()
}

func currentSum(shard journal.Shard, name string, version uint32) int32 {
	return sumOf('c', shard).text(name).num(uint64(version)).sum()
}

func holeSum(shard journal.Shard, seq, length uint64) int32 {
	return sumOf('x', shard).num(seq).num(length).sum()
}

func expirySum(shard journal.Shard, until int64, entry uint64) int32 {
	return sumOf('e', shard).num(uint64(until)).num(entry).sum()
}

func saidSum(shard journal.Shard, s *journal.Said) int32 {
	return sumOf('t', shard).num(s.Run).text(s.Step).num(uint64(s.Attempt)).num(s.At).bytes(s.Text).sum()
}
