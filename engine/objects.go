package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
)

// Object gives one object key.
func (e *Engine) Object(ctx context.Context, key string) (Object, error) {
	if err := flow.ValidObjectKey(key); err != nil {
		return Object{}, badRequest("object key: %v", err)
	}
	row, _, err := e.j.Object(key)
	if d := (*journal.DamageError)(nil); errors.As(err, &d) {
		e.damaged(d.Damage)
		return Object{}, fmt.Errorf("object %q: %w; delete it, or restore a backup (%s)", key, refusal.ErrDamaged, d.Detail)
	}
	if err != nil {
		return Object{}, err
	}
	o := Object{Key: key, State: archive.OrNull(row.State), Version: row.Version, Fence: row.Fence}
	if !e.inspect(func(r *shard.Shard) { holders(&o, r) }) {
		return o, e.err()
	}
	return o, nil
}

func holders(o *Object, r *shard.Shard) {
	holder, queue, _ := r.Key(o.Key)
	o.Holder, o.Queue = nil, nil
	name := func(run uint64, step int32) Holder {
		if other := r.Peek(run); other != nil {
			return Holder{WorkflowID: other.S.ID, Step: other.S.Name(step)}
		}
		return Holder{}
	}
	if holder != nil {
		h := name(holder.Run, holder.Step)
		o.Holder = &h
		if other := r.Peek(holder.Run); other != nil && other.S.At(holder.Step).Fence > o.Fence {
			o.Fence = other.S.At(holder.Step).Fence
		}
	}
	for _, w := range queue {
		o.Queue = append(o.Queue, name(w.Run, w.Step))
	}
}

// Objects lists object keys that have state, or that a step holds or waits for, by key, after the key after; limit 0: 100.
func (e *Engine) Objects(ctx context.Context, prefix, after string, limit int) ([]Object, error) {
	if limit <= 0 {
		limit = 100
	}
	out, err := archive.Objects(e.j, prefix, after, limit)
	if err != nil {
		return nil, err
	}
	rows := out
	if !e.inspect(func(r *shard.Shard) {
		out = merge(rows, r.Keys(), prefix, after, limit)
		for i := range out {
			holders(&out[i], r)
		}
	}) {
		return nil, e.err()
	}
	return out, nil
}

// merge puts keys without state among the rows, by key.
func merge(rows []Object, keys []string, prefix, after string, limit int) []Object {
	out := slices.Clone(rows)
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) || k <= after {
			continue
		}
		if !slices.ContainsFunc(rows, func(o Object) bool { return o.Key == k }) {
			out = append(out, Object{Key: k, State: archive.OrNull(nil)})
		}
	}
	slices.SortFunc(out, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return out[:min(len(out), limit)]
}

// DeleteObject removes the state of an object key. While a step holds the key it is refused (ErrObjectHeld).
func (e *Engine) DeleteObject(ctx context.Context, key string) error {
	if err := flow.ValidObjectKey(key); err != nil {
		return badRequest("object key: %v", err)
	}
	return callErr(ctx, e, func(done func(error)) shard.Input { return &shard.DeleteObject{By: byOf(ctx), Key: key, Reply: done} })
}
