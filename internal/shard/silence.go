package shard

import (
	"encoding/json"
	"errors"

	"github.com/agnt5/agnt5d/journal"
)

// After a restart nobody knows whether the workers of before still live: their leases run on, for one lease from the restart,
// in which they may come back. That must not begin anew with each restart, or the attempts of a dead worker are never lost
// while restarts come faster than a lease. So the time for which the engine has run without a worker since the first start after
// it was last heard of is counted over all starts, and a start gives what is left. It is the engine's own running time: how
// long it was down, and what the wall clock did meanwhile, does not count.
//
// It is counted in tenths of a lease, each begun one whole, and a tenth is on disk before it is over. So a dead worker's
// attempts are lost when the engine has run for one lease, and at the eleventh start at the latest, however fast they come.
const (
	silenceRow   = "shard/silence" // JSON: worker id -> tenths
	silenceParts = 10
)

// silence is how long each worker that has leases from before the restart has not been heard of.
type silence struct {
	parts map[string]int64 // by worker: the tenths begun
	at    int64            // monotonic ms: when the next begins; 0: never
}

// readSilence reads what earlier starts have counted. A row that cannot be read is a count that is lost: it begins anew.
func (r *Shard) readSilence() {
	r.silence = silence{parts: map[string]int64{}}
	rows, err := r.j.Rows(silenceRow)
	for _, row := range rows {
		switch {
		case err != nil || row.Key != silenceRow:
		case row.Damaged != "":
			err = errors.New(row.Damaged)
		default:
			err = json.Unmarshal(row.Value, &r.silence.parts)
		}
	}
	if err != nil {
		r.silence.parts = map[string]int64{}
		if r.cfg.Damage != nil {
			r.cfg.Damage(journal.Damage{Kind: "setting", Detail: silenceRow + ": " + err.Error()})
		}
	}
}

// leaseLeft is how long an attempt of the worker lives without a sign of it, in ms.
func (r *Shard) leaseLeft(name string) int64 {
	return r.cfg.LeaseMS * max(silenceParts-r.silence.parts[name], 0) / silenceParts
}

// beginSilence counts the first tenth of this start for every worker whose leases it took over, and forgets the others.
func (r *Shard) beginSilence() {
	before := r.silence.parts
	r.silence.parts = map[string]int64{}
	for _, slot := range r.Hub.Leases() {
		if !slot.Local && slot.Session == nil {
			r.silence.parts[slot.Worker] = before[slot.Worker] + 1
		}
	}
	if len(before)+len(r.silence.parts) > 0 {
		r.writeSilence()
	}
}

// takeSilence counts the next tenth when it begins. Who has been silent for a whole lease has nothing left that counts.
func (r *Shard) takeSilence() {
	if r.silence.at == 0 || r.silence.at > r.now.Mono {
		return
	}
	for name, n := range r.silence.parts {
		if n >= silenceParts {
			delete(r.silence.parts, name)
		} else {
			r.silence.parts[name] = n + 1
		}
	}
	r.writeSilence()
}

// heard says that the worker is there: its leases run as long as it renews them.
func (r *Shard) heard(name string) {
	if _, silent := r.silence.parts[name]; silent {
		delete(r.silence.parts, name)
		r.writeSilence()
	}
}

func (r *Shard) writeSilence() {
	row := journal.Row{Key: silenceRow}
	r.silence.at = 0
	if len(r.silence.parts) > 0 {
		row.Value, _ = json.Marshal(r.silence.parts) // a map of numbers
		r.silence.at = r.now.Mono + max(r.cfg.LeaseMS/silenceParts, 1)
	}
	r.b.Rows = append(r.b.Rows, row)
}
