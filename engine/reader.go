package engine

import (
	"context"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Reader shows what a journal holds that no engine has open.
type Reader struct{ e *Engine }

// NewReader reads j, which stays the caller's.
func NewReader(j journal.Log) *Reader {
	return &Reader{&Engine{o: Options{}.withDefaults(), j: j}}
}

// Status gives a run whose state the caller has folded. Who works on it only an engine knows.
func (r *Reader) Status(s *replay.State) (*Status, error) {
	return r.e.status(&look{s: s, reasons: r.Explain(s)}, statusOptions{steps: "all"})
}

// Waiting gives a run that a newer release wrote on. s is what its events say that are understood; nil: none is.
func (r *Reader) Waiting(id string, s *replay.State, why *NewerError) (*Status, error) {
	h, err := r.e.head(id)
	if err != nil {
		return nil, err
	}
	return r.e.status(newerLookOf(id, s, h, why), statusOptions{steps: "all"})
}

// Explain says why a run would not move if an engine opened the file now, without any worker.
func (r *Reader) Explain(s *replay.State) []Reason {
	return reasons(shard.New(shard.Config{Journal: r.e.j}), &shard.Run{S: s})
}

// List gives runs, newest first.
func (r *Reader) List(f ListFilter) ([]RunHead, error) { return r.e.List(context.Background(), f) }

// Objects lists object keys that have state.
func (r *Reader) Objects(prefix, after string, limit int) ([]Object, error) {
	rows, err := r.e.j.Objects(prefix, after, limit)
	if err != nil {
		return nil, err
	}
	return objectsOf(rows), nil
}

func objectsOf(rows []journal.Object) []Object {
	out := make([]Object, len(rows))
	for i, row := range rows {
		out[i] = Object{Key: row.Key, State: orNull(row.State), Version: row.Version, Fence: row.Fence}
	}
	return out
}
