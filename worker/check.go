package worker

import "fmt"

// Check says which of the rules in the doc of Hub is broken; nil: none.
func (h *Hub) Check() error {
	for _, look := range []func() string{h.checkSlots, h.checkSessions, h.checkQueues, h.checkHandlers, h.checkClocks, h.checkReady} {
		if why := look(); why != "" {
			return fmt.Errorf("worker: hub: invariant %s", why)
		}
	}
	return nil
}

func (s *Slot) String() string {
	return fmt.Sprintf("run %d step %d attempt %d (state %d, worker %q)", s.Run, s.Step, s.Attempt, s.State, s.Worker)
}

// with says that a session has the slot, or had it and has left.
func (s *Slot) with() bool { return s.State == Leased || s.State == Cancelled }

func (h *Hub) checkSlots() string {
	for k, s := range h.slots {
		if k != (slotKey{s.Run, s.Step}) || s.State == gone {
			return fmt.Sprintf("1: %s stands under run %d step %d", s, k.run, k.step)
		}
		if s.Session == nil {
			continue
		}
		if _, has := s.Session.Slots[s]; !has || !s.with() || s.Worker != s.Session.ID {
			return fmt.Sprintf("2: %s names session %q, which has it: %v", s, s.Session.ID, has)
		}
	}
	return ""
}

func (h *Hub) checkSessions() string {
	for id, s := range h.sessions {
		if id != s.ID {
			return fmt.Sprintf("2: session %q stands under %q", s.ID, id)
		}
		for slot := range s.Slots {
			if slot.Session != s || h.slots[slotKey{slot.Run, slot.Step}] != slot {
				return fmt.Sprintf("2: session %q has %s, which is not its own", id, slot)
			}
		}
	}
	return ""
}

func (h *Hub) checkQueues() string {
	queued := map[*Handler]map[uint64]int{}
	n := 0
	for _, s := range h.slots {
		if s.State != Queued {
			continue
		}
		n++
		if queued[s.Handler] == nil {
			queued[s.Handler] = map[uint64]int{}
		}
		queued[s.Handler][s.Run]++
		if s.run == nil || s.run.run != s.Run {
			return fmt.Sprintf("3: %s is in no queue", s)
		}
	}
	if n != h.queued {
		return fmt.Sprintf("3: %d offers are counted, want %d", h.queued, n)
	}
	for _, f := range h.handlers {
		turns := map[*runQueue]int{}
		for _, r := range f.queue.ring[f.queue.head:] {
			turns[r]++
		}
		sum := 0
		for run, r := range f.queue.byRun {
			sum += r.live
			if r.live != queued[f][run] || turns[r] != 1 {
				return fmt.Sprintf("3: handler %s/%s counts %d offers of run %d, want %d; it has %d turns", f.Service.Name, f.Name, r.live, run, queued[f][run], turns[r])
			}
		}
		if sum != f.queue.n || len(turns) != len(f.queue.byRun) {
			return fmt.Sprintf("3: handler %s/%s counts %d offers, its runs have %d", f.Service.Name, f.Name, f.queue.n, sum)
		}
	}
	return ""
}

func (h *Hub) checkHandlers() string {
	handlers, leased := map[*Service]int{}, map[*Service]int{}
	for k, f := range h.handlers {
		if k != (handlerKey{f.Service.Name, f.Name}) || h.services[f.Service.Name] != f.Service {
			return fmt.Sprintf("4: handler %s/%s stands under %s/%s", f.Service.Name, f.Name, k.service, k.name)
		}
		handlers[f.Service]++
		for _, s := range f.sessions {
			if h.sessions[s.ID] != s || count(s.Handlers, f) != 1 || count(f.sessions, s) != 1 {
				return fmt.Sprintf("4: handler %s/%s and session %q do not name each other once", f.Service.Name, f.Name, s.ID)
			}
		}
	}
	for _, s := range h.sessions {
		for _, f := range s.Handlers {
			if count(f.sessions, s) != 1 {
				return fmt.Sprintf("4: session %q serves %s/%s, which does not know", s.ID, f.Service.Name, f.Name)
			}
		}
	}
	for _, s := range h.slots {
		if s.with() {
			leased[s.Handler.Service]++
		}
	}
	for _, s := range h.services {
		if s.handlers != handlers[s] || s.leased != leased[s] {
			return fmt.Sprintf("4: service %q counts %d handlers and %d leases, want %d and %d", s.Name, s.handlers, s.leased, handlers[s], leased[s])
		}
	}
	return ""
}

func count[T comparable](list []T, x T) (n int) {
	for _, y := range list {
		if x == y {
			n++
		}
	}
	return n
}

func (h *Hub) checkClocks() string {
	first := map[*Slot]int64{}
	for i, e := range h.expiry {
		if i > 0 && h.expiry[(i-1)/2].at > e.at {
			return fmt.Sprintf("5: entry %d of the heap is out of order", i)
		}
		if at, ok := first[e.slot]; !ok || e.at < at {
			first[e.slot] = e.at
		}
	}
	for _, s := range h.slots {
		if at, ok := first[s]; s.with() && !s.over && s.due() != 0 && (!ok || at > s.due()) {
			return fmt.Sprintf("5: nobody looks at %s when its time %d is over", s, s.due())
		}
	}
	return ""
}

func (h *Hub) checkReady() string {
	for _, f := range h.handlers {
		if listed := count(h.ready, f); listed > 1 || f.listed != (listed == 1) {
			return fmt.Sprintf("6: handler %s/%s stands %d times in ready", f.Service.Name, f.Name, listed)
		}
		if f.queue.n == 0 || f.Full() || f.listed {
			continue
		}
		for _, s := range f.sessions {
			if s.Wants > 0 && len(s.Slots) < s.Capacity {
				return fmt.Sprintf("6: handler %s/%s has %d offers, session %q wants %d and has room, and nobody looks", f.Service.Name, f.Name, f.queue.n, s.ID, s.Wants)
			}
		}
	}
	return ""
}
