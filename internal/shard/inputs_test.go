package shard_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// A retry that is refused takes nothing into memory, whatever else is on its way to the disk.
func TestARunWhoseRetryIsRefusedLeavesTheBooks(t *testing.T) {
	for _, flying := range []bool{false, true} {
		b := newBed(t)
		b.register("w", flow.Task("a", "far", "work"))
		b.start("one", "w")
		b.do(&shard.Quarantine{Run: b.number("one"), Seq: b.number("one"), Why: "test"})
		b.do(&shard.Cancel{ID: "one", Reply: func(error) {}})
		state := b.folded("one")
		if flying {
			b.turn(&shard.Start{ID: "two", Given: true, Workflow: "w", Input: []byte("null"), Reply: func(shard.Started, error) {}})
		}
		var err error
		b.turn(&shard.Retry{ID: "one", State: state, Reply: func(e error) { err = e }})
		b.do()
		if !errors.Is(err, refusal.ErrRunQuarantined) {
			t.Errorf("the retry: %v", err)
		}
		if b.r.Peek(b.number("one")) != nil {
			t.Errorf("with a batch on its way: %v: the run has ended and stays in memory", flying)
		}
	}
}

// A run that was quarantined and then cancelled stays so: neither its damage read again nor a restart changes it, and no restart
// takes it into memory for good.
func TestACancelledRunIsNotQuarantinedAgain(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.Task("a", "far", "work"))
	b.start("one", "w")
	quarantine := &shard.Quarantine{Run: b.number("one"), Seq: b.number("one"), Why: "test"}
	b.do(quarantine)
	b.turn(&shard.Cancel{ID: "one", Reply: func(error) {}})
	b.do(quarantine) // while it is still in memory
	for range 2 {
		b.do(quarantine)
		if h, _, _ := b.disk.Head(b.number("one")); replay.RunState(h.State) != replay.Cancelled {
			t.Errorf("the run is %s", replay.RunState(h.State))
		}
		b.boot()
		if runs, _ := b.r.Counts(); runs != 0 {
			t.Errorf("after a restart %d ended runs are in memory", runs)
		}
	}
}

// Every input meets a run in every state, with its attempt in every state, in process and in another process, durable or on its
// way to the disk: the engine does not stop, and in the end nothing of the run is left.
func TestEveryInputMeetsEveryRun(t *testing.T) {
	if testing.Short() { // under the race detector
		t.Skip("thousands of beds, one goroutine")
	}
	attempts := map[string]func(b *bed, service string){
		"offered": func(b *bed, service string) {
			if service == "here" {
				b.r.hub.Hold()
			}
			b.start("one", "w")
		},
		"just begun": func(b *bed, _ string) {
			b.start("one", "w")
			b.poll()
		},
		"begun": func(b *bed, _ string) {
			b.start("one", "w")
			b.poll()
			b.advance(200)
		},
		"answered": func(b *bed, _ string) {
			b.start("one", "w")
			b.poll()
			b.turn(b.outcome("one/a"))
		},
		"failed": func(b *bed, _ string) {
			b.start("one", "w")
			b.poll()
			in := b.outcome("one/a")
			in.Fail = &replay.AttemptError{Code: "handler_error", Message: "no"}
			b.turn(in)
		},
		"from before a restart": func(b *bed, _ string) {
			b.start("one", "w")
			b.poll()
			b.advance(200)
			tasks := maps.Clone(b.tasks)
			b.boot()
			for k, s := range tasks {
				if !s.Slot.Local && b.tasks[k] == nil {
					b.tasks[k] = s
				}
			}
		},
		"about to begin, carefully": func(b *bed, _ string) {
			b.start("one", "w")
			for b.disk.Queued() > 0 {
				b.commit()
			}
			b.boot()
			b.turn()
		},
	}
	quarantine := func(b *bed) any {
		return &shard.Quarantine{Run: b.number("one"), Seq: b.number("one"), Why: "test"}
	}
	cancel := func(*bed) any { return &shard.Cancel{ID: "one", Reason: "test", Reply: func(error) {}} }
	fail := func(b *bed) any {
		in := b.outcome("one/b")
		delete(b.tasks, "one/b")
		in.Fail = &replay.AttemptError{Code: "handler_error", Message: "no", Final: true}
		return in
	}
	retry := func(b *bed) any {
		in := &shard.Retry{ID: "one", Reply: func(error) {}}
		if h, _, _ := b.disk.Head(b.number("one")); replay.RunState(h.State).Ended() {
			in.State = b.folded("one")
		}
		return in
	}
	states := map[string][]func(b *bed) any{
		"running":                  nil,
		"cancelled":                {cancel},
		"failed":                   {fail},
		"retried":                  {cancel, retry},
		"quarantined":              {quarantine},
		"quarantined, cancelled":   {quarantine, cancel},
		"cancelled, quarantined":   {cancel, quarantine},
		"failed, retried, stopped": {fail, retry, quarantine, cancel},
		"completed": {func(b *bed) any { return b.signal() }, func(b *bed) any { return &shard.Fire{ID: "one", Timer: "t", Reply: func(error) {}} },
			func(b *bed) any { return b.takeOutcome("one/b") }, func(b *bed) any { return b.takeOutcome("one/a") }},
	}
	none := func(error) {}
	inputs := map[string]func(b *bed) any{
		"start": func(b *bed) any {
			return &shard.Start{ID: "one", Given: true, Workflow: "w", Input: []byte("null"), Reply: func(shard.Started, error) {}}
		},
		"signal": func(b *bed) any { return b.signal() },
		"cancel": cancel, "quarantine": quarantine, "retry": retry,
		"retry without a state": func(*bed) any { return &shard.Retry{ID: "one", Reply: none} },
		"fire":                  func(*bed) any { return &shard.Fire{ID: "one", Timer: "t", Reply: none} },
		"delete": func(*bed) any {
			return &shard.Delete{IDs: []string{"one"}, Reply: func(shard.Deleted, error) {}}
		},
		"delete object":        func(*bed) any { return &shard.DeleteObject{Key: "k", Reply: none} },
		"outcome":              func(b *bed) any { return b.takeOutcome("one/a") },
		"outcome of the other": func(b *bed) any { return b.takeOutcome("one/b") },
		"forged outcome": func(b *bed) any {
			return &shard.Outcome{Token: leases.Token{Run: b.number("one"), Step: 0, Attempt: 9, Worker: "A"}, Reply: func(shard.Result, bool, error) {}}
		},
		"query": func(*bed) any {
			return &shard.Query{ID: "one", Read: func(*shard.Shard, *shard.Run) {}, Reply: none}
		},
		"inspect": func(*bed) any { return &shard.Inspect{Read: func(*shard.Shard) {}, Done: func() {}} },
		"await": func(*bed) any {
			return &shard.Await{ID: "one", Key: 1, Ended: func(*replay.State) {}, Reply: none}
		},
		"forget": func(*bed) any { return &shard.Forget{ID: "one", Key: 1} },
		"join":   func(b *bed) any { return b.joining() },
		"join with its tokens": func(b *bed) any {
			var tokens []leases.Token
			for _, k := range slices.Sorted(maps.Keys(b.tasks)) {
				tokens = append(tokens, b.token(k))
			}
			return b.joining(tokens...)
		},
		"leave": func(*bed) any { return &hub.Leave{ID: "A", Reply: none} },
		"poll": func(b *bed) any {
			b.seq++
			return &hub.Poll{ID: "A", Seq: b.seq, Max: 9, Reply: func(a hub.PollAnswer, _ error) {
				for _, s := range a.Tasks {
					b.took(s)
				}
			}}
		},
		"unpoll": func(*bed) any { return &hub.Unpoll{Poll: &hub.Poll{ID: "A"}} },
		"beat": func(b *bed) any {
			in := &hub.Beat{ID: "A", Reply: func([]leases.Token, error) {}}
			for _, k := range slices.Sorted(maps.Keys(b.tasks)) {
				in.Tokens = append(in.Tokens, shard.BeatToken{Token: b.token(k), Own: true})
			}
			return in
		},
		"local beat": func(b *bed) any {
			if s := b.tasks["one/a"]; s != nil {
				return &shard.LocalBeat{Slot: s.Slot}
			}
			return &shard.Inspect{Read: func(*shard.Shard) {}, Done: func() {}}
		},
		"set":                    func(*bed) any { return &shard.Set{Key: "x", Value: []byte("1"), Reply: none} },
		"the lease runs out":     func(b *bed) any { b.pass(31_000); return nil },
		"the attempt times out":  func(b *bed) any { b.pass(61_000); return nil },
		"the timer and wait end": func(b *bed) any { b.pass(4_000_000); return nil },
		"a start is overdue":     func(b *bed) any { b.pass(200); return nil },
		"the disk is full": func(b *bed) any {
			for _, lost := range b.disk.Lose() {
				b.r.Committed(lost, journal.ErrFull, b.now)
			}
			b.check()
			if b.r.Full() {
				b.turn(b.r.Resume()...)
			}
			return nil
		},
		"a restart": func(b *bed) any { b.disk.Lose(); b.boot(); return nil },
	}
	for _, service := range []string{"here", "far"} {
		for attempt, prepare := range attempts {
			for state, path := range states {
				for input, make := range inputs {
					for _, durable := range []bool{true, false} {
						b := newBed(t)
						b.name = service + ": attempt " + attempt + ", run " + state + ", " + input
						minute := int64(60_000)
						a := flow.Task("a", service, "work", flow.Keys("k"))
						a.TimeoutMS = &minute
						b.register("w", a, flow.Task("b", "far", "more"), flow.WaitSignal("s", "sig", flow.Timeout(3_000_000_000_000)),
							flow.WaitTimer("t", "t", flow.Delay(3_600_000_000_000)), flow.Task("end", "here", "more", flow.After("a", "b", "s", "t")))
						b.join()
						prepare(b, service)
						if b.tasks["one/b"] == nil {
							b.join()
							b.poll()
						}
						for _, step := range path {
							if in := step(b); in != nil {
								b.turn(in)
							}
							if durable {
								b.do()
							}
						}
						if in := make(b); in != nil {
							b.turn(in)
						}
						b.do()
						b.finishAll()
					}
				}
			}
		}
	}
}

func (b *bed) signal() any {
	b.signals++
	return &shard.Signal{ID: "one", Name: "sig", SignalID: string(rune('a' + b.signals)), Payload: []byte("1"), Reply: func(string, error) {}}
}

func (b *bed) token(key string) leases.Token {
	s := b.tasks[key]
	return leases.Token{Run: s.Slot.Run, Step: s.Step, Attempt: s.Attempt, Worker: "A"}
}

// takeOutcome is the answer of a handler that returns with it; nil when nobody has the step.
func (b *bed) takeOutcome(key string) any {
	if b.tasks[key] == nil {
		return nil
	}
	in := b.outcome(key)
	delete(b.tasks, key)
	return in
}

// pass lets time go by with nothing else in it.
func (b *bed) pass(ms int64) {
	b.t.Helper()
	b.r.NextWake()
	b.now.Wall, b.now.Mono = b.now.Wall+ms, b.now.Mono+ms
}

// finishAll cancels the run, lets every handler return and every lease run out: nothing may be left of it.
func (b *bed) finishAll() {
	b.t.Helper()
	b.do(&shard.Cancel{ID: "one", Reply: func(error) {}})
	for len(b.tasks) > 0 {
		for _, key := range slices.Sorted(maps.Keys(b.tasks)) {
			b.do(b.takeOutcome(key))
		}
	}
	for range 14 { // the shard is woken in time, or it would give the leases what it missed
		b.advance(3_000)
	}
	if runs, _ := b.r.Counts(); runs != 0 {
		b.t.Fatalf("%s: the run has ended and stays in memory", b.name)
	}
	if keys := b.r.Keys(); len(keys) != 0 {
		b.t.Fatalf("%s: keys are held for ever: %v", b.name, keys)
	}
	if leases := b.r.Hub.Leases(); len(leases) != 0 || b.r.Hub.Offers() != 0 {
		b.t.Fatalf("%s: attempts are left: %+v", b.name, leases)
	}
}

// The handler of a quarantined run returns, and before that is durable the run is cancelled: nobody waits for that attempt.
func TestACancelWhileTheHandlerOfAQuarantinedRunReturns(t *testing.T) {
	for _, service := range []string{"here", "far"} {
		b := newBed(t)
		b.register("w", flow.Task("a", service, "work", flow.Keys("k")))
		b.join()
		b.start("one", "w")
		b.poll()
		b.do(&shard.Quarantine{Run: b.number("one"), Seq: b.number("one"), Why: "test"})
		b.turn(b.takeOutcome("one/a"))
		b.turn(&shard.Cancel{ID: "one", Reply: func(error) {}})
		b.do()
		if run := b.r.Peek(b.number("one")); run != nil || len(b.r.Keys()) != 0 {
			t.Errorf("%s: the run is in memory: %v; keys %v", service, run != nil, b.r.Keys())
		}
	}
}

// Whichever record of a run is damaged, but its first one: the start that meets it quarantines the run, durably, and a cancel ends it.
func TestDamageAnywhereInARunQuarantinesIt(t *testing.T) {
	for at := 1; ; at++ {
		b := newBed(t)
		b.register("w", flow.Task("a", "here", "work"), flow.Task("b", "here", "more", flow.After("a")))
		b.start("one", "w")
		in := b.outcome("one/a")
		in.Fail = &replay.AttemptError{Code: "handler_error", Message: "no", Final: true}
		b.do(in)
		b.retry("one")
		b.do(b.outcome("one/a"))
		b.do(b.outcome("one/b"))
		records, err := b.disk.RunRecords(b.number("one"), 1<<62, 1, 1<<30)
		if err != nil || len(records) < 5 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		if at == len(records) {
			return
		}
		b.disk.Damage(records[at].Seq)
		b.boot()
		state := func() replay.RunState {
			h, _, _ := b.disk.Head(b.number("one"))
			return replay.RunState(h.State)
		}
		if state() != replay.Quarantined {
			t.Errorf("record %d of %d is damaged, and the run is %s", at+1, len(records), state())
		}
		b.do(&shard.Cancel{ID: "one", Reply: func(err error) {
			if err != nil {
				t.Error(err)
			}
		}})
		b.boot()
		if runs, _ := b.r.Counts(); state() != replay.Cancelled || runs != 0 {
			t.Errorf("record %d of %d is damaged; cancelled and started anew the run is %s, and %d runs are in memory", at+1, len(records), state(), runs)
		}
	}
}
