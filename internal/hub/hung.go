package hub

import (
	"cmp"
	"slices"

	"github.com/agnt5/agnt5d/internal/leases"
)

// A worker's heartbeats name every attempt whose handler has not returned. One that is over here and is named again and again
// has a handler that hangs: it takes up a place at the worker, and nobody but the worker can end it.

// over is when a session first and last named an attempt that is over, in monotonic ms.
type over struct{ first, last int64 }

// named keeps what a heartbeat named although it is over.
func (s *Session) named(gone []leases.Token, now int64) {
	for _, t := range gone {
		if s.overs == nil {
			s.overs = map[leases.Token]over{}
		}
		o, known := s.overs[t]
		if !known {
			o.first = now
		}
		o.last = now
		s.overs[t] = o
	}
}

// Hung is an attempt that is over, and whose handler has not returned.
type Hung struct {
	leases.Token
	Since int64 // monotonic ms: when the worker first named it after its end
}

// Hung gives the attempts that are over, and whose handlers the worker still runs: two heartbeats have named them, the last one
// within a lease.
func (h *Hub) Hung(s *Session, now int64) []Hung {
	if len(s.overs) == 0 {
		return nil
	}
	held := make(map[leases.Token]bool, len(s.leases))
	for _, slot := range s.leases { // its answer is waited for, for its keys: it is shown as running
		held[leases.Token{Run: slot.Run, Step: slot.Step, Attempt: slot.Attempt}] = true
	}
	var all []Hung
	for t, o := range s.overs {
		switch {
		case now-o.last > h.cfg.LeaseMS:
			delete(s.overs, t)
		case o.last-o.first >= h.cfg.LeaseMS/6 && !held[leases.Token{Run: t.Run, Step: t.Step, Attempt: t.Attempt}]:
			all = append(all, Hung{t, o.first})
		}
	}
	slices.SortFunc(all, func(a, b Hung) int {
		return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Attempt, b.Attempt))
	})
	return all
}

// HungFor counts the hung handlers of the sessions that serve the handler, and how many tasks those may have at once.
func (h *Hub) HungFor(f *Handler) (hung, capacity int) {
	for _, s := range f.sessions {
		hung += len(h.Hung(s, h.now.Mono))
		capacity += s.Capacity
	}
	return hung, capacity
}
