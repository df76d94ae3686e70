package shard_test

import (
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// The row that counts how long workers have been silent is damaged: it is said, the count begins anew, and the engine starts.
func TestADamagedCountOfSilenceIsReported(t *testing.T) {
	s := &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
	s.boot()
	s.turn(&shard.Set{Key: "shard/silence", Value: []byte("{"), Reply: s.reply})
	var damage []string
	r := newDuo(shard.Config{Journal: s.disk, Damage: func(d journal.Damage) { damage = append(damage, d.Detail) }})
	if err := r.Recover(s.now); err != nil {
		t.Fatal(err)
	}
	if len(damage) != 1 || !strings.Contains(damage[0], "shard/silence") {
		t.Errorf("reported: %q", damage)
	}
}

// A journal of a release before there were boot numbers: the tokens that it gave have none. They are good until their step is
// settled or given to another, under every later start; what is scheduled from then on has tokens with a number.
func TestTokensOfBeforeStayGood(t *testing.T) {
	s := &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
	s.boot()
	s.register("w", "steps:\n- {name: a, service_name: far, handler_name: h}\n- {name: b, service_name: far, handler_name: h}\n- {name: c, service_name: far, handler_name: h, dependencies: [a]}")
	s.do("start r w")
	seq := uint64(0)
	take := func() (tokens []leases.Token) {
		seq++
		s.turn(&hub.Poll{ID: "A", Seq: seq, Max: 5, Reply: func(a hub.PollAnswer, err error) {
			s.reply(err)
			for _, spec := range a.Tasks {
				tokens = append(tokens, leases.Token{Run: spec.Slot.Run, Step: spec.Step, Attempt: spec.Attempt, Boot: spec.Slot.Boot, Worker: "A"})
			}
		}})
		return tokens
	}
	join := func(tokens ...leases.Token) (lost []leases.Token) {
		s.turn(&hub.Join{ID: "A", Service: "far", Handlers: []string{"h"}, Capacity: 9, Tokens: tokens, Reply: func(l []leases.Token, err error) {
			s.reply(err)
			lost = l
		}})
		return lost
	}
	bring := func(token leases.Token) (result shard.Result) {
		s.turn(&hub.Poll{ID: "A", Outcomes: []*shard.Outcome{{Token: token, Output: []byte("1"), Hash: 1}}, Reply: func(a hub.PollAnswer, err error) {
			s.reply(err)
			result = a.Results[0].Result
		}})
		return result
	}
	join()
	before := take()
	if len(before) != 2 || before[0].Boot != 0 {
		t.Fatalf("got %+v", before)
	}
	s.do("advance 1s") // both starts are journaled
	for s.number = 7; s.number < 9; s.number++ {
		s.boot()
		if lost := join(before...); len(lost) != 0 {
			t.Fatalf("start %d: lost %+v", s.number, lost)
		}
		forged := before[0]
		forged.Boot = s.number
		if got := bring(forged); got != shard.BadToken {
			t.Errorf("a token with the number of this start for an attempt of before: %s", got)
		}
	}
	if got := bring(before[0]); got != shard.Recorded {
		t.Errorf("the first step: %s", got)
	}
	after := take()
	if len(after) != 1 || after[0].Boot != 8 {
		t.Fatalf("the step after it: %+v", after)
	}
	s.boot()
	if lost := join(before[1], after[0]); len(lost) != 0 {
		t.Errorf("lost: %+v", lost)
	}
	old := after[0]
	old.Boot = 0
	for _, c := range []struct {
		leases.Token
		want shard.Result
	}{{old, shard.BadToken}, {after[0], shard.Recorded}, {before[1], shard.Recorded}} {
		if got := bring(c.Token); got != c.want {
			t.Errorf("%+v: %s, want %s", c.Token, got, c.want)
		}
	}
	if len(s.said) > 0 {
		t.Errorf("refused: %v", s.said)
	}
}

// A full disk lets the shard fold the journal anew, and it meets a damaged record: of its run it knows less than it knew. A token
// that it made is not called a forgery for that, also not in the very turn in which the run is quarantined.
func TestATokenOfADamagedRunIsNotCalledAForgery(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.Task("a", "far", "work", flow.WithRetry(flow.Retry{MaxAttempts: 3})))
	b.join()
	b.start("one", "w")
	b.poll()
	fails := b.outcome("one/a")
	fails.Fail = &replay.AttemptError{Code: "handler_error", Message: "no"}
	b.do(&hub.Poll{ID: "A", Outcomes: []*shard.Outcome{fails}, Reply: func(hub.PollAnswer, error) {}})
	delete(b.tasks, "one/a")
	b.advance(120_000)
	b.join()
	if b.poll(); b.tasks["one/a"].Attempt != 2 {
		t.Fatalf("the worker has %+v", b.tasks["one/a"])
	}
	records, err := b.disk.RunRecords(b.number("one"), 1<<62, 1, 1<<30)
	if err != nil || len(records) < 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	b.disk.Damage(records[1].Seq)
	b.turn(&shard.Set{Key: "x", Value: []byte("1"), Reply: func(error) {}})
	for _, lost := range b.disk.Lose() {
		b.r.Committed(lost, journal.ErrFull, b.now)
	}
	var got shard.Result
	poll := &hub.Poll{ID: "A", Outcomes: []*shard.Outcome{b.outcome("one/a")}, Reply: func(a hub.PollAnswer, err error) {
		if err != nil {
			t.Fatal(err)
		}
		got = a.Results[0].Result
	}}
	b.do(append(b.r.Resume(), poll)...)
	if s := b.r.Peek(b.number("one")); s == nil || s.S.Status != replay.Quarantined {
		t.Fatalf("the run is not quarantined: %+v", s)
	}
	if got != shard.RunFinished {
		t.Errorf("the outcome of the attempt that it was given: %q, want %q", got, shard.RunFinished)
	}
}

// What a start runs without a worker counts: after half a lease in one start and half a lease in the next, its attempt is lost,
// though neither start ran for a whole one.
func TestHalvesOfALeaseAddUpOverStarts(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.Task("s", "far", "work"))
	b.join()
	b.start("r", "w")
	b.poll()
	half := int64(15_000) // of the lease of 30 s
	state := func() replay.StepState { return b.r.Peek(b.number("r")).S.Steps[0].State }
	b.advance(200) // the start is journaled
	for n := range 2 {
		b.boot()
		if got := state(); got != replay.StepRunning {
			t.Fatalf("start %d: the step is %s", n, got)
		}
		for range half / 3_000 { // a shard that does not turn for longer gives leases that time
			b.advance(3_000)
		}
	}
	if got := state(); got == replay.StepRunning {
		t.Errorf("after a whole lease over two starts the step is %s", got)
	}
}
