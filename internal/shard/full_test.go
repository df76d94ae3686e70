package shard_test

import (
	"errors"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// lose is a full disk: everything that is queued is dropped.
func (b *bed) lose() {
	b.t.Helper()
	for _, lost := range b.disk.Lose() {
		b.r.Committed(lost, journal.ErrFull, b.now)
	}
	b.check()
}

// told are the answers that one call got.
type told struct{ got []error }

func (a *told) take(err error) { a.got = append(a.got, err) }

func (a *told) is(t *testing.T, what string, want error) {
	t.Helper()
	if len(a.got) != 1 || !errors.Is(a.got[0], want) {
		t.Errorf("%s is told %v, want once: %v", what, a.got, want)
	}
}

// Somebody waits for a run whose start is then dropped by a full disk. The run never was: who waits is sent to ask again, and then
// learns that there is no such run. The start itself is refused.
func TestAWaitForARunWhoseStartIsDropped(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitSignal("s", "go"))
	var start, wait, again told
	ended := 0
	await := func(a *told) *shard.Await {
		return &shard.Await{ID: "one", Key: a, Reply: a.take, Ended: func(s *replay.State) {
			if ended++; s != nil {
				t.Errorf("the wait is told the end of a run that never was: %s", s.Status)
			}
		}}
	}
	b.turn(&shard.Start{ID: "one", Given: true, Workflow: "w", Input: []byte("null"), Reply: func(_ shard.Started, err error) { start.take(err) }}, await(&wait))
	if wait.is(t, "the wait", nil); ended != 0 {
		t.Fatal("the wait is over before the run is")
	}
	b.lose()
	if ended != 1 {
		t.Fatalf("who waits for the dropped run is told %d times, want once", ended)
	}
	b.turn(await(&again))
	again.is(t, "the next wait", refusal.ErrRunNotFound)
	start.is(t, "the start", refusal.ErrDiskFull)
}

// An attempt whose time is over keeps its place in a service with a bound until that is on disk: its handler was not told yet. When the
// disk is full it stands again, and another one that was begun in its place would be one too many.
func TestAnAttemptThatIsGivenUpKeepsItsPlaceUntilThatIsDurable(t *testing.T) {
	for why, limit := range map[string]flow.StepOption{"time limit": flow.AttemptTimeout(time.Second), "no heartbeat": flow.HeartbeatTimeout(time.Second)} {
		b := newBed(t)
		b.register("w", flow.Task("s", "narrow", "work", limit))
		b.start("first", "w")
		b.start("second", "w")
		b.now.Wall, b.now.Mono = b.now.Wall+2_000, b.now.Mono+2_000
		b.turn()
		if b.disk.Queued() == 0 {
			t.Fatalf("%s: nothing is decided", why)
		}
		if b.tasks["second/s"] != nil {
			t.Errorf("%s: a second attempt begins while that the first one is over is not on disk", why)
		}
		b.lose()
		if b.tasks["second/s"] != nil {
			t.Errorf("%s: two attempts are under way, and the service may have one", why)
		}
		b.r.Resume()
		if b.do(); b.tasks["second/s"] == nil {
			t.Errorf("%s: the first attempt is over, and the second does not begin", why)
		}
	}
}

// What is on disk is answered as such, also when the answer stood behind something that a full disk dropped.
func TestAnAnswerDoesNotHangOnADroppedBatch(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitSignal("s", "go"))
	b.start("one", "w")
	b.start("over", "w")
	b.do(&shard.Cancel{ID: "over", Reply: func(error) {}})
	b.start("held", "w")

	var set, start, query, inspect, signal told
	var started shard.Started
	var state replay.RunState
	b.turn(&shard.Set{Key: "x", Value: []byte("1"), Reply: set.take},
		&shard.Start{ID: "one", Given: true, Workflow: "w", Input: []byte("null"), Reply: func(s shard.Started, err error) { started = s; start.take(err) }},
		&shard.Query{ID: "one", Read: func(_ *shard.Shard, run *shard.Run) { state = run.S.Status }, Reply: query.take},
		&shard.Inspect{Read: func(*shard.Shard) {}, Done: func() { inspect.take(nil) }},
		&shard.Signal{ID: "held", Name: "go", SignalID: "1", Payload: []byte("1"), Reply: func(_ string, err error) { signal.take(err) }})
	b.lose()
	b.turn()
	set.is(t, "what was dropped", refusal.ErrDiskFull)
	signal.is(t, "a signal that was dropped", refusal.ErrDiskFull)
	start.is(t, "a start that is on disk", nil)
	query.is(t, "a read", nil)
	inspect.is(t, "a look at the shard", nil)
	if started.ID != "one" || started.Created || state != replay.Running {
		t.Errorf("the start is told %+v, and the read finds the run %s", started, state)
	}
	if !b.r.Full() {
		t.Error("the disk is not full")
	}
}

// Damage that is found while the disk is full is not written: a turn that writes is dropped, memory is folded again, the damage is
// found again, and so on, and no read is ever answered. It is written when there is space.
func TestDamageFoundOnAFullDiskWaitsForSpace(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitSignal("s", "go"), flow.WaitSignal("s2", "go", flow.After("s")))
	for _, id := range []string{"hurt", "well"} {
		b.start(id, "w")
		b.do(&shard.Signal{ID: id, Name: "go", SignalID: "1", Payload: []byte("1"), Reply: func(string, error) {}})
	}
	records, err := b.disk.RunRecords(b.number("hurt"), 1<<62, 1, 1<<30)
	if err != nil || len(records) != 2 {
		t.Fatal(len(records), err)
	}
	b.disk.Damage(records[1].Seq)
	b.turn(&shard.Set{Key: "x", Value: []byte("1"), Reply: func(error) {}})
	b.lose()
	if len(b.damage) != 1 {
		t.Fatalf("damage: %+v", b.damage)
	}

	signal := func(id string, a *told) *shard.Signal {
		return &shard.Signal{ID: id, Name: "go", SignalID: "2", Payload: []byte("2"), Reply: func(_ string, err error) { a.take(err) }}
	}
	read := func(id string, a *told) *shard.Query {
		return &shard.Query{ID: id, Read: func(*shard.Shard, *shard.Run) {}, Reply: a.take}
	}
	var hurt, well, signalHurt, signalWell, after told
	b.turn(read("hurt", &hurt), read("well", &well), signal("hurt", &signalHurt), signal("well", &signalWell))
	hurt.is(t, "a read of the damaged run", nil)
	well.is(t, "a read of another", nil)
	signalHurt.is(t, "a signal for the damaged run", refusal.ErrDiskFull)
	signalWell.is(t, "a signal for another", refusal.ErrDiskFull)
	if n := b.disk.Queued(); n != 0 {
		t.Errorf("%d batches are written on a full disk", n)
	}

	b.r.Resume()
	b.do(signal("hurt", &after))
	after.is(t, "a signal when there is space", refusal.ErrRunQuarantined)
	if h, _, _ := b.disk.Head(b.number("hurt")); replay.RunState(h.State) != replay.Quarantined {
		t.Errorf("the run is %s", replay.RunState(h.State))
	}
}

// The end of a hold whose record a full disk drops did not happen: who asked is told so, nothing goes on once there is space, and the next
// one who asks ends it, with a record.
func TestTheEndOfAHoldThatIsDropped(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.Task("work", "here", "work"))
	b.careful = true
	b.boot()
	b.start("r1", "w")
	ask := func(a *told, perSecond int) *shard.ReleaseAll {
		return &shard.ReleaseAll{By: "me", PerSecond: perSecond, Reply: func(_ shard.Hold, err error) { a.take(err) }}
	}
	var first, second told
	b.turn(ask(&first, 0), ask(&second, 5))
	b.lose()
	b.turn()
	first.is(t, "the end", refusal.ErrDiskFull)
	second.is(t, "a second one of the same turn", refusal.ErrDiskFull)
	b.r.Resume()
	b.do()
	if h := b.r.Holding(); !h.On || h.Releasing || h.Runs != 1 || len(b.tasks) != 0 || b.settings("hold") != 0 {
		t.Fatalf("nobody has ended the hold, and it is %+v; %d tasks were handed out, %d records", h, len(b.tasks), b.settings("hold"))
	}
	var third told
	b.do(ask(&third, 0))
	b.do()
	third.is(t, "the end when there is space", nil)
	if h := b.r.Holding(); h.On || len(b.tasks) != 1 || b.settings("hold") != 1 {
		t.Errorf("the hold was ended, and is %+v; %d tasks were handed out, %d records", h, len(b.tasks), b.settings("hold"))
	}
}

// settings counts the changes of a setting that the journal has.
func (b *bed) settings(name string) (n int) {
	b.t.Helper()
	if err := b.disk.Scan(0, 1<<30, func(rec journal.Record) error {
		return event.Read(rec.Body, rec.Count, func(_ int, e *event.Event, _ bool) error {
			if e.Kind == event.SettingChanged && e.Name == name {
				n++
			}
			return nil
		})
	}); err != nil {
		b.t.Fatal(err)
	}
	return n
}
