package shard

import "github.com/agnt5/agnt5d/internal/leases"

// Wake is when the shard must turn although nothing comes. Zero: never.
type Wake struct {
	Wall int64 // Unix ms
	Mono int64 // monotonic ms
}

// NextWake gives it.
func (r *Shard) NextWake() Wake {
	var w Wake
	if e, ok := r.due.Peek(); ok && r.needs.dozes < DueLimit { // else it comes when those have been read that came before it
		w.Wall = e.Due
	}
	if due := r.nextSchedule(); due != 0 && (w.Wall == 0 || due < w.Wall) {
		w.Wall = due
	}
	early := func(at int64) {
		if w.Mono == 0 || at < w.Mono {
			w.Mono = at
		}
	}
	if at, ok := r.Hub.NextExpiry(); ok {
		early(at)
	}
	for r.first < len(r.starts) && (r.starts[r.first].Journaled || r.starts[r.first].State != leases.Leased) {
		r.starts[r.first] = nil
		r.first++
	}
	if r.first < len(r.starts) {
		early(r.starts[r.first].StartedMono + startWithin)
	}
	if len(r.grants) > 0 || r.nursery.waits() && !r.full || len(r.parking) > 0 || len(r.retold) > 0 && !r.toldWaits && len(r.flying) == 0 || len(r.needs.due) > 0 ||
		len(r.ready) > 0 && !r.catching || len(r.work) > 0 && !r.full {
		early(r.now.Mono)
	}
	if at := r.nextRelease(); at != 0 {
		early(at)
	}
	r.wakeAt = w.Mono
	if r.silence.at != 0 { // nobody loses anything when it is counted late
		early(r.silence.at)
	}
	return w
}

// forgive gives every lease the time in which the shard did not turn although something was due: the process was stopped, or
// starved. Signs of life lie unread then, and workers must not pay for that.
func (r *Shard) forgive() {
	last, planned := r.turnedAt, r.wakeAt
	r.turnedAt, r.wakeAt = r.now.Mono, 0
	if planned == 0 || r.now.Mono-max(last, planned) < r.cfg.LeaseMS/8 {
		return
	}
	lost := r.now.Mono - last
	r.Hub.Postpone(lost)
	if r.silence.at != 0 {
		r.silence.at += lost
	}
}
