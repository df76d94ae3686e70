package archive

import (
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
)

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
		out[i] = model.Object{Key: row.Key, State: OrNull(row.State), Version: row.Version, Fence: row.Fence, Damaged: row.Damaged}
	}
	return out, nil
}
