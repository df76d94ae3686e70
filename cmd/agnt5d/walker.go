package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/fold"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/replay"
)

// walker folds runs record by record, as an engine does at its start, and shows each event with what it changed. The state of
// a run that a newer release of agnt5d wrote on is what the events say that are understood.
type walker struct {
	f      *file
	states map[uint64]*replay.State
	shapes map[uint64]*shape
	newer  map[uint64]*engine.NewerError
	// each is called for every event, after it was folded. s is nil for what cannot be folded.
	each func(e engine.Event, s *replay.State, changed []string) error
}

func newWalker(f *file) *walker {
	return &walker{f: f, states: map[uint64]*replay.State{}, shapes: map[uint64]*shape{}, newer: map[uint64]*engine.NewerError{}}
}

// record folds one record and shows its events up to the sequence until (0: all of them).
func (w *walker) record(r *journal.Record, until uint64) error {
	if n := w.newer[r.Run]; n != nil {
		n.Last, n.Events = r.Seq, r.N+uint64(r.Count)-1
	}
	if r.Run == 0 || w.newer[r.Run] != nil {
		return w.show(r, 0, until)
	}
	shown := 0
	s, err := fold.Record(w.states[r.Run], r, w.f.graph, func(s *replay.State, i int, e *event.Event) error {
		seq := r.Seq + uint64(i)
		if until != 0 && seq > until {
			return errStop
		}
		shown = i + 1
		return w.event(s, seq, r, i, e)
	})
	if s != nil {
		w.states[r.Run] = s
	}
	switch {
	case errors.Is(err, event.ErrFormat):
		n := engine.Newer(r.Run, err)
		n.Seq, n.Last, n.Events = r.Seq, r.Seq, r.N+uint64(r.Count)-1
		w.newer[r.Run] = n
		return w.show(r, shown, until)
	case errors.Is(err, errStop):
		s.EndRecord(r.Seq)
		return err
	case err != nil:
		return err
	}
	s.Released()
	return nil
}

// event shows an event that was folded.
func (w *walker) event(s *replay.State, seq uint64, r *journal.Record, i int, e *event.Event) error {
	if w.each == nil {
		return nil
	}
	w.f.ids[r.Run] = s.ID
	before := w.shapes[r.Run]
	if before == nil {
		before = shapeOf(replay.New(s.Graph))
		w.shapes[r.Run] = before
	}
	return w.each(engine.Show(seq, r.N+uint64(i), r.At, s.ID, s.Graph, e), s, before.follow(s, e))
}

// show shows a record's events from one on without folding them: the engine's own, and those of a run that is not understood.
func (w *walker) show(r *journal.Record, from int, until uint64) error {
	if w.each == nil {
		return nil
	}
	id, n := "", uint64(0)
	if r.Run != 0 {
		id, n = w.f.name(r.Run), r.N
	}
	return event.Read(r.Body, r.Count, func(i int, e *event.Event, opaque bool) error {
		seq := r.Seq + uint64(i)
		if i < from || until != 0 && seq > until {
			return nil
		}
		at := n
		if r.Run != 0 {
			at += uint64(i)
		}
		if opaque {
			return w.each(engine.Opaque(seq, at, r.At, id, e.Kind), nil, nil)
		}
		s := w.states[r.Run]
		if s == nil {
			return w.each(engine.Show(seq, at, r.At, id, nil, e), nil, nil)
		}
		return w.each(engine.Show(seq, at, r.At, id, s.Graph, e), nil, nil)
	})
}

var errStop = errors.New("stop")

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
		if was, is := b.steps[i], s.At(i).State; was != is {
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

// audit is what a look at a whole journal found.
type audit struct {
	bolt.Verified
	newer []newerRun
}

// newerRun is a run that a newer release wrote on.
type newerRun struct {
	Run    string `json:"run"`
	Seq    uint64 `json:"seq"` // the first record that is not understood
	Detail string `json:"detail"`
}

func (n *newerRun) String() string {
	return fmt.Sprintf("run %s: record %d was written by a newer release of agnt5d (%s); it is not damaged, and waits for that release", n.Run, n.Seq, n.Detail)
}

// verify looks at all of the journal as a start would: at every checksum and link, and at whether each run folds. A run of which
// something is damaged is not reported again for what follows from that.
func (f *file) verify(ctx context.Context, report func(journal.Damage)) (audit, error) {
	out := audit{newer: []newerRun{}}
	var err error
	hurt := map[uint64]bool{}
	out.Verified, err = f.Verify(ctx, func(d journal.Damage) {
		hurt[d.Run] = true
		report(d)
	})
	if err != nil {
		return out, err
	}
	w := newWalker(f)
	err = f.scan(0, 0, func(r *journal.Record) error {
		if r.Run == 0 || hurt[r.Run] {
			return ctx.Err()
		}
		known := w.newer[r.Run]
		err := w.record(r, 0)
		if n := w.newer[r.Run]; n != nil && known == nil {
			out.newer = append(out.newer, newerRun{f.name(r.Run), n.Seq, n.Why})
		}
		if s := w.states[r.Run]; s != nil && s.Status == replay.Completed && len(s.Outs) == 0 {
			delete(w.states, r.Run) // nothing more comes
		}
		var broken *fold.BrokenError
		if errors.As(err, &broken) {
			hurt[r.Run] = true
			if hurt[0] { // whose a damaged record is may not be known
				return ctx.Err()
			}
			out.Damages++
			report(journal.Damage{Seq: broken.Seq, Run: broken.Run, Kind: "history", Detail: broken.Why.Error()})
			return ctx.Err()
		}
		return err
	}, func(journal.Damage) error { return nil })
	return out, err
}
