package shard

import (
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
)

// How many runs, and with how many events, are deleted with one record: what a commit takes away is bounded.
const (
	deletedRuns   = 1000
	deletedEvents = 20_000
)

// Delete removes runs that have ended, with all that leads to them. It deletes a slice of them, and says how far it came.
type Delete struct {
	By     string   // who asks
	IDs    []string // at least one
	Reason string   // "": asked for
	Reply  func(Deleted, error)
}

// Deleted is what became of a slice.
type Deleted struct {
	Seen int   // so many of the ids were looked at
	Done int   // so many of them were deleted
	Err  error // why the first of the others was not
}

func (in *Delete) refuse(err error) { in.Reply(Deleted{}, err) }
func (in *Delete) asks()            {}

// slice is the ids that are looked at.
func (in *Delete) slice() []string { return in.IDs[:min(len(in.IDs), deletedRuns)] }

// admit waits for the end of the turn: what else came may have reopened a run.
func (in *Delete) admit(r *Shard) { r.atEnd(func() { in.delete(r) }) }

func (in *Delete) delete(r *Shard) {
	var got Deleted
	var heads []journal.Head
	events := uint64(0)
	for _, id := range in.slice() {
		h, err := r.deletable(id)
		if err == nil && len(heads) > 0 && events+h.Events > deletedEvents {
			break
		}
		got.Seen++
		switch {
		case err == nil:
			heads = append(heads, h)
			events += h.Events
			r.gone[id] = h.Run // not twice in a slice
		case got.Err == nil:
			got.Err = err
		}
	}
	if len(heads) > 0 && r.noRoom(in) {
		for i := range heads {
			delete(r.gone, heads[i].ID)
		}
		return
	}
	if got.Done = len(heads); got.Done > 0 {
		r.purge(heads, in.By, in.Reason)
	}
	r.tell(in, func(err error) { in.Reply(got, err) })
}

// deletable gives the head of a run that has ended for good.
func (r *Shard) deletable(id string) (journal.Head, error) {
	run, err := r.find(id)
	switch {
	case err == ErrAway:
	case err != nil:
		return journal.Head{}, err
	case !run.S.Status.Ended():
		return journal.Head{}, refusal.ErrRunOpen
	case run.S.Unwanted() > 0:
		return journal.Head{}, fmt.Errorf("%w: %d of its children have not", refusal.ErrRunOpen, run.S.Unwanted())
	case len(run.S.Outs) > 0:
		return journal.Head{}, fmt.Errorf("%w: an attempt of it is still out", refusal.ErrRunOpen)
	}
	var h journal.Head
	h.ID = id
	h.Run, h.LastSeq, h.Events, err = r.dead(id, run)
	return h, err
}

// dead gives the number of a run that has ended, in memory or not, and where it ended.
func (r *Shard) dead(id string, run *Run) (number, last, events uint64, err error) {
	if run != nil {
		if run.S.LastSeq > r.durable {
			err = fmt.Errorf("%w: its end has only just been recorded; ask again", refusal.ErrRunOpen)
		}
		return run.S.Run, run.S.LastSeq, run.S.Events, err
	}
	row, ok := r.needs.ids.row(id)
	switch {
	case !ok:
		return 0, 0, 0, errNotRead
	case row.headErr != nil:
		return 0, 0, 0, row.headErr
	case row.head.Run == 0:
		return 0, 0, 0, refusal.ErrRunNotFound
	}
	return row.Run, row.head.LastSeq, row.head.Events, nil
}

// purge takes runs out of the books and, with the turn's batch, out of the journal.
func (r *Shard) purge(heads []journal.Head, by, reason string) {
	if reason == "" {
		reason = "asked for"
	}
	var all []event.Deleted
	first := len(r.b.Purges)
	for i := range heads {
		h := &heads[i]
		delete(r.ids, h.ID)
		delete(r.runs, h.Run)
		r.gone[h.ID] = h.Run
		r.b.gone = append(r.b.gone, h.ID)
		all = append(all, event.Deleted{Run: h.Run, ID: h.ID, Last: h.LastSeq, Events: h.Events})
		r.b.Purges = append(r.b.Purges, journal.Purge{Run: h.Run, Until: r.now.Wall + r.cfg.TombstoneMS})
	}
	entry := r.system(event.Event{Kind: event.RunsDeleted, Payload: event.AppendDeleted(nil, all...), Message: reason, By: by})
	for i := range r.b.Purges[first:] {
		r.b.Purges[first+i].Entry = entry
	}
	r.b.Sweep = r.now.Wall
}

// sweepEvery is how often, in milliseconds, batches remove what deletions left behind and is over.
const sweepEvery = 1_000

// sweep lets the turn's batch, if there is one, remove the ids of deleted runs whose time is over, and what told of them.
func (r *Shard) sweep() {
	if r.b.Batch.Empty() || r.now.Mono < r.sweepAt {
		return
	}
	r.sweepAt = r.now.Mono + sweepEvery
	r.b.Sweep = r.now.Wall
}
