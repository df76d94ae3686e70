package archive

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
)

// History gives a run's events after the sequence after, in order, up to the record last. An error is the last that it gives.
func (a *Archive) History(h journal.Head, last, after uint64) iter.Seq2[model.Event, error] {
	return a.HistoryFrom(h, last, a.position(h.Run, after), after)
}

// HistoryFrom is History for who knows the position in the run from which on to read.
func (a *Archive) HistoryFrom(h journal.Head, last, n, after uint64) iter.Seq2[model.Event, error] {
	return func(yield func(model.Event, error) bool) {
		g, err := a.GraphOf(h.Run)
		if err != nil {
			yield(model.Event{}, err)
			return
		}
		for rec, err := range a.Run(h.Run, last, n) {
			more := true
			if err == nil {
				err = show(rec, named{h.ID, g}, func(ev model.Event) bool {
					if ev.Seq > after {
						more = yield(ev, nil)
					}
					return more
				})
			}
			if err != nil {
				yield(model.Event{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// position is the place in the run from which to read for events after a sequence. When that is not an event of the run, it is the
// run's start: what is not wanted is passed over.
func (a *Archive) position(run, after uint64) uint64 {
	if after < run {
		return 1
	}
	rec, err := a.j.Get(after)
	if err != nil || rec.Run != run {
		return 1
	}
	return rec.N
}

// Range picks events of the log.
type Range struct {
	After uint64 // events after this sequence
	Upto  uint64 // and up to the record that ends with this one: the last that is durable
}

// Events gives the events of a range in the order of the log. Damage is passed over, and so is a run that was deleted meanwhile or
// cannot be read. When all were given, Upto is what to go on after. An error is the last that it gives.
func (a *Archive) Events(ctx context.Context, r Range) iter.Seq2[model.Event, error] {
	return func(yield func(model.Event, error) bool) {
		more := true
		for rec, err := range a.Records(r.After) {
			if _, gap := Gap(err); gap { // reported by whoever owns it
				continue
			}
			if err == nil && rec.Seq > r.Upto {
				return
			}
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				more, err = a.showRecord(rec, &r, yield)
			}
			if err != nil {
				yield(model.Event{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

func (a *Archive) showRecord(rec *journal.Record, r *Range, yield func(model.Event, error) bool) (more bool, err error) {
	var run named
	if rec.Run != 0 {
		if run, err = a.named(rec.Run); err != nil {
			return true, nil
		}
	}
	more = true
	err = show(rec, run, func(ev model.Event) bool {
		if ev.Seq > r.After {
			more = yield(ev, nil)
		}
		return more
	})
	return more, err
}

var errEnough = errors.New("enough")

// show gives a record's events, each the caller's to keep, until fn says that it wants no more.
func show(rec *journal.Record, run named, fn func(model.Event) bool) error {
	err := event.Read(rec.Body, rec.Count, func(i int, e *event.Event, opaque bool) error {
		seq, n := place(rec, i)
		ev := Opaque(seq, n, rec.At, run.id, e.Kind)
		if !opaque {
			ev = Show(seq, n, rec.At, run.id, run.g, own(e))
		}
		if !fn(ev) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// place is the sequence of a record's event, and its position in the run.
func place(rec *journal.Record, i int) (seq, n uint64) {
	if rec.Run != 0 {
		n = rec.N + uint64(i)
	}
	return rec.Seq + uint64(i), n
}

// own gives an event that does not lie in its record.
func own(e *event.Event) *event.Event {
	c := *e
	c.Payload = slices.Clone(e.Payload)
	c.Objects = slices.Clone(e.Objects)
	for i := range c.Objects {
		c.Objects[i].State = slices.Clone(c.Objects[i].State)
	}
	return &c
}
