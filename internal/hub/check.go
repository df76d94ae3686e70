package hub

import (
	"fmt"
	"slices"
)

// Check says which of the rules in the doc of Hub is broken; nil: none. Tests call it, a running engine does not.
func (h *Hub) Check() error {
	for _, look := range []func() string{h.checkHandlers, h.checkPolls, h.checkBounds, h.checkReady} {
		if why := look(); why != "" {
			return fmt.Errorf("hub: invariant %s", why)
		}
	}
	return nil
}

func count[T comparable](list []T, x T) (n int) {
	for _, y := range list {
		if x == y {
			n++
		}
	}
	return n
}

func (h *Hub) checkHandlers() string {
	for k, f := range h.handlers {
		if k != (handlerKey{f.Service, f.Name}) {
			return fmt.Sprintf("1: handler %s/%s stands under %s/%s", f.Service, f.Name, k.service, k.name)
		}
		for _, s := range f.sessions {
			if h.sessions[s.ID] != s || count(s.Handlers, f) != 1 || count(f.sessions, s) != 1 {
				return fmt.Sprintf("1: handler %s/%s and session %q do not name each other once", f.Service, f.Name, s.ID)
			}
		}
	}
	for id, s := range h.sessions {
		if id != s.ID || s.gone {
			return fmt.Sprintf("1: session %q stands under %q, gone: %v", s.ID, id, s.gone)
		}
		for _, f := range s.Handlers {
			if count(f.sessions, s) != 1 || h.handlers[handlerKey{f.Service, f.Name}] != f {
				return fmt.Sprintf("1: session %q serves %s/%s, which does not know", s.ID, f.Service, f.Name)
			}
		}
	}
	return ""
}

func (h *Hub) checkPolls() string {
	for _, s := range h.sessions {
		x := &s.talk
		waits := x.state == settling || x.state == waiting
		switch {
		case waits != (x.poll != nil), x.state == settling && x.poll.open == 0, x.state == waiting && x.poll.open > 0:
			return fmt.Sprintf("2: the poll of session %q is in state %d, there is one: %v", s.ID, x.state, x.poll != nil)
		case x.state != answered && len(x.answer.Tasks)+len(x.answer.Cancelled) > 0:
			return fmt.Sprintf("2: session %q has an answer in state %d", s.ID, x.state)
		case x.listed != slices.Contains(h.answers, s):
			return fmt.Sprintf("2: the poll of session %q is listed: %v", s.ID, x.listed)
		case s.asked < 0:
			return fmt.Sprintf("2: session %q has asked for %d tasks", s.ID, s.asked)
		}
		for slot := range s.promised {
			if !s.leases.has(slot) {
				return fmt.Sprintf("2: session %q is promised %s, and does not have it", s.ID, slot)
			}
		}
		for slot := range s.unwanted {
			if !s.leases.has(slot) {
				return fmt.Sprintf("2: nobody waits for %s of session %q, which does not have it", slot, s.ID)
			}
		}
	}
	return ""
}

func (h *Hub) checkBounds() string {
	for name, b := range h.bounds {
		if b.asked < 0 || b.leased < 0 {
			return fmt.Sprintf("3: service %q counts %d leases and %d asked for", name, b.leased, b.asked)
		}
	}
	for id, of := range h.absent {
		for service, n := range of {
			if n <= 0 {
				return fmt.Sprintf("3: worker %q, which has yet to come back, counts %d leases of service %q", id, n, service)
			}
		}
	}
	return ""
}

func (h *Hub) checkReady() string {
	for _, f := range h.handlers {
		if listed := count(h.ready, f); listed > 1 || f.listed != (listed == 1) {
			return fmt.Sprintf("4: handler %s/%s stands %d times in ready", f.Service, f.Name, listed)
		}
		if len(f.offers) == 0 || !h.may(f) || f.listed {
			continue
		}
		for _, s := range f.sessions {
			if h.wants(s) {
				return fmt.Sprintf("4: handler %s/%s has offers, session %q wants one and has room, and nobody looks", f.Service, f.Name, s.ID)
			}
		}
	}
	return ""
}
