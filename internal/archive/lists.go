package archive

import (
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// Runs gives the runs that a filter picks, newest first.
func Runs(j interface {
	Heads(journal.HeadFilter) ([]journal.Head, error)
}, f journal.HeadFilter) ([]model.RunHead, error) {
	heads, err := j.Heads(f)
	if err != nil {
		return nil, err
	}
	out := make([]model.RunHead, len(heads))
	for i := range heads {
		h := &heads[i]
		out[i] = model.RunHead{WorkflowID: h.ID, WorkflowName: h.Workflow, Version: h.Version, State: replay.RunState(h.State).String(),
			CreatedAt: rfc3339.Format(h.CreatedAt), Skipped: h.Skipped, Error: h.Failed, Number: h.Run}
		if h.EndedAt != 0 {
			out[i].CompletedAt = rfc3339.Format(h.EndedAt)
		}
	}
	return out, nil
}

// Objects lists up to limit (0: all) object keys that have state, by key: those that begin with prefix and come after a key.
func Objects(j interface {
	Objects(prefix, after string, limit int) ([]journal.Object, error)
}, prefix, after string, limit int) ([]model.Object, error) {
	rows, err := j.Objects(prefix, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]model.Object, len(rows))
	for i, row := range rows {
		out[i] = model.Object{Key: row.Key, State: OrNull(row.State), Version: row.Version, Fence: row.Fence}
	}
	return out, nil
}
