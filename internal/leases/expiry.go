package leases

import "github.com/agnt5/agnt5d/internal/heap"

// Why says why a lease ended without an answer.
type Why uint8

const (
	LeaseExpired     Why = iota + 1 // no sign of life from the worker: the attempt is lost
	AttemptTimeout                  // the attempt is over its timeout_ms: it failed
	HeartbeatTimeout                // the handler's own heartbeats stopped: it failed
)

// expiryHeap is a heap that holds when each lease must be looked at next; a lease that was renewed meanwhile is put in again.
type expiryHeap []expiry

type expiry struct {
	at   int64
	slot *Slot
}

func (e expiry) Before(o expiry) bool { return e.at < o.at }

// due is when the slot must be looked at: the earliest of its clocks; once its run has ended only the lease counts. 0: never.
func (s *Slot) due() int64 {
	if s.State == Cancelled {
		return s.Expires
	}
	var at int64
	for _, t := range [...]int64{s.Expires, s.Deadline, s.BeatBy} {
		if t != 0 && (at == 0 || t < at) {
			at = t
		}
	}
	return at
}

func (h *Hub) schedule(s *Slot) {
	at := s.due()
	s.over = false
	if at == 0 {
		return
	}
	h.expiry = heap.Push(h.expiry, expiry{at, s})
}

func (h *Hub) popExpiry() *Slot {
	e, top := heap.Pop(h.expiry)
	h.expiry = e
	return top.slot
}

// NextExpiry is when Expire has something to look at, in monotonic ms. ok is false when there is nothing.
func (h *Hub) NextExpiry() (int64, bool) {
	for len(h.expiry) > 0 && h.expiry[0].slot.State != Leased && h.expiry[0].slot.State != Cancelled {
		h.popExpiry()
	}
	if len(h.expiry) == 0 {
		return 0, false
	}
	return h.expiry[0].at, true
}

// Postpone moves every clock of every lease by d ms.
func (h *Hub) Postpone(d int64) {
	for _, s := range h.slots {
		for _, at := range []*int64{&s.Expires, &s.Deadline, &s.BeatBy} {
			if *at != 0 {
				*at += d
			}
		}
	}
}

// Expire reports each lease whose time is over. The lease stands until the caller releases it.
func (h *Hub) Expire(now int64, over func(*Slot, Why)) {
	for len(h.expiry) > 0 && h.expiry[0].at <= now {
		s := h.popExpiry()
		if s.State != Leased && s.State != Cancelled {
			continue
		}
		why := Why(0)
		switch {
		case s.Deadline != 0 && s.Deadline <= now && s.State == Leased:
			why = AttemptTimeout
		case s.BeatBy != 0 && s.BeatBy <= now && s.State == Leased:
			why = HeartbeatTimeout
		case s.Expires != 0 && s.Expires <= now:
			why = LeaseExpired
		}
		if why == 0 {
			h.schedule(s)
			continue
		}
		s.over = true
		over(s, why)
	}
}
