package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// parentOpen says whether the run of a head is the child of a run that has not ended.
func (e *Engine) parentOpen(h *journal.Head) bool {
	id := archive.ParentOf(h)
	if id == "" {
		return false
	}
	parent, err := e.archive.FindHead(id, e.o.Clock.Now().UnixMilli())
	return err == nil && !replay.RunState(parent.State).Ended()
}

// childrenAtOnce is how many children are looked for, and deleted, at a time.
const childrenAtOnce = 1_000

// deleteChildren deletes the children of a run that has ended, and theirs before them. A run that is open, or the child of an open one,
// is ErrRunOpen, and so is one of which a child is open that was not left alone. One that is not there has no children.
func (e *Engine) deleteChildren(ctx context.Context, run, reason string) error {
	h, err := e.archive.FindHead(run, e.o.Clock.Now().UnixMilli())
	if err != nil {
		return nil // who deletes it says why not
	}
	return e.deleteChildrenOf(ctx, &h, func(heads []journal.Head) error { return e.deleteHeads(ctx, heads, reason) })
}

// deleteHeads deletes runs, a slice after the other.
func (e *Engine) deleteHeads(ctx context.Context, heads []journal.Head, reason string) error {
	var runs []string
	for i := range heads {
		runs = append(runs, heads[i].ID)
	}
	for len(runs) > 0 {
		got, err := e.deleteSlice(ctx, runs, reason)
		if err != nil {
			return err
		}
		runs = runs[got.Seen:]
	}
	return nil
}

// deleteChildrenOf does that with what deletes runs.
func (e *Engine) deleteChildrenOf(ctx context.Context, h *journal.Head, remove func([]journal.Head) error) error {
	run := h.ID
	switch {
	case !replay.RunState(h.State).Ended():
		return nil // who deletes it says why not
	case e.parentOpen(h):
		return fmt.Errorf("%w: its parent, %q, has not, and may want it again", ErrRunOpen, archive.ParentOf(h))
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
		var ended []journal.Head
		for i := range page.Heads {
			c := &page.Heads[i]
			if !replay.RunState(c.State).Ended() {
				continue // it was left alone, or its parent waits for its end: that one says so
			}
			if err := e.deleteChildrenOf(ctx, c, remove); err != nil { // ErrRunOpen, too: one of its own has not ended
				return err
			}
			ended = append(ended, *c)
		}
		if err := remove(ended); err != nil {
			return err
		}
		if f.After = page.Next; f.After == (journal.HeadMark{}) {
			return nil
		}
	}
}

// deletable gives the runs that can be deleted, without their children.
func (e *Engine) deletable(ctx context.Context, runs []string, reason string) ([]string, error) {
	left := make([]string, 0, len(runs))
	for _, run := range runs {
		switch err := e.deleteChildren(ctx, run, reason); {
		case errors.Is(err, ErrRunOpen):
		case err != nil:
			return nil, err
		default:
			left = append(left, run)
		}
	}
	return left, nil
}
