package bolt

import (
	"errors"
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

func holesOf(t *testing.T, j *Journal) (list []span) {
	t.Helper()
	err := j.view(func(tx *bbolt.Tx) error {
		return holeBucket.each(tx, nil, nil, func(k, p []byte) error {
			d := decoder{p: p}
			list = append(list, span{seqOf(k), seqOf(k) + d.uvarint()})
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAPurgedRunLeavesExplainedHolesAndATombstone(t *testing.T) {
	path := sealed(t)
	j := open(t, path)
	put(t, j, &journal.Batch{Records: []journal.Record{{Seq: j.NextSeq(), Count: 1, Body: []byte("purged run 3")}}, Purges: []journal.Purge{{Run: 3, Until: 77}}})
	if holes := holesOf(t, j); len(holes) != 16 { // its start, its 15 steps, the last of which touches its end
		t.Errorf("holes %v", holes)
	}
	for _, seq := range []uint64{3, 4, 6, 34, 35} {
		if _, err := j.Get(seq); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("event %d: %v", seq, err)
		}
	}
	if _, ok, err := j.Head(3); ok || err != nil {
		t.Errorf("head: %v, %v", ok, err)
	}
	if run, until, ok, err := j.Lookup("b"); run != 3 || until != 77 || !ok || err != nil {
		t.Errorf("id: %d, %d, %v, %v", run, until, ok, err)
	}
	if r, err := j.RunRecords(1, 33, 1, 0); len(r) != 16 || err != nil {
		t.Errorf("the other run: %d records, %v", len(r), err)
	}
	clean(t, j)

	// The id may be used again, and its purge then keeps no tombstone.
	s := tell(t, j)
	again := s.start("b")
	s.end(again, "b", journal.CompletedState)
	clean(t, j)
	put(t, j, &journal.Batch{Purges: []journal.Purge{{Run: again}}})
	if _, _, ok, err := j.Lookup("b"); ok || err != nil {
		t.Errorf("id: %v, %v", ok, err)
	}
	clean(t, j)

	// With the first run gone, everything before the purge's own record is one hole.
	s.last[1] = &journal.Record{Seq: 33, Count: 1, Run: 1, N: 17}
	s.end(1, "a", journal.CompletedState)
	put(t, j, &journal.Batch{Purges: []journal.Purge{{Run: 1}}})
	if holes := holesOf(t, j); len(holes) != 2 || holes[0] != (span{1, 36}) || holes[1] != (span{37, s.next}) {
		t.Errorf("holes %v", holes)
	}
	clean(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	clean(t, j)
	if j.NextSeq() != s.next {
		t.Errorf("the log goes on at %d, want %d", j.NextSeq(), s.next)
	}
	var c counting
	if err := j.Recover(&c); err != nil || c.records != 1 || c.damaged != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestADamagedRunCanBePurged(t *testing.T) {
	for _, what := range []string{"a record", "its head", "a record that is gone"} {
		t.Run(what, func(t *testing.T) {
			path := sealed(t)
			edit(t, path, func(tx *bbolt.Tx) error {
				b, key := tx.Bucket(logBucket.name), seqKey(10)
				if what == "its head" {
					b, key = tx.Bucket(headBucket.name), seqKey(3)
				}
				if what == "a record that is gone" {
					return b.Delete(key)
				}
				v := append([]byte(nil), b.Get(key)...)
				v[len(v)-1] ^= 1
				return b.Put(key, v)
			})
			j := open(t, path)
			put(t, j, &journal.Batch{Purges: []journal.Purge{{Run: 3}}})
			left := 0
			_ = j.Scan(0, 0, func(r journal.Record) error {
				if r.Run == 3 {
					left++
				}
				return nil
			})
			if left > 0 {
				t.Errorf("%d records are left", left)
			}
			found := verify(t, j)
			switch {
			case what == "a record" && len(found) > 0:
				t.Errorf("left behind: %+v", found)
			case what == "a record that is gone" && !has(found, 10, 3):
				t.Errorf("the missing record is not explained by the purge: %+v", found)
			}
			tell(t, j).start("goes on")
		})
	}
}

func TestADamagedHeadIsMendedByTheNext(t *testing.T) {
	path := sealed(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		b := tx.Bucket(headBucket.name)
		v := append([]byte(nil), b.Get(seqKey(1))...)
		v[7] ^= 1
		return b.Put(seqKey(1), v)
	})
	j := open(t, path)
	s := tell(t, j)
	s.last[1] = &journal.Record{Seq: 33, Count: 1, Run: 1, N: 17}
	s.end(1, "a", 4)
	clean(t, j)
	if h, err := j.Heads(journal.HeadFilter{States: []uint8{4}}); err != nil || len(h.Heads) != 1 || h.Heads[0].ID != "a" {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestALongHistoryIsReadFromAnywhere(t *testing.T) {
	j := fresh(t)
	run, other := uint64(1), uint64(2)
	next, n, m := uint64(3), uint64(2), uint64(2)
	last, lastOther := run, other
	put(t, j, &journal.Batch{Records: []journal.Record{{Seq: 1, Count: 1, Run: 1, N: 1}, {Seq: 2, Count: 1, Run: 2, N: 1}},
		Heads: []journal.Head{{Run: 1, ID: "a", LastSeq: 1, Events: 1}, {Run: 2, ID: "b", LastSeq: 2, Events: 1}}})
	want := map[uint64]uint64{1: 1} // position -> record
	for range 100 {
		var b journal.Batch
		for i := range uint64(100) {
			count := uint32(1)
			if i == 50 {
				count = 700
			}
			b.Records = append(b.Records, journal.Record{Seq: next, Count: count, Run: run, Prev: last, N: n, Body: []byte(fmt.Sprint(n))})
			for p := range uint64(count) {
				want[n+p] = next
			}
			last, n, next = next, n+uint64(count), next+uint64(count)
			b.Records = append(b.Records, journal.Record{Seq: next, Count: 1, Run: other, Prev: lastOther, N: m})
			lastOther, m, next = next, m+1, next+1
		}
		put(t, j, &b)
	}
	for _, from := range []uint64{1, 2, 511, 512, 513, 799, 800, 40_000, n - 1} {
		for _, limit := range []int{1, 7, 600} {
			got, err := j.RunRecords(run, last, from, limit)
			if err != nil || len(got) == 0 || got[0].Seq != want[from] {
				t.Fatalf("from %d: %d records, %v", from, len(got), err)
			}
			for i, r := range got {
				if i > 0 && (r.Prev != got[i-1].Seq || r.N != got[i-1].Last()+1) || r.Run != run {
					t.Fatalf("from %d: record %d does not follow", from, i)
				}
			}
			if end := got[len(got)-1]; len(got) < limit && end.Seq != last {
				t.Fatalf("from %d: %d records, and not the last", from, len(got))
			}
		}
	}
	if got, err := j.RunRecords(run, last, n, 10); len(got) != 0 || err != nil {
		t.Errorf("behind the end: %d records, %v", len(got), err)
	}
	all, err := j.RunRecords(run, last, 1, 0)
	if err != nil || len(all) != 10_001 {
		t.Errorf("all: %d records, %v", len(all), err)
	}
	if _, err := j.RunRecords(run, lastOther, 1, 0); err == nil {
		t.Error("the record of another run was taken for its last")
	}
	clean(t, j)
}

func BenchmarkHistoryPage(b *testing.B) {
	j := fresh(b)
	last := uint64(1)
	put(b, j, &journal.Batch{Records: []journal.Record{{Seq: 1, Count: 1, Run: 1, N: 1}}, Heads: []journal.Head{{Run: 1, ID: "a", LastSeq: 1, Events: 1}}})
	for range 100 {
		var all journal.Batch
		for range 1000 {
			all.Records = append(all.Records, journal.Record{Seq: last + 1, Count: 1, Run: 1, Prev: last, N: last + 1, Body: make([]byte, 150)})
			last++
		}
		put(b, j, &all)
	}
	from := uint64(1)
	for b.Loop() {
		got, err := j.RunRecords(1, last, from, 500)
		if err != nil || len(got) == 0 {
			b.Fatal(err)
		}
		if from += 7919; from > last {
			from -= last
		}
	}
}
