package shard_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// rest stops the engine in good order and starts it again: runs that only wait are asleep then.
func (b *bed) rest() {
	b.t.Helper()
	b.disk.Append(b.r.Rest(b.now))
	b.commit()
	b.boot()
	b.do()
}

// What needs nothing of the journal goes on while others wait; answers come in any order; and what is about one run keeps its order.
func TestInputsAboutOneRunKeepTheirOrderWhileTheyWait(t *testing.T) {
	b := newBed(t)
	b.register("sleeps", flow.WaitSignal("w", "go"))
	b.start("sleeper", "sleeps")
	b.rest()
	b.start("awake", "sleeps")

	var said []string
	note := func(what string) func(error) {
		return func(err error) {
			switch {
			case err == nil:
			case errors.Is(err, refusal.ErrRunFinished):
				what += ": it has finished"
			default:
				t.Errorf("%s: %v", what, err)
			}
			said = append(said, what)
		}
	}
	signal := func(id string) any {
		return &shard.Signal{ID: id, Name: "go", SignalID: "s", Payload: []byte("1"), Reply: func(_ string, err error) { note("signal " + id)(err) }}
	}
	b.r.Take(b.now, []any{signal("sleeper"), &shard.Cancel{ID: "sleeper", Reply: note("cancel sleeper")}})
	first := b.r.Wanted()
	if first == nil || !slices.Equal(first.IDs, []string{"sleeper"}) || b.r.Held() != 2 {
		t.Fatalf("wanted %+v, %d held", first, b.r.Held())
	}
	b.r.Take(b.now, []any{signal("awake"), &shard.Start{ID: "new", Given: true, Workflow: "sleeps", Input: []byte("null"),
		Reply: func(_ shard.Started, err error) { note("start new")(err) }}})
	second := b.r.Wanted()
	if second == nil || !slices.Equal(second.IDs, []string{"new"}) || b.r.Held() != 3 {
		t.Fatalf("wanted %+v, %d held", second, b.r.Held())
	}
	step := func(want ...string) {
		t.Helper()
		if batch := b.r.Turn(b.now, nil); batch != nil {
			b.disk.Append(batch)
		}
		b.commit()
		slices.Sort(said) // answers of one turn come in any order
		if slices.Sort(want); !slices.Equal(said, want) {
			t.Fatalf("said %q, want %q", said, want)
		}
	}
	step("signal awake")
	b.r.Give(b.disk.Reader().Read(second))
	step("signal awake", "start new")
	b.r.Give(b.disk.Reader().Read(first))
	third := b.r.Wanted() // the id is known now, and its run sleeps
	if third == nil || len(third.Runs) != 1 || third.Runs[0].Run != b.number("sleeper") {
		t.Fatalf("wanted %+v", third)
	}
	step("signal awake", "start new")
	b.r.Give(b.disk.Reader().Read(third))
	step("signal awake", "start new", "signal sleeper", "cancel sleeper: it has finished")
	if w := b.r.Wanted(); w != nil || b.r.Held() != 0 {
		t.Errorf("wanted %+v, %d held", w, b.r.Held())
	}
}

// A head that was read before its run was reopened and ended once more says what is not so any more.
func TestAnAnswerThatIsTooOldIsAskedAnew(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitSignal("w", "go"))
	b.start("one", "w")
	b.do(&shard.Cancel{ID: "one", Reply: func(error) {}})
	number := b.number("one")
	b.r.Take(b.now, []any{&shard.Quarantine{Run: number, Seq: number, Why: "a bit has flipped"}})
	want := b.r.Wanted()
	if want == nil || !slices.Equal(want.Heads, []uint64{number}) {
		t.Fatalf("wanted %+v", want)
	}
	old := b.disk.Reader().Read(want)
	// Retry waits, too, and comes first: the run is reopened, and cancelled in the same turn.
	b.r.Take(b.now, []any{&shard.Retry{ID: "one", State: b.folded("one"), Reply: func(error) {}}, &shard.Cancel{ID: "one", Reply: func(error) {}}})
	b.r.Give(b.disk.Reader().Read(b.r.Wanted()))
	b.disk.Append(b.r.Turn(b.now, nil))
	b.commit()
	b.r.Give(old)
	if batch := b.r.Turn(b.now, nil); batch != nil || b.r.Held() != 1 || b.r.Stats.Stale != 1 {
		t.Fatalf("an old head was believed: %+v, %d held, %d too old", batch, b.r.Held(), b.r.Stats.Stale)
	}
	b.do()
	h, _, _ := b.disk.Head(number)
	if s := b.folded("one"); replay.RunState(h.State) != replay.Quarantined || h.LastSeq != s.LastSeq {
		t.Errorf("head %+v, the run's last record is %d", h, s.LastSeq)
	}
}

// Many runs whose time comes at once are one question.
func TestSleepersWhoseTimeComesAtOnceAreReadAtOnce(t *testing.T) {
	b := newBed(t)
	b.register("naps", flow.WaitTimer("w", "t", flow.Delay(1_000_000_000)))
	const n = 300
	for i := range n {
		b.start(string(rune('a'+i/26))+string(rune('a'+i%26)), "naps")
	}
	b.rest()
	b.now.Wall, b.now.Mono = b.now.Wall+5_000, b.now.Mono+5_000
	b.r.Take(b.now, nil)
	want := b.r.Wanted()
	if want == nil || len(want.Runs) != n || b.r.Wanted() != nil {
		t.Fatalf("wanted %+v", want)
	}
	if wake := b.r.NextWake(); wake.Wall != 0 && wake.Wall <= b.now.Wall {
		t.Errorf("it is to turn at once, and there is nothing to do: %+v", wake)
	}
	b.r.Give(b.disk.Reader().Read(want))
	b.do()
	if runs, _ := b.r.Counts(); runs != 0 {
		t.Errorf("%d runs are open", runs)
	}
}

// A time that had come when inputs were taken, and has not when the turn is made because the clock was put back, comes again.
func TestATimeThatHadComeIsNotLostWhenTheClockGoesBack(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitTimer("s", "key", flow.Delay(time.Second)))
	b.start("r", "w")
	number := b.number("r")
	b.now.Wall += 999
	later := b.now
	later.Wall++
	b.r.Take(later, nil)
	b.do() // at 999 ms
	if run := b.r.Peek(number); run == nil || run.S.Steps[0].State != replay.StepWaiting {
		t.Fatal("it fired early")
	}
	b.advance(1)
	if run := b.r.Peek(number); run != nil && run.S.Status == replay.Running {
		t.Error("its time is over, and it has not fired")
	}
}
