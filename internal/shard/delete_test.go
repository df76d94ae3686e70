package shard_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// cancelledFamily gives a bed with a run "p" that was cancelled, and the ids of its three children, which were cancelled with it after their
// first step had completed.
func cancelledFamily(t *testing.T) (*bed, []string) {
	t.Helper()
	b := newBed(t)
	b.register("child", flow.Task("first", "here", "work"), flow.WaitSignal("wait", "go", flow.After("first")))
	b.register("parent", flow.Child("a", "child"), flow.Child("b", "child"), flow.Child("c", "child"))
	b.start("p", "parent")
	var children []string
	s := b.r.Peek(b.number("p")).S
	for k := range 3 {
		c, ok := s.Child(replay.Instance(k))
		if !ok {
			t.Fatalf("step %d has no child", k)
		}
		children = append(children, c.ID)
		b.do(b.outcome(c.ID + "/first"))
	}
	b.do(&shard.Cancel{ID: "p", Reply: func(error) {}})
	clear(b.tasks)
	return b, children
}

// deletes deletes runs, those with the run "p" but "p" itself, and gives how many went for themselves, and why one did not.
func (b *bed) deletes(ids ...string) (got shard.Deleted) {
	b.t.Helper()
	b.do(deleting(&got, ids...))
	return got
}

func deleting(got *shard.Deleted, ids ...string) *shard.Delete {
	with := map[string]string{}
	for _, id := range ids {
		if id != "p" {
			with[id] = "p"
		}
	}
	return &shard.Delete{IDs: ids, With: with, Reply: func(d shard.Deleted, err error) {
		d.Err = errors.Join(d.Err, err)
		*got = d
	}}
}

func (b *bed) marks() []journal.Row {
	b.t.Helper()
	rows, err := b.disk.Rows(shard.DeletingRows)
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}

// Once a child has been deleted because of its parent, that one is not opened again, also after a kill: what the child had completed would
// run a second time. Its deletion goes on.
func TestARunWhoseChildrenAreBeingDeletedStaysOver(t *testing.T) {
	b, children := cancelledFamily(t)
	if got := b.deletes(children[0]); got.Err != nil || got.Seen != 1 || len(b.marks()) != 1 {
		t.Fatalf("%+v, %d marks", got, len(b.marks()))
	}
	for range 2 {
		var retried, skipped error
		b.do(&shard.Retry{ID: "p", State: b.folded("p"), Reply: func(err error) { retried = err }},
			&shard.Correct{ID: "p", Step: "a", As: replay.CorrectSkip, State: b.folded("p"), Reply: func(err error) { skipped = err }})
		for _, err := range []error{retried, skipped} {
			if !errors.Is(err, refusal.ErrRunExpired) {
				t.Errorf("it goes on: %v", err)
			}
		}
		if len(b.tasks) > 0 {
			t.Errorf("begun anew: %v", b.tasks)
		}
		b.boot() // it was killed
	}
	if got := b.deletes(children[1], children[2], "p"); got.Err != nil || got.Done != 1 || got.Seen != 3 || len(b.marks()) != 0 {
		t.Errorf("%+v, %d marks", got, len(b.marks()))
	}
}

// So does one between the two, which may be retried by itself.
func TestARunBetweenStaysOver(t *testing.T) {
	b := newBed(t)
	b.register("low", flow.Task("first", "here", "work"), flow.WaitSignal("wait", "go", flow.After("first")))
	b.register("middle", flow.Child("down", "low"))
	b.register("parent", flow.Child("down", "middle", flow.Abandon()))
	b.start("p", "parent")
	c, _ := b.r.Peek(b.number("p")).S.Child(0)
	low, _ := b.r.Peek(b.number(c.ID)).S.Child(0)
	b.do(b.outcome(low.ID + "/first"))
	for _, id := range []string{"p", c.ID} {
		b.do(&shard.Cancel{ID: id, Reply: func(error) {}})
	}
	if got := b.deletes(low.ID); got.Err != nil || len(b.marks()) != 2 {
		t.Fatalf("%+v, %d marks", got, len(b.marks()))
	}
	b.do(&shard.Retry{ID: c.ID, State: b.folded(c.ID), Reply: func(err error) {
		if !errors.Is(err, refusal.ErrRunExpired) {
			t.Errorf("it goes on: %v", err)
		}
	}})
	if got := b.deletes(c.ID, "p"); got.Err != nil || got.Done != 1 || len(b.marks()) != 0 {
		t.Errorf("%+v, %d marks", got, len(b.marks()))
	}
}

// What goes with one record leaves no mark.
func TestAFamilyThatIsDeletedAtOnceLeavesNoMark(t *testing.T) {
	b, children := cancelledFamily(t)
	if got := b.deletes(append(children, "p")...); got.Err != nil || got.Done != 1 || len(b.marks()) != 0 {
		t.Errorf("%+v, %d marks", got, len(b.marks()))
	}
}

// A run that goes on keeps its children, whoever wants them deleted, and whether it was opened again before or in the same turn.
func TestARetriedRunKeepsItsChildren(t *testing.T) {
	for name, before := range map[string]bool{"before": true, "in the same turn": false} {
		for _, alone := range []bool{false, true} {
			b, children := cancelledFamily(t)
			b.name = fmt.Sprint(name, ", for itself: ", alone)
			var got shard.Deleted
			in := deleting(&got, children[0])
			if alone {
				in.With = nil
			}
			retry := &shard.Retry{ID: "p", State: b.folded("p"), Reply: func(err error) {
				if err != nil {
					t.Error(err)
				}
			}}
			if before {
				b.do(retry)
				b.do(in)
			} else {
				b.do(in, retry)
			}
			if !errors.Is(got.Err, refusal.ErrRunOpen) || got.Done != 0 || len(b.marks()) != 0 {
				t.Errorf("%s: %+v, %d marks", b.name, got, len(b.marks()))
			}
			if b.number(children[0]); len(b.tasks) > 0 {
				t.Errorf("%s: begun anew: %v", b.name, b.tasks)
			}
		}
	}
}

// A run stays when one that is to go with it must stay, in this slice and in the next.
func TestARunStaysWithItsChild(t *testing.T) {
	b := newBed(t)
	b.register("child", flow.Task("first", "here", "work"))
	b.register("parent", flow.Child("one", "child"))
	b.start("p", "parent")
	c, _ := b.r.Peek(b.number("p")).S.Child(0)
	b.do(&shard.Cancel{ID: "p", Reply: func(error) {}})
	if got := b.deletes(c.ID, "p"); !errors.Is(got.Err, refusal.ErrRunOpen) || got.Done != 0 || got.Seen != 2 || !got.Kept["p"] {
		t.Errorf("an attempt of the child is out: %+v", got)
	}
	b.do(b.outcome(c.ID + "/first"))
	if got := b.deletes(c.ID, "p"); got.Err != nil || got.Done != 1 {
		t.Errorf("%+v", got)
	}
}
