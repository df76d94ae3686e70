package shard

import (
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/replay"
)

// What an attempt may do, by what the journal knows of its step and who has the step's slot.
func TestStanding(t *testing.T) {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("s", "svc", "h", flow.WithRetry(flow.Retry{MaxAttempts: 3}))}})
	if err != nil {
		t.Fatal(err)
	}
	// Attempts are scheduled under boot 7, and worker A has the first.
	state := func(facts ...func(*replay.Turn)) *Run {
		s := replay.New(g)
		turn := replay.Turn{S: s, At: 1, Seq: 1, Boot: 7}
		turn.Start("r", "w", 1, []byte("null"), "")
		turn.Decide()
		for _, fact := range facts {
			fact(&turn)
			turn.Decide()
		}
		if turn.Err != nil {
			t.Fatal(turn.Err)
		}
		return &Run{S: s}
	}
	started := func(t *replay.Turn) { t.Started(0, 1, "A", 1, false) }
	lose := func(t *replay.Turn) { t.Lose(0, 1, "lease_expired") }
	twice := func(t *replay.Turn) { t.Started(0, 2, "A", 1, false); t.Lose(0, 2, "lease_expired") }
	fail := func(t *replay.Turn) { t.Fail(0, 1, replay.AttemptError{Code: "no_luck"}) }
	again := func(t *replay.Turn) { t.At = 1 << 40; t.Due(0, t.S.At(0).Due) }
	complete := func(t *replay.Turn) { t.Complete(0, 1, []byte("1"), nil, 0) }
	cancel := func(t *replay.Turn) { t.Cancel("") }
	damage := func(t *replay.Turn) { t.Quarantine(1, "damaged") }
	hurt := func(t *replay.Turn) { t.S.Hurt = true } // found in this turn: the quarantine stands in front, and is not folded yet

	slot := func(state leases.SlotState, attempt uint32, who string) *leases.Slot {
		return &leases.Slot{Run: 1, Attempt: attempt, Boot: 7, State: state, Worker: who}
	}
	token := func(attempt uint32, who string) claim {
		return claim{Token: leases.Token{Run: 1, Attempt: attempt, Boot: 7, Worker: who}}
	}
	other := token(1, "A")
	other.Boot = 8
	nowhere := token(1, "A")
	nowhere.Step = 3
	local := slot(leases.Leased, 1, "")
	here := claim{Token: leases.Token{Run: 1, Attempt: 1, Boot: 7}, slot: local}

	for _, c := range []struct {
		name string
		run  *Run
		slot *leases.Slot
		of   claim
		want Standing
	}{
		{"it has the lease, and the journal does not know yet", state(), slot(leases.Leased, 1, "A"), token(1, "A"), holding},
		{"it has the lease", state(started), slot(leases.Leased, 1, "A"), token(1, "A"), holding},
		{"another worker has the lease", state(started), slot(leases.Leased, 1, "A"), token(1, "B"), stale},
		{"it has answered already", state(started), slot(leases.Answered, 1, "A"), token(1, "A"), stale},
		{"it is known to run, and after a restart nobody has it", state(started), nil, token(1, "A"), stale},
		{"its start was not journaled before a restart", state(), nil, token(1, "A"), lostButOpen},
		{"the same, and the step is offered again", state(), slot(leases.Queued, 1, ""), token(1, "A"), lostButOpen},
		{"it was lost, and the step is offered", state(started, lose), slot(leases.Queued, 2, ""), token(1, "A"), lostButOpen},
		{"another worker's was lost", state(started, lose), slot(leases.Queued, 2, ""), token(1, "B"), stale},
		{"it was lost twice, and this is the second", state(started, lose, twice), slot(leases.Queued, 3, ""), token(2, "A"), lostButOpen},
		{"it was lost twice, and this is the first", state(started, lose, twice), slot(leases.Queued, 3, ""), token(1, "A"), stale},
		{"it was lost, and another has the step", state(started, lose), slot(leases.Leased, 2, "B"), token(1, "A"), stale},
		{"the one that has the step after a loss", state(started, lose), slot(leases.Leased, 2, "B"), token(2, "B"), holding},
		{"it has failed", state(started, fail), nil, token(1, "A"), stale},
		{"it has failed, and the next one is offered", state(started, fail, again), slot(leases.Queued, 2, ""), token(1, "A"), stale},
		{"it has completed", state(started, complete), nil, token(1, "A"), late},
		{"its run was cancelled under it", state(started, cancel), slot(leases.Cancelled, 1, "A"), token(1, "A"), ended},
		{"its run was cancelled under another's attempt of the same number", state(started, cancel), slot(leases.Cancelled, 1, "A"), token(1, "B"), late},
		{"its run was cancelled before it began", state(cancel), nil, token(1, "A"), late},
		{"its run is quarantined", state(started, damage), slot(leases.Cancelled, 1, "A"), token(1, "A"), late},
		{"a damaged run does not know it", state(damage), nil, token(4, "A"), late},
		{"an attempt that nobody was given", state(started), slot(leases.Leased, 1, "A"), token(2, "A"), alien},
		{"a token of another history", state(started), slot(leases.Leased, 1, "A"), other, alien},
		{"a token of another history, and the step is offered", state(), slot(leases.Queued, 1, ""), other, alien},
		{"a token of another history, of a damaged run", state(hurt), slot(leases.Queued, 1, ""), other, stale},
		{"a token of another history, whose attempt was lost in this one", state(started, lose), slot(leases.Queued, 2, ""), other, stale},
		{"a step that is not there", state(started), nil, nowhere, alien},
		{"in process, with the lease", state(), local, here, holding},
		{"in process, another has the slot", state(), slot(leases.Leased, 1, ""), here, stale},
		{"in process, and the step is offered again", state(), slot(leases.Queued, 1, ""), here, stale},
	} {
		if got := standing(c.run, c.slot, c.of); got != c.want {
			t.Errorf("%s: standing %d, want %d", c.name, got, c.want)
		}
	}
}

// Of a damaged run the list may be lost that an item is one of: its token was made for it nevertheless.
func TestAnItemOfAListThatIsLostIsNotOfAnotherHistory(t *testing.T) {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("s", "svc", "h", flow.ForEachOf([]int{1, 2}))}})
	if err != nil {
		t.Fatal(err)
	}
	s := replay.New(g)
	turn := replay.Turn{S: s, At: 1, Seq: 1, Boot: 7}
	turn.Start("r", "w", 1, []byte("null"), "")
	item := claim{Token: leases.Token{Run: 1, Step: g.Lists[0].First, Attempt: 1, Boot: 7, Worker: "A"}}
	if got := standing(&Run{S: s}, nil, item); got != alien {
		t.Errorf("of a run whose list is not known yet: standing %d, want %d", got, alien)
	}
	s.Hurt = true // found in this turn
	if got := standing(&Run{S: s}, nil, item); got != stale {
		t.Errorf("of a run that is damaged: standing %d, want %d", got, stale)
	}
	turn.Quarantine(1, "damaged")
	if got := standing(&Run{S: s}, nil, item); got != late {
		t.Errorf("of a run that is quarantined: standing %d, want %d", got, late)
	}
}
