package shard

import "github.com/agnt5/agnt5d/worker"

// LocalBeat is a heartbeat of a handler in this process.
type LocalBeat struct {
	Slot    *worker.Slot
	Details []byte
}

func (in *LocalBeat) reads() {}

func (in *LocalBeat) admit(r *Shard) {
	if in.Slot.State == worker.Leased {
		r.Hub.Beat(in.Slot, r.now.Mono, true, in.Details)
	}
}

// Serve says how this process runs a handler. It reports false when it does already.
func (r *Shard) Serve(service, name string, fn worker.Func) bool {
	h := r.Hub.Handler(service, name)
	if h.Local != nil {
		return false
	}
	h.Local = fn
	return true
}
