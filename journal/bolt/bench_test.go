package bolt

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// BenchmarkBareCommit is the floor: one small put in one bbolt transaction.
func BenchmarkBareCommit(b *testing.B) {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	body := make([]byte, 150)
	n := uint64(0)
	for b.Loop() {
		n++
		err := db.Update(func(tx *bbolt.Tx) error {
			bu, err := tx.CreateBucketIfNotExists([]byte("log"))
			if err != nil {
				return err
			}
			bu.FillPercent = 1
			return bu.Put(seqKey(n), body)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend appends records of 150 bytes; each batch waits for the one before it.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 10, 100, 500, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			j := fresh(b)
			body := make([]byte, 150)
			next, last := uint64(1), map[uint64]uint64{}
			records := make([]journal.Record, n)
			b.ReportAllocs()
			for b.Loop() {
				for i := range records {
					run := uint64(i + 1)
					records[i] = journal.Record{Seq: next, Count: 1, Run: run, Prev: last[run], N: next, At: 1, Body: body}
					last[run] = next
					next++
				}
				put(b, j, &journal.Batch{Records: records})
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

type counting struct{ snaps, records, damaged int }

func (c *counting) Clean(bool)                      {}
func (c *counting) Snapshot(journal.Snapshot) error { c.snaps++; return nil }
func (c *counting) Record(journal.Record) error     { c.records++; return nil }
func (c *counting) Damaged(d journal.Damage) error {
	c.damaged++
	return &journal.DamageError{Damage: d}
}

// BenchmarkRecover opens a journal and reads a million records, or a million snapshots.
func BenchmarkRecover(b *testing.B) {
	const million, batch = 1_000_000, 10_000
	for _, what := range []string{"records", "snapshots"} {
		b.Run(what, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "agnt5.db")
			j := open(b, path)
			body := make([]byte, 150)
			next := uint64(1)
			for next <= million {
				var all journal.Batch
				for range batch {
					all.Records = append(all.Records, journal.Record{Seq: next, Count: 1, Run: next, N: 1, At: 1, Body: body})
					if what == "snapshots" {
						all.Heads = append(all.Heads, journal.Head{Run: next, ID: fmt.Sprintf("id-%09d", next), Workflow: "order", LastSeq: next, Events: 1})
						all.Snapshots = append(all.Snapshots, journal.Snapshot{Run: next, Seq: next, State: body})
					}
					next++
				}
				if what == "snapshots" {
					all.Base = next - 1
				}
				put(b, j, &all)
			}
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				j := open(b, path)
				var c counting
				if err := j.Recover(&c); err != nil {
					b.Fatal(err)
				}
				if c.snaps+c.records != million {
					b.Fatalf("%+v", c)
				}
				_ = j.Close()
			}
		})
	}
}

// BenchmarkRuns writes what 512 runs of 10 steps each make in a busy engine: a batch has one record of each of them, and
// every run starts, and ends, with a head.
func BenchmarkRuns(b *testing.B) {
	const runs, steps = 512, 11
	j := fresh(b)
	next := uint64(1)
	body := make([]byte, 120)
	records := 0
	b.ReportAllocs()
	for b.Loop() {
		first := next
		for step := range steps {
			var all journal.Batch
			for i := range uint64(runs) {
				r := journal.Record{Seq: next, Count: 1, Run: first + i, N: uint64(step) + 1, At: 1_790_000_000_000, Body: body}
				if step > 0 {
					r.Prev = next - runs
				}
				all.Records = append(all.Records, r)
				h := journal.Head{Run: r.Run, ID: fmt.Sprintf("01J%023d", r.Run), Workflow: "order", Version: 1, LastSeq: next, Events: r.N, CreatedAt: r.At}
				switch step {
				case 0:
					all.Heads = append(all.Heads, h)
				case steps - 1:
					h.State, h.EndedAt, h.Digest = journal.CompletedState, r.At, body[:32]
					all.Heads = append(all.Heads, h)
					all.Snapshots = append(all.Snapshots, journal.Snapshot{Run: r.Run})
				}
				next++
			}
			put(b, j, &all)
			records += runs
		}
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
	s := j.Stats()
	b.ReportMetric(float64(s.UsedBytes)/float64(records), "bytes/record")
}
