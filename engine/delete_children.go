package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// parentOf gives the head of the parent of a head's run; false: it has none, or that one is gone.
func (e *Engine) parentOf(h *journal.Head) (journal.Head, bool) {
	id := archive.ParentOf(h)
	if id == "" {
		return journal.Head{}, false
	}
	parent, err := e.archive.FindHead(id, e.o.Clock.Now().UnixMilli())
	return parent, err == nil
}

// childrenAtOnce is how many children are looked for at a time, and about how many runs are gathered before they are deleted.
const childrenAtOnce = 1_000

// doomed is a run that is to be deleted.
type doomed struct {
	id     string
	events uint64
	with   string // the run whose deletion takes it along, which stands behind it; "": it goes for itself
}

// gathering collects runs that are to be deleted, each behind those below it, and deletes them when there are many. What goes with a run
// goes right before it: between the two, that run cannot go on (shard.DeletingRows).
type gathering struct {
	e      *Engine
	remove func([]doomed) error
	list   []doomed
	times  int // that it has removed some
}

// add gathers a run with what stands below it. A run that is the child of an open one is ErrRunOpen, and so is one of which a child is open
// that was not left alone. Of one that has not ended, or is not there, who deletes it says why not.
func (g *gathering) add(ctx context.Context, id string) error {
	h, err := g.e.archive.FindHead(id, g.e.o.Clock.Now().UnixMilli())
	if err != nil {
		h = journal.Head{ID: id}
	}
	return g.addHead(ctx, &h)
}

func (g *gathering) addHead(ctx context.Context, h *journal.Head) error {
	n, times := len(g.list), g.times
	if err := g.below(ctx, h, h.ID); err != nil {
		if g.times == times { // nothing of it was deleted: all stays
			g.list = g.list[:n]
		} else {
			g.list = g.list[:0]
		}
		return err
	}
	return g.put(doomed{h.ID, h.Events, ""})
}

func (g *gathering) put(d doomed) error {
	if g.list = append(g.list, d); len(g.list) < childrenAtOnce {
		return nil
	}
	return g.flush()
}

// flush deletes what was gathered.
func (g *gathering) flush() error {
	list := g.list
	g.list = nil
	g.times++
	if len(list) == 0 {
		return nil
	}
	return g.remove(list)
}

// below gathers what stands below a run, to go with the run top.
func (g *gathering) below(ctx context.Context, h *journal.Head, top string) error {
	e, run := g.e, h.ID
	if !replay.RunState(h.State).Ended() {
		return nil // who deletes it says why not
	}
	if parent, has := e.parentOf(h); has && !replay.RunState(parent.State).Ended() {
		return fmt.Errorf("%w: its parent, %q, has not, and may want it again", ErrRunOpen, parent.ID)
	}
	f := journal.HeadFilter{Tags: []string{archive.ChildTag(run)}, Limit: childrenAtOnce}
	page, err := e.j.Heads(f)
	if err != nil || len(page.Heads) == 0 && page.Next == (journal.HeadMark{}) {
		return err
	}
	open := 0
	err = callErr(ctx, e, func(done func(error)) shard.Input {
		return &shard.Query{ID: run, Reply: done, Read: func(_ *shard.Shard, r *shard.Run) { open = r.S.Unwanted() }}
	})
	switch {
	case err == nil && open > 0:
		return fmt.Errorf("%w: %d of its children have not", ErrRunOpen, open)
	case err != nil && !errors.Is(err, shard.ErrAway):
		return nil // who deletes it says why not
	}
	for {
		if page, err = e.j.Heads(f); err != nil {
			return err
		}
		for i := range page.Heads {
			c := &page.Heads[i]
			if !replay.RunState(c.State).Ended() {
				continue // it was left alone, or its parent waits for its end: that one says so
			}
			if err := g.below(ctx, c, top); err != nil { // ErrRunOpen, too: one of its own has not ended
				return err
			}
			if err := g.put(doomed{c.ID, c.Events, top}); err != nil {
				return err
			}
		}
		if f.After = page.Next; f.After == (journal.HeadMark{}) {
			return nil
		}
	}
}

// deleteAll deletes runs, a slice after the other, and says how many went for themselves, and why the first of the others did not.
func (e *Engine) deleteAll(ctx context.Context, all []doomed, reason string) (done int, why, err error) {
	for len(all) > 0 {
		var got shard.Deleted
		if got, all, err = e.deleteSlice(ctx, all, len(all), reason); err != nil {
			return done, why, err
		}
		done += got.Done
		why = cmp.Or(why, got.Err)
	}
	return done, why, nil
}

// deleteSlice deletes some of the first most of the runs, and gives those that are left: not those of a run that must stay.
func (e *Engine) deleteSlice(ctx context.Context, all []doomed, most int, reason string) (got shard.Deleted, left []doomed, err error) {
	var ids []string
	with := map[string]string{}
	for _, d := range all[:min(most, len(all))] {
		ids = append(ids, d.id)
		if d.with != "" {
			with[d.id] = d.with
		}
	}
	type answer struct {
		got shard.Deleted
		err error
	}
	a, err := call(ctx, e, func(done func(answer)) shard.Input {
		return &shard.Delete{By: byOf(ctx), IDs: ids, With: with, Reason: reason, Reply: func(got shard.Deleted, err error) { done(answer{got, err}) }}
	})
	if err = cmp.Or(err, a.err); err != nil {
		return a.got, nil, err
	}
	left = all[a.got.Seen:]
	if len(a.got.Kept) > 0 {
		left = slices.DeleteFunc(left, func(d doomed) bool { return a.got.Kept[d.id] || a.got.Kept[d.with] })
	}
	return a.got, left, nil
}

// deletionsBegun gives the runs whose deletion has begun and has not come to an end, for the daemon was killed or who asked has gone, say.
func (e *Engine) deletionsBegun() ([]shard.Deleting, error) {
	rows, err := e.j.Rows(shard.DeletingRows)
	var all []shard.Deleting
	for _, row := range rows {
		var d shard.Deleting
		if row.Damaged == "" && json.Unmarshal(row.Value, &d) == nil { // the start has told of the others
			all = append(all, d)
		}
	}
	return all, err
}
