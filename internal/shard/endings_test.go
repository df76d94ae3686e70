package shard_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// Every way in which a run ends or is taken out of service: an attempt that has just begun, whose start the journal does not know,
// keeps its key until it has answered, and is told; after a retry its step is tried again.
func TestAnAttemptThatHasJustBegunKeepsItsKeyWhenItsRunStops(t *testing.T) {
	quick := flow.Task("quick", "here", "work")
	wait := func(o ...flow.StepOption) flow.Step { return flow.WaitSignal("w", "sig", o...) }
	fails := func(b *bed, final bool) {
		in := b.outcome("one/quick")
		in.Fail = &replay.AttemptError{Code: "handler_error", Message: "no", Final: final}
		b.do(in)
	}
	completes := func(b *bed, output []byte) {
		in := b.outcome("one/quick")
		in.Output = output
		b.do(in)
	}
	over := append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, replay.MaxTask)...), '"')
	for name, c := range map[string]struct {
		steps []flow.Step
		stop  func(b *bed)
		want  replay.RunState
		code  string
	}{
		"the handler fails for good": {[]flow.Step{quick}, func(b *bed) { fails(b, true) }, replay.Failed, "handler_error"},
		"the handler has no tries left": {[]flow.Step{flow.Task("quick", "here", "work", flow.WithRetry(flow.Retry{MaxAttempts: 1}))},
			func(b *bed) { fails(b, false) }, replay.Failed, "handler_error"},
		"a foreign object": {[]flow.Step{quick}, func(b *bed) {
			in := b.outcome("one/quick")
			in.Objects = objectWrite("foreign")
			b.do(in)
		}, replay.Failed, "object_not_held"},
		"a wait of 0 ms": {[]flow.Step{quick, wait(flow.After("quick"), flow.Timeout(0))},
			func(b *bed) { completes(b, []byte("1")) }, replay.Failed, "signal_timeout"},
		"a task that is too large": {[]flow.Step{quick, flow.Task("end", "here", "work", flow.After("quick"))}, func(b *bed) {
			end := &b.r.Peek(b.number("one")).S.Graph.Def.Steps[2]
			end.InputData = over
			completes(b, []byte("1"))
			end.InputData = nil
		}, replay.Failed, "task_too_large"},
		"an output that is too large": {[]flow.Step{quick}, func(b *bed) { completes(b, over) }, replay.Failed, "task_too_large"},
		"a timer that fires no more": {[]flow.Step{quick, flow.WaitTimer("t", "t", flow.After("quick"), flow.Cron("0 0 * * *"))}, func(b *bed) {
			timer := b.r.Peek(b.number("one")).S.Graph.Def.Steps[2].Timer
			timer.TimeZone = "No/Where" // its zone has gone from the machine
			completes(b, []byte("1"))
			timer.TimeZone = ""
		}, replay.Failed, "timer_invalid"},
		"a wait whose time is over": {[]flow.Step{wait(flow.Timeout(50 * time.Millisecond))}, func(b *bed) { b.advance(50) }, replay.Failed, "signal_timeout"},
		"cancel":                    {nil, func(b *bed) { b.do(&shard.Cancel{ID: "one", Reply: func(error) {}}) }, replay.Cancelled, ""},
		"quarantine":                {nil, func(b *bed) { b.do(&shard.Quarantine{Run: b.number("one"), Seq: b.number("one"), Why: "test"}) }, replay.Quarantined, ""},
	} {
		for _, service := range []string{"here", "far"} {
			t.Run(name+", "+service, func(t *testing.T) {
				b := newBed(t)
				b.register("one", append([]flow.Step{flow.Task("slow", service, "more", flow.Keys("k"))}, c.steps...)...)
				b.register("two", flow.Task("other", "here", "work", flow.Keys("k")))
				b.join()
				b.start("one", "one")
				b.poll()
				run := b.r.Peek(b.number("one"))
				slot := b.r.Hub.Slot(run.S.Run, 0)
				if slot == nil || slot.Journaled != (service == "far") { // a worker elsewhere outlives the engine: its start is on disk first
					t.Fatalf("the attempt has begun: %+v", slot)
				}
				b.start("two", "two")
				c.stop(b)
				if run.S.Status != c.want || c.code != "" && run.S.Steps[run.S.FailedBy].Error.Code != c.code {
					t.Fatalf("the run is %s, want %s %s", run.S.Status, c.want, c.code)
				}
				if b.tasks["two/other"] != nil {
					t.Fatal("the key is given away while its handler runs")
				}
				if c.want == replay.Quarantined {
					b.do(&shard.Cancel{ID: "one", Reply: func(err error) {
						if err != nil {
							t.Error(err)
						}
					}})
					if b.tasks["two/other"] != nil {
						t.Fatal("the key is given away by the cancel while its handler runs")
					}
				} else {
					b.retry("one") // some fail again at once
				}
				b.do(b.outcome("one/slow"))
				if b.tasks["two/other"] == nil {
					t.Fatal("the handler has returned, and nobody is given its key")
				}
				if run := b.r.Peek(b.number("one")); run == nil || run.S.Status != replay.Running {
					return
				}
				delete(b.tasks, "one/slow")
				b.do(b.outcome("two/other"))
				if b.poll(); b.tasks["one/slow"] == nil {
					t.Error("after the retry the step is not tried again")
				}
			})
		}
	}
}

// A worker elsewhere outlives the engine. Who works under a key is on disk before he is told to, so a start never gives his key to
// another run while he may be working, however soon after the task was handed out the engine was killed.
func TestAKeyStaysWithItsWorkerWhenTheEngineIsKilled(t *testing.T) {
	b := newBed(t)
	b.register("one", flow.Task("slow", "far", "more", flow.Keys("k")))
	b.register("two", flow.Task("other", "here", "work", flow.Keys("k")))
	b.join()
	b.start("one", "one")
	b.start("two", "two")
	b.poll()
	slow := b.tasks["one/slow"]
	if slow == nil {
		t.Fatal("nobody has the task")
	}
	b.boot() // in the same millisecond
	b.do(&shard.Cancel{ID: "one", Reply: func(error) {}})
	if b.tasks["two/other"] != nil {
		t.Fatal("the key is given away while its handler runs")
	}
	b.tasks["one/slow"] = slow
	b.join(leases.Token{Run: slow.Slot.Run, Step: slow.Step, Attempt: slow.Attempt, Worker: "A"})
	b.do(b.outcome("one/slow"))
	if b.tasks["two/other"] == nil {
		t.Error("the handler has returned, and nobody is given its key")
	}
}

// A poll waits for the start of its task to be on disk, and gets the task in its first answer. On a full disk it is answered without.
func TestAPollWaitsForTheStartOfAKeyedTask(t *testing.T) {
	for _, full := range []bool{false, true} {
		b := newBed(t)
		b.register("one", flow.Task("a", "far", "work", flow.Keys("k")))
		b.join()
		b.start("one", "one")
		answers, tasks := 0, 0
		poll := func(seq uint64) *hub.Poll {
			return &hub.Poll{ID: "A", Seq: seq, Max: 1, Reply: func(a hub.PollAnswer, err error) {
				if err == nil {
					answers++
					tasks += len(a.Tasks)
				}
			}}
		}
		b.turn(poll(1))
		b.turn() // the start
		if answers != 0 {
			t.Fatalf("full %v: the poll is answered with %d tasks, and the start is not on disk", full, tasks)
		}
		if full {
			b.lose()
			b.turn()
			if answers != 1 || tasks != 0 {
				t.Fatalf("on a full disk the poll has %d answers, %d tasks", answers, tasks)
			}
			b.r.Resume()
			b.do()
			b.do(poll(2))
		} else {
			b.do()
		}
		if tasks != 1 {
			t.Errorf("full %v: %d answers, %d tasks", full, answers, tasks)
		}
	}
}

// How long a step waited for a worker is counted once for every attempt, wherever its handler runs.
func TestTheWaitOfEveryAttemptIsCounted(t *testing.T) {
	for _, service := range []string{"here", "far"} {
		for _, opts := range [][]flow.StepOption{nil, {flow.Keys("k")}} {
			b := newBed(t)
			b.register("w", flow.Task("a", service, "work", opts...))
			b.join()
			b.start("one", "w")
			b.poll()
			b.advance(200)
			waited := b.r.Figures().Handlers[shard.HandlerKey{Service: service, Handler: "work"}].Waited
			if n, _, _ := waited.Cumulative(); n != 1 {
				t.Errorf("%s, keys %v: %d attempts are counted", service, opts != nil, n)
			}
		}
	}
}
