package shard

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/fold"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// ErrNewerRelease is wrapped by what is said of a run that a newer release has written on.
var ErrNewerRelease = event.ErrFormat

// Newer is a run with a record, a snapshot or a definition that this release does not understand. It waits for the release
// that does: nothing is written about it, and no recovery point passes it. Its id stays taken, and so do the object keys that
// the events before that record asked for.
type Newer struct {
	Run    uint64
	Seq    uint64 // the first record that is not understood; 0: not known
	Last   uint64 // the run's last record
	Events uint64 // up to and with it
	Why    string

	s *replay.State // what the events before say; nil: nothing
}

// NewerError refuses what was asked of such a run.
type NewerError struct{ Newer }

func (e *NewerError) Error() string {
	return fmt.Sprintf("the run waits, unchanged: record %d was %s (%s); start that release again", e.Seq, ErrNewerRelease, e.Why)
}

func (e *NewerError) Unwrap() error { return ErrNewerRelease }

// newerOf makes a Newer of an error that wraps ErrNewerRelease.
func newerOf(run uint64, err error) *Newer {
	n := &Newer{Run: run, Why: err.Error()}
	var b *fold.BrokenError
	if errors.As(err, &b) {
		n.Seq, n.Why = b.Seq, b.Why.Error()
	}
	return n
}

// IsNewer gives err as a NewerError about the run, if a newer release is why.
func IsNewer(run uint64, err error) (*NewerError, bool) {
	var known *NewerError
	switch {
	case errors.As(err, &known):
		return known, true
	case errors.Is(err, ErrNewerRelease):
		return &NewerError{*newerOf(run, err)}, true
	}
	return nil, false
}

// hold takes a run out of the books until the release that understands it is back.
func (r *Shard) hold(n *Newer) {
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
func (r *Shard) Waits(number uint64) (*Newer, *replay.State) {
	if n := r.newer[number]; n != nil {
		return n, n.s
	}
	return nil, nil
}

// refold is a run that recovery folds from its records alone: something of it is damaged, or of a newer release.
type refold struct {
	slept        bool            // it was put away: counted as open by its snapshot
	hurt         *journal.Damage // nil: nothing is damaged
	newer        *Newer          // nil: everything is understood
	s            *replay.State
	last, events uint64
}

// record takes the run's next intact record. After damage to the log, and after what is not understood, it is not folded.
func (f *refold) record(r *Shard, rec *journal.Record) {
	f.last, f.events = rec.Seq, rec.N+uint64(rec.Count)-1
	if f.newer != nil {
		return
	}
	var err error
	if f.hurt == nil || f.hurt.Kind == "snapshot" || rec.Seq < f.hurt.Seq {
		var next *replay.State
		if next, err = fold.Record(f.s, rec, r.graph, nil); err == nil || errors.Is(err, ErrNewerRelease) {
			f.s = next
		}
	} else {
		err = event.Decode(rec.Body, func(int, *event.Event) error { return nil })
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrNewerRelease):
		f.newer = newerOf(rec.Run, err)
		f.newer.Seq = rec.Seq
	case f.hurt == nil || f.hurt.Kind == "snapshot":
		f.hurt = &journal.Damage{Run: rec.Run, Seq: rec.Seq, Count: rec.Count, Kind: "history", Detail: err.Error()}
	}
}
