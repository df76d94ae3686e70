package journaltest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/journal"
)

// asking holds an answer against what each of its rows is when it is read alone.
func asking(b *bench) {
	x, y, gone := b.start("x", "order"), b.start("y", "order"), b.start("gone", "order")
	b.steps(x, 2)
	b.put(&journal.Batch{
		Heads:     []journal.Head{b.head(gone, "gone", "order", journal.CompletedState)},
		Snapshots: []journal.Snapshot{{Run: x, Seq: b.last[x].Seq, State: []byte("of x")}, {Run: gone, Seq: gone, State: []byte("of gone")}},
		Objects:   []journal.Object{{Key: "k", Version: 2, Seq: x, Fence: 1, State: []byte("2")}, {Key: "empty", Version: 1, Seq: x, State: []byte{}}, {Key: "removed", Version: 1, Seq: x}},
	})
	b.put(&journal.Batch{Purges: []journal.Purge{{Run: gone, Until: 12345}}})
	many := &journal.Question{}
	for i := range journal.MaxAsked {
		many.IDs, many.Objects = append(many.IDs, fmt.Sprint("id", i)), append(many.Objects, fmt.Sprint("key", i))
		many.Heads, many.Snapshots = append(many.Heads, b.next+uint64(i)), append(many.Snapshots, b.next+uint64(i))
	}
	many.IDs[500], many.Objects[600], many.Heads[700], many.Snapshots[800] = "x", "k", y, x
	for round := range 2 {
		for what, q := range map[string]*journal.Question{
			"nothing": {},
			"all kinds": {IDs: []string{"y", "nobody", "x", "gone"}, Heads: []uint64{y, b.next, x, gone}, Snapshots: []uint64{gone, x, y},
				Objects: []string{"removed", "k", "none", "empty"}},
			"the same again": {IDs: []string{"x", "x"}, Heads: []uint64{x, y, x}, Snapshots: []uint64{x, x}, Objects: []string{"k", "none", "k"}},
			"one kind":       {Heads: []uint64{x}},
			"as many as may": many,
		} {
			got, want := journal.Ask(b.log, q), journal.AskEach(b.log, q)
			if len(got.IDs) != len(q.IDs) || len(got.Heads) != len(q.Heads) || len(got.Snapshots) != len(q.Snapshots) || len(got.Objects) != len(q.Objects) {
				b.Fatalf("%s: %d ids, %d heads, %d snapshots, %d objects, which is not what was asked for", what, len(got.IDs), len(got.Heads), len(got.Snapshots), len(got.Objects))
			}
			sameFound(b, what+", ids", got.IDs, want.IDs)
			sameFound(b, what+", heads", got.Heads, want.Heads)
			sameFound(b, what+", snapshots", got.Snapshots, want.Snapshots)
			sameFound(b, what+", objects", got.Objects, want.Objects)
		}
		known := journal.Ask(b.log, &journal.Question{IDs: []string{"gone"}, Heads: []uint64{y}, Snapshots: []uint64{x}, Objects: []string{"k"}})
		if known.IDs[0].Row.Until != 12345 || known.Heads[0].Row.ID != "y" || string(known.Snapshots[0].Row.State) != "of x" || string(known.Objects[0].Row.State) != "2" {
			b.Errorf("round %d: %+v", round, known)
		}
		b.reopen()
	}
}

func sameFound[T any](b *bench, what string, got, want []journal.Found[T]) {
	b.Helper()
	for i := range want {
		if got[i].OK != want[i].OK || got[i].Err != nil || want[i].Err != nil || fmt.Sprintf("%+v", got[i].Row) != fmt.Sprintf("%+v", want[i].Row) && got[i].OK {
			b.Fatalf("%s, row %d: %+v, and alone %+v", what, i, got[i], want[i])
		}
	}
}

// takeover lets another engine open the journal while one works on it.
func takeover(b *bench) {
	run := b.start("x", "order")
	b.steps(run, 3)
	first := b.log
	var told []error
	all := make(chan struct{})
	const batches = 200
	var tried []journal.Record
	for i := range batches {
		if i == batches/2 {
			b.log = b.open(b.T, b.dir, b.shard)
		}
		tried = append(tried, b.record(run, 1, fmt.Sprint("batch ", i)))
		first.Append(&journal.Batch{Records: tried[i : i+1]}, func(err error) {
			if told = append(told, err); len(told) == batches {
				close(all)
			}
		})
	}
	<-all
	kept := 0
	for i, err := range told {
		switch {
		case err == nil && kept == i:
			kept++
		case err == nil:
			b.Fatalf("batch %d was recorded behind one that was not", i)
		case !errors.Is(err, journal.ErrFenced):
			b.Fatalf("batch %d: %v, want ErrFenced", i, err)
		}
	}
	if kept > batches/2 {
		b.Fatalf("%d batches were recorded of an engine that was fenced after %d", kept, batches/2)
	}
	<-first.Broken()
	if err := first.Err(); !errors.Is(err, journal.ErrFenced) {
		b.Errorf("the journal says that it was stopped by %v", err)
	}
	if err := b.tryOn(first, &journal.Batch{Rows: []journal.Row{{Key: "late", Value: []byte("1")}}}); !errors.Is(err, journal.ErrFenced) {
		b.Errorf("an append after all: %v, want ErrFenced", err)
	}
	_ = first.Close() // takes nothing from the other

	before := b.last[run]
	if b.all = b.all[:len(b.all)-batches+kept]; len(b.all) > 0 {
		before = b.all[len(b.all)-1]
	}
	b.last[run], b.next = before, before.End()
	if got := b.log.NextSeq(); got != b.next {
		b.Fatalf("the other engine goes on at %d, want %d", got, b.next)
	}
	b.steps(run, 3)
	if _, ok, err := b.log.Row("late"); ok || err != nil {
		b.Errorf("what was refused is there: %v, %v", ok, err)
	}
	b.reopen()
	var got []journal.Record
	err := b.log.Scan(0, 0, func(r journal.Record) error {
		r.Body = bytes.Clone(r.Body)
		got = append(got, r)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.want("what is in the journal", got, b.all)
}
