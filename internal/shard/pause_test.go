package shard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/shard"
)

// pauses pauses and resumes a run so many times.
func (b *bed) pauses(id string, times int) {
	b.t.Helper()
	for n := range 2 * times { // a turn each, so that each resume asks anew
		b.do(&shard.Pause{ID: id, Resume: n%2 == 1, Reply: func(err error) {
			if err != nil {
				b.t.Error(err)
			}
		}})
	}
}

// What a run waits for is kept once, however often it is paused and resumed: a child whose workflow is not there, and a time.
func TestPausesOverAndOverLeaveNothing(t *testing.T) {
	b := newBed(t)
	b.stale = 100
	b.boot()
	b.register("parent", flow.Child("below", "child"), flow.WaitSignal("s", "go", flow.Timeout(48*time.Hour, "late")), flow.Task("late", "here", "work"))
	for n := range 3 {
		b.start(fmt.Sprintf("p%d", n), "parent")
	}
	b.pauses("p1", 400)
	if n := b.r.Births(); n > 16 {
		t.Errorf("%d births wait for a workflow, of three runs", n)
	}
	if n := b.r.Times(); n > 200 {
		t.Errorf("%d times are kept for three waits", n)
	}
	for n := range 50 { // those that are over leave nothing, either
		id := fmt.Sprintf("q%d", n)
		b.start(id, "parent")
		b.do(&shard.Cancel{ID: id, Reply: func(error) {}})
	}
	if n := b.r.Births(); n > 16 {
		t.Errorf("%d births wait for a workflow, of three runs that are open", n)
	}
	b.register("child", flow.Task("work", "here", "work"))
	b.do()
	if n := len(b.tasks); n != 3 || b.r.Births() != 0 {
		t.Errorf("%d children have begun, want three: %v", n, b.tasks)
	}
}

// The same for times that have come while every run is held: they come once the hold is over.
func TestPausesOfAHeldRunLeaveNothing(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitTimer("nap", "nap", flow.Delay(time.Minute)), flow.Task("work", "here", "work", flow.After("nap")))
	b.careful = true
	b.boot()
	b.start("r1", "w")
	b.advance(2 * time.Minute.Milliseconds())
	b.pauses("r1", 100)
	if n := b.r.KeptDues(); n == 0 || n > 8 {
		t.Errorf("%d times are kept of one run with one timer", n)
	}
	b.do(&shard.ReleaseAll{Reply: func(shard.Hold, error) {}})
	b.do()
	if b.tasks["r1/work"] == nil || b.r.KeptDues() != 0 || b.r.Holding().On {
		t.Errorf("the timer did not come when the hold was over: %+v", b.r.Holding())
	}
}

// A run that has ended is not held, though an attempt of it is still out. And who changes how fast the hold ends does not thereby let a run go on.
func TestTheHoldCountsWhatItHolds(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitSignal("s", "go"))
	b.register("far", flow.Task("work", "far", "work"))
	b.boot()
	b.join()
	b.start("out", "far")
	b.poll()
	b.advance(1000) // its start is recorded
	b.careful = true
	b.boot()
	b.do(&shard.Cancel{ID: "out", Reply: func(error) {}})
	if s := b.folded("out"); s.Status.Live() || len(s.Outs) != 1 {
		t.Fatalf("the run is %s, with %d attempts out", s.Status, len(s.Outs))
	}
	for n := range 4 {
		b.start(fmt.Sprintf("r%d", n), "w")
	}
	release := func(perSecond int) {
		b.do(&shard.ReleaseAll{PerSecond: perSecond, Reply: func(shard.Hold, error) {}})
		b.do()
	}
	stands := func(released, held int) {
		t.Helper()
		if h := b.r.Holding(); h.Released != released || h.Runs != held {
			t.Errorf("%d released and %d held, want %d and %d", h.Released, h.Runs, released, held)
		}
	}
	stands(0, 4)
	for rate := 1; rate <= 9; rate++ {
		release(rate)
		stands(1, 3)
	}
	b.advance(200)
	b.do()
	stands(2, 2) // nine a second
	release(1)
	b.advance(900)
	b.do()
	stands(2, 2)
	b.advance(101)
	b.do()
	stands(3, 1)
}
