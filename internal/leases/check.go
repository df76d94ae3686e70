package leases

import "fmt"

// Check says which of the rules in the doc of Hub is broken; nil: none.
func (h *Hub) Check() error {
	for _, look := range []func() string{h.checkSlots, h.checkQueues, h.checkHandlers, h.checkClocks} {
		if why := look(); why != "" {
			return fmt.Errorf("leases: invariant %s", why)
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
		if s.Session != nil && s.State != Queued && s.Worker != s.Session.ID || s.counted != s.with() && s.State != Answered {
			return fmt.Sprintf("2: %s names session %v, counted: %v", s, s.Session, s.counted)
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
		flows := map[*flowQueue]bool{}
		for _, w := range f.queue.flows.waiting() {
			if flows[w] || f.queue.byFlow[w.name] != w || w.runs.len() == 0 {
				return fmt.Sprintf("3: handler %s/%s: workflow %q has a turn of %d runs, and perhaps another", f.Service, f.Name, w.name, w.runs.len())
			}
			flows[w] = true
			for _, r := range w.runs.waiting() {
				turns[r]++
				if r.flow != w {
					return fmt.Sprintf("3: handler %s/%s: run %d has its turn in another workflow", f.Service, f.Name, r.run)
				}
			}
		}
		if len(flows) != len(f.queue.byFlow) {
			return fmt.Sprintf("3: handler %s/%s knows %d workflows, %d have a turn", f.Service, f.Name, len(f.queue.byFlow), len(flows))
		}
		sum := 0
		for run, r := range f.queue.byRun {
			sum += r.live
			if r.live != queued[f][run] || turns[r] != 1 {
				return fmt.Sprintf("3: handler %s/%s counts %d offers of run %d, want %d; it has %d turns", f.Service, f.Name, r.live, run, queued[f][run], turns[r])
			}
		}
		if sum != f.queue.n || len(turns) != len(f.queue.byRun) {
			return fmt.Sprintf("3: handler %s/%s counts %d offers, its runs have %d", f.Service, f.Name, f.queue.n, sum)
		}
	}
	return ""
}

func (h *Hub) checkHandlers() string {
	for k, f := range h.handlers {
		if k != (handlerKey{f.Service, f.Name}) || f.queue.n > 0 && !f.listed && !h.paused {
			return fmt.Sprintf("4: handler %s/%s stands under %s/%s; it has %d offers, which are known: %v", f.Service, f.Name, k.service, k.name, f.queue.n, f.listed)
		}
	}
	return ""
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
