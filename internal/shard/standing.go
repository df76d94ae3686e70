package shard

import (
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/replay"
)

// claim names an attempt that somebody says he has: by its token, or in this process by its slot.
type claim struct {
	leases.Token
	slot *leases.Slot // in process, where Worker is ""; nil: the token names it
}

// has says whether the slot is that of the attempt, in the same hands.
func (c claim) has(slot *leases.Slot) bool {
	switch {
	case slot == nil:
		return false
	case c.slot != nil:
		return c.slot == slot
	}
	return holds(slot, c.Token)
}

// Standing is what an attempt may still do in its run.
type Standing uint8

const (
	alien       Standing = iota // no such attempt was given to anybody
	stale                       // its step was given to another since, or has its outcome
	late                        // its run has ended or is quarantined: nobody waits for it
	ended                       // as late, and the journal waits for it to say so: it holds its keys until then
	lostButOpen                 // it has no lease, but its step was not given to another: an outcome of it still counts
	holding                     // it has the lease
)

// standing says what an attempt may do. slot is what the hub knows of its step. An outcome counts when it is holding or lostButOpen;
// whatever leaves the lease as it is must be holding.
func standing(run *Run, slot *leases.Slot, c claim) Standing {
	s, st := run.S, run.S.At(c.Step)
	// A damaged run may not know its own tokens, nor the items of its lists. That it is damaged may be a fact of this very turn, which
	// stands in front. A retry forgets the lists of finally.
	out, isOut := s.Out(c.Step)
	if st == nil && !isOut && !s.Hurt && !s.Dropped(c.Step) && !s.Past(c.Step, c.Attempt) {
		return alien
	}
	if st != nil && !s.Hurt && st.Alien(c.Attempt, c.Boot) {
		return alien
	}
	if isOut && out.Attempt == c.Attempt && out.Boot == c.Boot && (out.Local || out.Worker == c.Worker) {
		return ended
	}
	switch {
	case !s.Status.Live():
		return late
	case st == nil || !st.Answers(c.Attempt, c.Boot, c.Worker):
		return stale
	case slot != nil && slot.State != leases.Queued: // somebody has the step
		if slot.State == leases.Leased && c.has(slot) {
			return holding
		}
	case c.slot == nil && st.State == replay.StepScheduled:
		return lostButOpen
	}
	return stale
}
