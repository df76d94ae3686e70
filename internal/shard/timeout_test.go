package shard_test

import (
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// beats lets A live and work for that long.
func (b *bed) beats(d time.Duration, key string) {
	b.t.Helper()
	s := b.tasks[key]
	t := leases.Token{Run: s.Slot.Run, Step: s.Step, Attempt: s.Attempt, Worker: "A"}
	for left := d.Milliseconds(); left > 0; left -= 10_000 {
		b.advance(min(left, 10_000))
		b.do(&hub.Beat{ID: "A", Tokens: []shard.BeatToken{{Token: t}}, Reply: func([]leases.Token, error) {}})
	}
}

// again is a restart after d of standstill, after which A says that it still works.
func (b *bed) again(d time.Duration, key string) {
	b.t.Helper()
	s := b.tasks[key]
	b.now.Wall += d.Milliseconds()
	b.now.Mono = 1
	b.boot()
	b.tasks[key] = s
	b.join(leases.Token{Run: s.Slot.Run, Step: s.Step, Attempt: s.Attempt, Worker: "A"})
}

// The time limit of an attempt counts from its start, through restarts of the engine, and through the time in which it stood still.
func TestRestartsDoNotBeginATimeLimitAnew(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.Task("a", "far", "work", flow.AttemptTimeout(5*time.Minute)))
	b.join()
	b.start("r", "w")
	b.poll()
	step := func() *replay.Step {
		run := b.r.Peek(b.number("r"))
		i, _ := run.S.Step("a")
		return run.S.At(i)
	}
	b.beats(time.Minute, "r/a")
	b.again(time.Minute, "r/a")
	b.beats(time.Minute, "r/a")
	b.again(time.Minute, "r/a")
	b.beats(50*time.Second, "r/a")
	if got := step(); got.State != replay.StepRunning || got.Attempt != 1 {
		t.Fatalf("after 4:50 minutes the step is %s at attempt %d", got.State, got.Attempt)
	}
	b.beats(20*time.Second, "r/a")
	if got := step(); got.Failures != 1 || got.Error.Code != failure.AttemptTimeout {
		t.Errorf("after 5:10 minutes the step is %s at attempt %d: %+v", got.State, got.Attempt, got.Error)
	}
}

// What is over its time limit when the engine starts has not failed yet: its worker may have the answer, and nobody was there to take it.
func TestAnAnswerOfTheTimeInWhichTheEngineStoodStillCounts(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.Task("a", "far", "work", flow.AttemptTimeout(5*time.Minute)))
	b.join()
	b.start("r", "w")
	b.poll()
	b.beats(time.Minute, "r/a")
	b.again(time.Hour, "r/a")
	var result shard.Result
	in := b.outcome("r/a")
	in.Reply = func(r shard.Result, _ bool, err error) { result = r }
	b.do(in)
	if result != shard.Recorded {
		t.Errorf("the outcome is %s", result)
	}
}
