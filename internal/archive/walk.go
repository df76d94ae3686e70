package archive

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// Walk folds runs record by record, as an engine does at its start, and shows each event with what it changed. The state of a run
// that a newer release of agnt5d wrote on is what the events say that are understood.
type Walk struct {
	States map[uint64]*replay.State
	Newer  map[uint64]*NewerError
	// Each is called for every event, after it was folded; nil: nobody looks. s is nil for what cannot be folded.
	Each func(e model.Event, s *replay.State, changed []string) error

	a      *Archive
	shapes map[uint64]*shape
}

// Walk gives a walk that has seen nothing yet.
func (a *Archive) Walk() *Walk {
	return &Walk{a: a, States: map[uint64]*replay.State{}, Newer: map[uint64]*NewerError{}, shapes: map[uint64]*shape{}}
}

// Record folds one record and shows its events up to the sequence until (0: all of them); when that stands before the record's
// end, it gives ErrStop. A history that does not fold is a *BrokenError.
func (w *Walk) Record(r *journal.Record, until uint64) error {
	if n := w.Newer[r.Run]; n != nil {
		n.Last, n.Events = r.Seq, r.Last()
	}
	if r.Run == 0 || w.Newer[r.Run] != nil {
		return w.show(r, 0, until)
	}
	shown := 0
	s, err := FoldUpto(w.States[r.Run], r, until, w.a.Graph, func(s *replay.State, i int, e *event.Event) error {
		shown = i + 1
		return w.event(s, r, i, e)
	})
	if s != nil {
		if w.States[r.Run] == nil {
			w.a.remember(r.Run, named{s.ID, s.Graph})
		}
		w.States[r.Run] = s
	}
	switch {
	case errors.Is(err, event.ErrFormat):
		n, _ := IsNewer(r.Run, err)
		n.Seq, n.Last, n.Events = r.Seq, r.Seq, r.Last()
		w.Newer[r.Run] = n
		return w.show(r, shown, until)
	case errors.Is(err, ErrStop):
		return err
	case err != nil:
		return err
	}
	s.Released()
	return nil
}

// event shows an event that was folded.
func (w *Walk) event(s *replay.State, r *journal.Record, i int, e *event.Event) error {
	if w.Each == nil {
		return nil
	}
	before := w.shapes[r.Run]
	if before == nil {
		before = shapeOf(replay.New(s.Graph))
		w.shapes[r.Run] = before
	}
	seq, n := place(r, i)
	return w.Each(Show(seq, n, r.At, s.ID, s.Graph, own(e)), s, before.follow(s, e))
}

// show shows a record's events from one on without folding them: the engine's own, and those of a run that is not understood.
func (w *Walk) show(r *journal.Record, from int, until uint64) error {
	if w.Each == nil {
		return nil
	}
	var run named
	if r.Run != 0 {
		run.id = w.a.Name(r.Run)
	}
	if s := w.States[r.Run]; s != nil {
		run.g = s.Graph
	}
	var err error
	bad := show(r, run, func(ev model.Event) bool {
		if until != 0 && ev.Seq > until {
			return false
		}
		if ev.Seq >= r.Seq+uint64(from) {
			err = w.Each(ev, nil, nil)
		}
		return err == nil
	})
	return errors.Join(err, bad)
}

// shape is the state of a run and of each of its steps, as it was shown last.
type shape struct {
	run   replay.RunState
	steps map[replay.Instance]replay.StepState
}

func shapeOf(s *replay.State) *shape {
	out := &shape{run: s.Status, steps: make(map[replay.Instance]replay.StepState, len(s.Steps))}
	for i, st := range s.All() {
		out.steps[i] = st.State
	}
	return out
}

// follow says what an event changed, a phrase for each step. It looks at the steps only that the event can have changed: a run
// has as many events as it has steps, and more.
func (b *shape) follow(s *replay.State, e *event.Event) []string {
	var out []string
	s.Near(e, func(i replay.Instance) {
		if was, is := b.steps[i], s.StateOf(i); was != is {
			out = append(out, fmt.Sprintf("%s %s → %s", s.Name(i), was, is))
			b.steps[i] = is
		}
	})
	if b.run != s.Status {
		out = append(out, fmt.Sprintf("run %s → %s", b.run, s.Status))
		b.run = s.Status
	}
	return out
}
