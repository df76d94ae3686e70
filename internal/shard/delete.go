package shard

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// How many runs, and with how many events, are deleted with one record: what a commit takes away is bounded.
const (
	deletedRuns   = 1000
	deletedEvents = 20_000
)

// Delete removes runs that have ended, with all that leads to them. It deletes a slice of them, and says how far it came.
type Delete struct {
	By     string            // who asks
	IDs    []string          // at least one
	With   map[string]string // of those that go for they stand below another run: that run. It stands behind all of them, if not in this slice
	Reason string            // "": asked for
	Reply  func(Deleted, error)
}

// Deleted is what became of a slice.
type Deleted struct {
	Seen int             // so many of the ids were looked at
	Done int             // so many of them were deleted that go for themselves
	Kept map[string]bool // runs that must stay, for one that stands below them did
	Err  error           // why the first of the others was not deleted
}

func (in *Delete) refuse(err error) { in.Reply(Deleted{}, err) }
func (in *Delete) asks()            {}

// slice is the ids that are looked at.
func (in *Delete) slice() []string { return in.IDs[:min(len(in.IDs), deletedRuns)] }

// admit waits for the end of the turn: what else came may have reopened a run.
func (in *Delete) admit(r *Shard) { r.atEnd(func() { in.delete(r) }) }

func (in *Delete) delete(r *Shard) {
	got := Deleted{Kept: map[string]bool{}}
	var heads []journal.Head
	events := uint64(0)
	behind := map[string]bool{}
	for _, id := range in.slice() {
		h, err := in.deletable(r, id, got.Kept)
		if err == nil && len(heads) > 0 && events+h.Events > deletedEvents {
			break
		}
		got.Seen++
		top := in.With[id]
		switch {
		case err == nil:
			heads = append(heads, h)
			events += h.Events
			if top == "" {
				got.Done++
			} else {
				r.above(id, top, behind)
			}
			r.gone[id] = h.Run // not twice in a slice
		case top != "" && (errors.Is(err, refusal.ErrRunNotFound) || errors.Is(err, refusal.ErrRunExpired)): // so it is gone, as it shall be
		default:
			if top != "" {
				got.Kept[top] = true
				err = refusal.OfRun(id, err)
			}
			got.Err = cmp.Or(got.Err, err)
		}
	}
	if len(heads) > 0 && r.noRoom(in) {
		for i := range heads {
			delete(r.gone, heads[i].ID)
		}
		return
	}
	if len(heads) > 0 {
		r.begins(behind, in.Reason)
		r.purge(heads, in.By, in.Reason)
	}
	r.tell(in, func(err error) { in.Reply(got, err) })
}

// deletable gives the head of a run that has ended for good, as has the one with which it goes, and all above them.
func (in *Delete) deletable(r *Shard, id string, kept map[string]bool) (journal.Head, error) {
	h, err := r.deletable(id)
	if err == nil {
		err = r.mayWant(id)
	}
	if err == nil && kept[id] {
		err = fmt.Errorf("%w: one that stands below it has not", refusal.ErrRunOpen)
	}
	top := in.With[id]
	if err != nil || top == "" {
		return h, err
	}
	switch _, err = r.deletable(top); {
	case kept[top]:
		err = fmt.Errorf("%w: one that goes with it has not", refusal.ErrRunOpen)
	case errors.Is(err, refusal.ErrRunNotFound), errors.Is(err, refusal.ErrRunExpired): // it is gone already
		err = nil
	case err != nil:
		err = fmt.Errorf("it goes with %q: %w", top, err)
	default:
		err = r.mayWant(top)
	}
	return h, err
}

// mayWant says that a run above this one is open: it may want the one below again.
func (r *Shard) mayWant(id string) error {
	for range replay.MaxDepth {
		if id = r.parentID(id); id == "" {
			return nil
		}
		if r.isOpen(id) {
			return fmt.Errorf("%w: %q, which stands above it, has not, and may want it again", refusal.ErrRunOpen, id)
		}
	}
	return nil
}

// parentID gives the id of the parent of a run; "": it has none, or is gone. needAbove has asked.
func (r *Shard) parentID(id string) string {
	if run := r.ids[id]; run != nil {
		if run.S.Parent == nil {
			return ""
		}
		return run.S.Parent.ID
	}
	if row, ok := r.needs.ids.row(id); ok && r.gone[id] == 0 {
		return archive.ParentOf(&row.head)
	}
	return ""
}

// isOpen says whether the run of an id has not ended, or nobody knows.
func (r *Shard) isOpen(id string) bool {
	if run := r.ids[id]; run != nil {
		return !run.S.Status.Ended()
	}
	if r.gone[id] != 0 {
		return false
	}
	row, ok := r.needs.ids.row(id)
	switch {
	case !ok:
		return true
	case row.err != nil, !row.known, row.Until != 0, row.headErr != nil, row.head.Run == 0:
		return false
	}
	_, parked := r.parked[row.Run]
	return parked || r.newer[row.Run] != nil || !replay.RunState(row.head.State).Ended()
}

// needAbove says whether it is known what stands above a run, and asks if not.
func (r *Shard) needAbove(id string) bool {
	for range replay.MaxDepth {
		if !r.needRow(id) {
			return false
		}
		if id = r.parentID(id); id == "" {
			break
		}
	}
	return true
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
		if r.deleting[h.ID] {
			delete(r.deleting, h.ID)
			r.b.Rows = append(r.b.Rows, journal.Row{Key: deletingRow(h.Run)})
		}
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

// DeletingRows are the keys of the runs whose deletion has begun: runs below them are gone, and they are not. So they must not go on, as
// those would begin anew. The row goes with the run.
const DeletingRows = "deleting/"

func deletingRow(run uint64) string { return DeletingRows + fmt.Sprintf("%016x", run) }

// Deleting is the value of such a row.
type Deleting struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

// above adds the runs above one, up to that of which it is told.
func (r *Shard) above(id, top string, all map[string]bool) {
	for id != top {
		if id = r.parentID(id); id == "" {
			return
		}
		all[id] = true
	}
}

// begins marks those of the runs that are not deleted in the same turn.
func (r *Shard) begins(behind map[string]bool, reason string) {
	for _, id := range slices.Sorted(maps.Keys(behind)) {
		number := uint64(0)
		if run := r.ids[id]; run != nil {
			number = run.S.Run
		} else if row, ok := r.needs.ids.row(id); ok && row.Until == 0 { // 0: somebody has deleted it before
			number = row.head.Run
		}
		if number == 0 || r.gone[id] != 0 || r.deleting[id] {
			continue
		}
		value, err := json.Marshal(Deleting{id, reason})
		if err != nil {
			r.fail(err)
			return
		}
		r.deleting[id] = true
		r.b.Rows = append(r.b.Rows, journal.Row{Key: deletingRow(number), Value: value})
	}
}

// readDeleting reads which runs these are.
func (r *Shard) readDeleting() error {
	return r.readEach(DeletingRows, "the deletion of a run has begun", "delete that run, and do not retry it", func(value []byte) error {
		var d Deleting
		if err := json.Unmarshal(value, &d); err != nil {
			return err
		}
		r.deleting[d.ID] = true
		return nil
	})
}

// Deleting is why a run does not go on whose deletion has begun; nil: it has not.
func (r *Shard) Deleting(id string) error {
	if r.deleting[id] {
		return &archive.DeletingError{}
	}
	return nil
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
