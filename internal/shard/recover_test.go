package shard_test

import (
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/journal"
)

// asked counts how a journal is asked for heads.
type asked struct {
	*sim.Disk
	heads     int
	questions [][]uint64 // of heads
}

func (a *asked) Head(run uint64) (journal.Head, bool, error) {
	a.heads++
	return a.Disk.Head(run)
}

func (a *asked) Ask(q *journal.Question) *journal.Answer {
	a.questions = append(a.questions, q.Heads)
	return journal.AskEach(a.Disk, q)
}

// Runs that began before the recovery point and have ended since leave records behind it, and no snapshot. A start asks for the heads of
// all of them at once: the journal may be far away.
func TestAStartAsksOnceForAllRunsThatHaveEnded(t *testing.T) {
	const runs = 40
	b := newBed(t)
	b.register("w", flow.WaitSignal("s", "go"), flow.WaitSignal("s2", "go", flow.After("s")))
	for i := range runs {
		b.start(fmt.Sprint("r", i), "w")
	}
	b.start("open", "w")
	b.r.Checkpoint()
	b.do()
	for i := range runs {
		for n := range 2 {
			b.do(&shard.Signal{ID: fmt.Sprint("r", i), Name: "go", SignalID: fmt.Sprint(n), Payload: []byte("1"), Reply: func(string, error) {}})
		}
	}
	j := &asked{Disk: b.disk}
	r := newDuo(shard.Config{Journal: j, Release: "bed", Damage: func(d journal.Damage) { t.Errorf("damage: %+v", d) }})
	if err := r.Recover(b.now); err != nil {
		t.Fatal(err)
	}
	if j.heads != 0 || len(j.questions) != 1 || len(j.questions[0]) != runs {
		t.Errorf("%d heads are read one by one, and %d questions are asked: %v", j.heads, len(j.questions), j.questions)
	}
	if n, _ := r.Counts(); n != 1 {
		t.Errorf("%d runs are in the books, want the open one", n)
	}
}

// Of a run that has not ended, and of which the records before the recovery point cannot be found, the start says so.
func TestAStartMissesTheFirstRecordsOfAnOpenRun(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitSignal("s", "go"), flow.WaitSignal("s2", "go", flow.After("s")))
	b.start("one", "w")
	b.r.Checkpoint()
	b.do()
	b.do(&shard.Signal{ID: "one", Name: "go", SignalID: "1", Payload: []byte("1"), Reply: func(string, error) {}})
	b.disk.Append(&shard.Batch{Batch: &journal.Batch{Snapshots: []journal.Snapshot{{Run: b.number("one")}}}}) // its snapshot is gone
	b.disk.Commit(1)
	b.damage = nil
	b.boot()
	if len(b.damage) != 1 || b.damage[0].Run != b.number("one") || b.damage[0].Kind != "history" {
		t.Errorf("the start says %+v", b.damage)
	}
}
