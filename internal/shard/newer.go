package shard

import (
	"errors"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// hold takes a run out of the books until the release that understands it is back.
func (r *Shard) hold(n *archive.Newer) {
	delete(r.parked, n.Run)
	if run := r.runs[n.Run]; run != nil {
		delete(r.ids, run.S.ID)
		delete(r.runs, n.Run)
	}
	r.newer[n.Run] = n
	if r.cfg.Newer != nil {
		r.cfg.Newer(*n)
	}
}

// Waits gives a run that waits for a newer release, and what its events say as far as they are understood, which may be nil.
func (r *Shard) Waits(number uint64) (*archive.Newer, *replay.State) {
	if n := r.newer[number]; n != nil {
		return n, n.State
	}
	return nil, nil
}

// refold is a run that is folded from its records alone: something of it is damaged, or of a newer release.
type refold struct {
	slept        bool            // it was put away: counted as open by its snapshot
	hurt         *journal.Damage // nil: nothing is damaged
	newer        *archive.Newer  // nil: everything is understood
	s            *replay.State
	last, events uint64
}

// record takes the run's next intact record. After damage to the log, and after what is not understood, it is not folded.
func (f *refold) record(a *archive.Archive, rec *journal.Record) {
	f.last, f.events = rec.Seq, rec.N+uint64(rec.Count)-1
	if f.newer != nil {
		return
	}
	var err error
	if f.hurt == nil || f.hurt.Kind == "snapshot" || rec.Seq < f.hurt.Seq {
		var next *replay.State
		if next, err = archive.Fold(f.s, rec, a.Graph, nil); err == nil || errors.Is(err, refusal.ErrNewerRelease) {
			f.s = next
		}
	} else {
		err = event.Decode(rec.Body, func(int, *event.Event) error { return nil })
	}
	switch {
	case err == nil:
	case errors.Is(err, refusal.ErrNewerRelease):
		n := archive.NewerOf(rec.Run, err)
		n.Seq = rec.Seq
		f.newer = &n
	case f.hurt == nil || f.hurt.Kind == "snapshot":
		f.hurt = &journal.Damage{Run: rec.Run, Seq: rec.Seq, Count: rec.Count, Kind: "history", Detail: err.Error()}
	}
}

// damaged gives the state of a damaged run: what could be folded of it, at the end of what can be found of it. nil: not even its
// first record can be read.
func (f *refold) damaged() *replay.State {
	if f.s == nil {
		return nil
	}
	if d := f.hurt; f.last < d.Seq {
		f.last, f.events = d.Seq, f.s.Events+uint64(d.Count)
	}
	f.s.LastSeq, f.s.Events = f.last, max(f.events, f.s.Events)
	return f.s
}
