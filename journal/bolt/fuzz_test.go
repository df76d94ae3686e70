package bolt

import (
	"bytes"
	"os"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// Whatever the bytes, decoding them ends, and what it gives encodes to them again.
func FuzzRecord(f *testing.F) {
	for _, r := range []journal.Record{
		{Seq: 1, Count: 1, Run: 1, N: 1, At: 1_790_000_000_000, Body: []byte("body")},
		{Seq: 1 << 40, Count: 70_000, Run: 5, Prev: 1 << 39, N: 1 << 33, At: -1},
		{Seq: 9, Count: 1},
	} {
		f.Add(r.Seq, appendRecord(nil, &r)[4:])
	}
	f.Add(uint64(3), []byte{0, 1, 2, 3, 4, 5, 6, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0})
	f.Fuzz(func(t *testing.T, seq uint64, p []byte) {
		r, err := decodeRecord(seq, p)
		if err != nil {
			return
		}
		if r.Count == 0 || r.Run > seq || r.Prev >= seq && r.Prev != 0 || len(r.Body) > len(p) {
			t.Fatalf("impossible: %+v", r)
		}
		again, err := decodeRecord(seq, appendRecord(nil, &r)[4:])
		if err != nil || !same(r, again) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzRows(f *testing.F) {
	f.Add(appendHead(nil, &journal.Head{Run: 1, ID: "a", Workflow: "w", LastSeq: 4, Digest: []byte{1}, Failed: "x: y"}))
	f.Add(appendID(nil, 4, 5))
	f.Add(appendObject(nil, &journal.Object{Key: "k", Version: 1, State: []byte("{}")}))
	f.Add((&tail{next: 5, records: 4, base: 3, clean: true}).append(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		if h, err := decodeHead(seqKey(7), p); err == nil {
			again, err := decodeHead(seqKey(7), appendHead(nil, &h))
			if err != nil || again.ID != h.ID || again.LastSeq != h.LastSeq || !bytes.Equal(again.Digest, h.Digest) {
				t.Fatalf("%+v became %+v, %v", h, again, err)
			}
		}
		_, _, _ = decodeID(p)
		_, _ = decodeObject(p, p)
		_, _ = decodeTail(p)
		_, _ = decodeDefinition(p, p)
	})
}

// A page of bbolt that was tampered with must not lead the walk astray.
func FuzzPages(f *testing.F) {
	f.Add(uint32(4096+20), byte(1))
	f.Add(uint32(3*4096+8), byte(2))
	whole := furnishedBytes(f)
	f.Fuzz(func(t *testing.T, at uint32, x byte) {
		b := bytes.Clone(whole)
		b[int(at)%len(b)] ^= x
		m := &pageMap{f: bytes.NewReader(b), size: int64(len(b)), leaves: true}
		m.meta, _, _ = parseMeta(b)
		if m.meta.pageSize != 4096 || m.meta.high > uint64(len(b)/4096) {
			return
		}
		if m.walkRoot() == nil {
			_ = m.walk()
			_, _, _ = formatOf(m.buckets[string(metaBucket.name)])
		}
	})
}

func furnishedBytes(f *testing.F) []byte {
	b, err := os.ReadFile(furnished(f))
	if err != nil {
		f.Fatal(err)
	}
	return b
}
