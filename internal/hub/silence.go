package hub

import (
	"cmp"
	"slices"

	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/shard"
)

// NextWake is when the hub must turn although nothing comes.
func (h *Hub) NextWake() shard.Wake {
	h.wakeAt = h.sweepAt
	return shard.Wake{Mono: h.sweepAt}
}

// look says that sessions must be looked at then.
func (h *Hub) look(at int64) {
	if h.sweepAt == 0 || at < h.sweepAt {
		h.sweepAt = at
	}
}

// Heard is when a session was last heard of, in ms.
type Heard struct {
	Worker string
	Silent int64 // since then; 0: its connection is open, or it is this process
	Left   int64 // until it counts as gone
	Late   bool  // a sign of life is overdue
}

// Heard gives the sessions that serve the handler, the one that has been silent for longest first.
func (f *Handler) Heard(now int64) []Heard {
	all := make([]Heard, 0, len(f.sessions))
	for _, s := range f.sessions {
		one := Heard{Worker: s.ID}
		if !s.Local && !s.Waiting() {
			one.Silent = now - s.LastSeen
			one.Left = s.leaseMS - one.Silent
			one.Late = one.Silent > s.leaseMS/2
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b Heard) int { return cmp.Compare(b.Silent, a.Silent) })
	return all
}

// sweep answers the polls that have waited long enough, and closes sessions that have not been heard of.
func (h *Hub) sweep() {
	if h.sweepAt == 0 || h.sweepAt > h.now.Mono {
		return
	}
	h.sweepAt = 0
	for _, s := range h.Sessions() {
		switch x := &s.talk; {
		case s.Local:
		case x.state == waiting && x.until <= h.now.Mono:
			s.LastSeen = h.now.Mono
			h.news(s)
			h.look(h.now.Mono + h.cfg.LeaseMS)
		case x.state == waiting:
			s.LastSeen = h.now.Mono
			h.look(x.until)
		case x.state == settling: // it is answered when its outcomes are durable
			s.LastSeen = h.now.Mono
			h.look(h.now.Mono + h.cfg.LeaseMS)
		case s.LastSeen+h.cfg.LeaseMS > h.now.Mono:
			h.look(s.LastSeen + h.cfg.LeaseMS)
		case h.full > 0: // that what it had is lost could not be recorded
			h.look(h.now.Mono + h.cfg.LeaseMS/8 + 1)
		default:
			h.close(s, failure.WorkerSilent, func(error) {})
		}
	}
}

// forgive gives every session the time in which the hub did not turn although something was due: the process was stopped, or
// starved. Signs of life lie unread then, and workers must not pay for that.
func (h *Hub) forgive() {
	last, planned := h.turnedAt, h.wakeAt
	h.turnedAt, h.wakeAt = h.now.Mono, 0
	if planned == 0 || h.now.Mono-max(last, planned) < h.cfg.LeaseMS/8 {
		return
	}
	lost := h.now.Mono - last
	for _, s := range h.sessions {
		s.LastSeen += lost
	}
	if h.sweepAt != 0 {
		h.sweepAt += lost
	}
}
