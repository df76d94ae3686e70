package journaltest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/journal"
)

func snapshots(b *bench) {
	x, y := b.start("x", "order"), b.start("y", "order")
	b.steps(x, 1)
	state := func(run uint64) string {
		s, ok, err := b.log.Snapshot(run)
		if err != nil {
			b.Fatal(err)
		}
		if !ok {
			return "none"
		}
		return fmt.Sprintf("%s of run %d at %d", s.State, s.Run, s.Seq)
	}
	if got := state(x); got != "none" {
		b.Errorf("before one was written: %s", got)
	}
	b.put(&journal.Batch{Snapshots: []journal.Snapshot{{Run: x, Seq: x, State: []byte("old")}, {Run: y, Seq: y, State: []byte("other")}}})
	b.put(&journal.Batch{Snapshots: []journal.Snapshot{{Run: x, Seq: b.last[x].Seq, State: []byte("new")}}})
	for range 2 {
		if got, want := state(x), fmt.Sprintf("new of run %d at %d", x, b.last[x].Seq); got != want {
			b.Errorf("snapshot: %s, want %s", got, want)
		}
		b.reopen()
	}
	b.put(&journal.Batch{Snapshots: []journal.Snapshot{{Run: x}}})
	if got := state(x); got != "none" {
		b.Errorf("after it was removed: %s", got)
	}
	b.put(&journal.Batch{Heads: []journal.Head{b.head(y, "y", "order", journal.CompletedState)}})
	b.put(&journal.Batch{Purges: []journal.Purge{{Run: y}}})
	if got := state(y); got != "none" {
		b.Errorf("after its run was purged: %s", got)
	}
}

func retention(b *bench) {
	kept := b.start("kept", "order")
	for round := range 20 {
		var gone []journal.Purge
		for i := range 10 {
			id := fmt.Sprintf("run-%d-%d", round, i)
			run := b.start(id, "order")
			b.steps(run, 3)
			b.put(&journal.Batch{Heads: []journal.Head{b.head(run, id, "order", journal.CompletedState)}})
			gone = append(gone, journal.Purge{Run: run})
		}
		b.steps(kept, 1)
		b.put(&journal.Batch{Purges: gone})
	}
	b.reopen()
	n := 0
	last := uint64(0)
	err := b.log.Scan(0, 0, func(r journal.Record) error {
		if r.Run != kept || r.Seq <= last {
			return fmt.Errorf("record %d of run %d after %d", r.Seq, r.Run, last)
		}
		last = r.Seq
		n++
		return nil
	})
	if err != nil || n != 21 {
		b.Errorf("%d records are left of the run that was kept, want 21: %v", n, err)
	}
	if records, err := b.log.RunRecords(kept, b.last[kept].Seq, 1, 0); len(records) != 21 || err != nil {
		b.Errorf("its history has %d records, want 21: %v", len(records), err)
	}
}

func damage(b *bench) {
	x, y := b.start("x", "order"), b.start("y", "order")
	b.steps(x, 2)
	bad := b.record(x, 2, "this one is hit")
	b.put(&journal.Batch{Records: []journal.Record{bad}})
	b.steps(y, 3)
	b.steps(x, 2)
	if err := b.log.Close(); err != nil {
		b.Fatal(err)
	}
	b.faults.Damage(b.T, b.dir, bad.Seq)
	b.log = b.open(b.T, b.dir, b.shard)

	named := func(what string, err error) {
		b.Helper()
		var d *journal.DamageError
		if !errors.As(err, &d) || d.Seq != bad.Seq {
			b.Errorf("%s: %v, want the damage of record %d", what, err, bad.Seq)
		}
	}
	_, err := b.log.Get(bad.Seq)
	named("get", err)
	_, err = b.log.Get(bad.Seq + 1)
	named("get of its second event", err)
	_, err = b.log.RunRecords(x, b.last[x].Seq, 1, 0)
	named("the run's history", err)
	var got []journal.Record
	after := uint64(0)
	for tries := 0; tries < 2; tries++ {
		err := b.log.Scan(after, 0, func(r journal.Record) error {
			r.Body = bytes.Clone(r.Body)
			got = append(got, r)
			return nil
		})
		if tries == 0 {
			named("scan", err)
			after = bad.End() - 1
		} else if err != nil {
			b.Fatal(err)
		}
	}
	var want []journal.Record
	for _, r := range b.all {
		if r.Seq != bad.Seq {
			want = append(want, r)
		}
	}
	b.want("what the scan gave beside it", got, want)
	v := &visit{}
	if err := b.log.Recover(v); err != nil {
		b.Fatal(err)
	}
	if len(v.damage) != 1 || v.damage[0].Seq != bad.Seq || v.damage[0].Run != x {
		b.Errorf("recovery names %+v, want record %d of run %d", v.damage, bad.Seq, x)
	}
	b.want("what recovery gives beside it", v.records, want)
	if records, err := b.log.RunRecords(y, b.last[y].Seq, 1, 0); err != nil || len(records) != 4 {
		b.Errorf("the history of the other run: %d records, %v", len(records), err)
	}
}

func full(b *bench) {
	run := b.start("x", "order")
	b.steps(run, 3)
	back := b.faults.Fill(b.T, b.log)
	next := b.log.NextSeq()
	before := b.last[run]
	for _, what := range []string{"an append without space", "an append behind it"} {
		r := journal.Record{Seq: next, Count: 1, Run: run, Prev: before.Seq, N: before.Last() + 1}
		if err := b.try(&journal.Batch{Records: []journal.Record{r}}); !errors.Is(err, journal.ErrFull) {
			b.Fatalf("%s: %v, want ErrFull", what, err)
		}
	}
	if got := b.log.NextSeq(); got != next {
		b.Errorf("the log goes on at %d, want %d", got, next)
	}
	if records, err := b.log.RunRecords(run, before.Seq, 1, 0); err != nil || len(records) != 4 {
		b.Errorf("read while it is full: %d records, %v", len(records), err)
	}
	back()
	if err := b.log.Probe(); err != nil {
		b.Fatalf("probe: %v", err)
	}
	b.steps(run, 2)
	b.reopen()
	b.want("after it had space again", b.recover().records, b.all)
}
