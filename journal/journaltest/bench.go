package journaltest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// bench is a journal under test, and what was written to it.
type bench struct {
	*testing.T
	open   Open
	faults Faults
	dir    string
	shard  journal.Shard
	log    journal.Log
	next   uint64
	all    []journal.Record          // in the order of the log
	last   map[uint64]journal.Record // of each run
}

// reopen closes the journal, if it is open, and opens it again.
func (b *bench) reopen() {
	b.Helper()
	if b.log != nil {
		if err := b.log.Close(); err != nil {
			b.Fatal(err)
		}
	} else {
		b.Cleanup(func() { _ = b.log.Close() })
	}
	b.log = b.open(b.T, b.dir, b.shard)
	if b.next == 0 {
		b.next = b.shard.First()
	}
	if got := b.log.NextSeq(); got != b.next {
		b.Fatalf("the log goes on at %d, want %d", got, b.next)
	}
}

// put commits a batch.
func (b *bench) put(batch *journal.Batch) {
	b.Helper()
	if err := b.try(batch); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) try(batch *journal.Batch) error { return b.tryOn(b.log, batch) }

func (b *bench) tryOn(log journal.Log, batch *journal.Batch) error {
	got := make(chan error, 1)
	log.Append(batch, func(err error) { got <- err })
	return <-got
}

// record makes a run's next record; 0: the run that it begins.
func (b *bench) record(run uint64, count uint32, body string) journal.Record {
	r := journal.Record{Seq: b.next, Count: count, Run: run, N: 1, At: 1_790_000_000_000 + int64(b.next-b.shard.First())*7, Body: []byte(body)}
	if run == 0 {
		r.Run = r.Seq
	} else if before, ok := b.last[run]; ok {
		r.Prev, r.N = before.Seq, before.N+uint64(before.Count)
	}
	b.next += uint64(count)
	b.last[r.Run] = r
	b.all = append(b.all, r)
	return r
}

// start commits the first record of a run.
func (b *bench) start(id, workflow string) uint64 {
	b.Helper()
	r := b.record(0, 3, "start "+id)
	b.put(&journal.Batch{Records: []journal.Record{r}, Heads: []journal.Head{b.head(r.Run, id, workflow, journal.OpenState)}})
	return r.Run
}

// steps commits n more records of a run.
func (b *bench) steps(run uint64, n int) {
	b.Helper()
	for i := range n {
		b.put(&journal.Batch{Records: []journal.Record{b.record(run, uint32(i%3)+1, fmt.Sprintf("step %d of %d", i, run))}})
	}
}

// head makes the head of a run as it is now.
func (b *bench) head(run uint64, id, workflow string, state uint8) journal.Head {
	last := b.last[run]
	h := journal.Head{Run: run, ID: id, Workflow: workflow, Version: 2, State: state, LastSeq: last.Seq, Events: last.N + uint64(last.Count) - 1,
		CreatedAt: 1_790_000_000_000 + int64(run-b.shard.First())*7}
	if state != journal.OpenState {
		h.EndedAt, h.Digest, h.Failed, h.Skipped = last.At, []byte("digest "+id), "pay: declined", 3
	}
	return h
}

func sameHead(x, y journal.Head) bool {
	return x.Run == y.Run && x.ID == y.ID && x.Workflow == y.Workflow && x.Version == y.Version && x.State == y.State && x.LastSeq == y.LastSeq &&
		x.Events == y.Events && x.CreatedAt == y.CreatedAt && x.EndedAt == y.EndedAt && x.Skipped == y.Skipped && x.Failed == y.Failed &&
		bytes.Equal(x.Digest, y.Digest)
}

func sameRecord(x, y journal.Record) bool {
	return x.Seq == y.Seq && x.Count == y.Count && x.Run == y.Run && x.Prev == y.Prev && x.N == y.N && x.At == y.At && bytes.Equal(x.Body, y.Body)
}

// want fails unless got are the wanted records.
func (b *bench) want(what string, got, want []journal.Record) {
	b.Helper()
	if len(got) != len(want) {
		b.Fatalf("%s: %d records, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !sameRecord(got[i], want[i]) {
			b.Fatalf("%s: record %d is %+v, want %+v", what, i, got[i], want[i])
		}
	}
}

// visit collects what recovery gives.
type visit struct {
	clean   []bool
	snaps   []journal.Snapshot
	records []journal.Record
	damage  []journal.Damage
}

func (v *visit) Clean(clean bool) { v.clean = append(v.clean, clean) }
func (v *visit) Snapshot(s journal.Snapshot) error {
	s.State = bytes.Clone(s.State)
	v.snaps = append(v.snaps, s)
	return nil
}
func (v *visit) Record(r journal.Record) error {
	r.Body = bytes.Clone(r.Body)
	v.records = append(v.records, r)
	return nil
}
func (v *visit) Damaged(d journal.Damage) error {
	v.damage = append(v.damage, d)
	return nil
}

func (b *bench) recover() *visit {
	b.Helper()
	v := &visit{}
	if err := b.log.Recover(v); err != nil {
		b.Fatal(err)
	}
	if len(v.clean) != 1 {
		b.Fatalf("Clean was called %d times", len(v.clean))
	}
	if len(v.damage) > 0 {
		b.Fatalf("damage: %+v", v.damage)
	}
	return v
}
