package shard

import (
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// damagedReason is what a quarantined run says of itself.
const damagedReason = "its journal is damaged"

// Quarantined is the kind of the damage for which a run that had ended is quarantined.
const Quarantined = "quarantined"

// quarantine is damage found in a run.
type quarantine struct {
	seq uint64
	why string
}

func quarantineFor(d *journal.Damage) quarantine {
	return quarantine{d.Seq, fmt.Sprintf("%s: record %d: %s", damagedReason, d.Seq, d.Detail)}
}

func (q quarantine) fold(_ *Shard, run *Run, t *replay.Turn) {
	if !run.S.Hurt { // once: a cancelled run is not quarantined again for the damage that is known of it
		t.Quarantine(q.seq, q.why)
	}
}

// owesQuarantine says that the run was found damaged between two turns, and that this is not written yet.
func (run *Run) owesQuarantine() bool {
	if len(run.facts) == 0 {
		return false
	}
	_, owes := run.facts[0].(quarantine)
	return owes
}

// turnAway refuses what came for a run that is to be quarantined when there is space: until then its state does not say what it
// has forgotten.
func (run *Run) turnAway() {
	run.facts = slices.DeleteFunc(run.facts, func(f fact) bool {
		in, ok := f.(refuser)
		if ok {
			in.refuse(refusal.ErrDiskFull)
		}
		return ok
	})
}

// Quarantine marks a run whose journal was found damaged while it was read.
type Quarantine struct {
	Run, Seq uint64
	Why      string
}

func (in *Quarantine) admit(r *Shard) {
	run, err := r.run(in.Run)
	if r.newer[in.Run] != nil {
		return
	}
	if err == nil && run != nil {
		r.give(run, quarantine{in.Seq, damagedReason + ": " + in.Why})
		return
	}
	r.quarantineEnded(in)
}

// quarantineEnded marks a run that has ended and cannot be folded any more, by its head alone.
func (r *Shard) quarantineEnded(in *Quarantine) {
	row, ok := r.needs.heads.row(in.Run)
	if !ok || row.err != nil || !row.known || replay.RunState(row.head.State) == replay.Quarantined || r.gone[row.head.ID] != 0 {
		return
	}
	if row.hurt {
		return // it was quarantined for this, and then cancelled
	}
	h := row.head
	h.State, h.Failed = uint8(replay.Quarantined), damagedReason
	r.b.Heads = append(r.b.Heads, h)
	r.whenDurable(func(error) { r.left(h.ID, h.Run) })
	if r.cfg.Damage != nil {
		r.cfg.Damage(journal.Damage{Run: in.Run, Seq: in.Seq, Kind: Quarantined, Detail: in.Why})
	}
}
