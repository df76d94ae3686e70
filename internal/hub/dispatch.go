package hub

import (
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
)

// list says that somebody should look whether the handler's offers find a session.
func (h *Hub) list(f *Handler) {
	if !f.listed && len(f.offers) > 0 {
		f.listed = true
		h.ready = append(h.ready, f)
	}
}

// Dispatch asks the shards for tasks, one handler, one session and one shard after the other, until nobody wants or nothing is
// left, and answers the polls that have something to say. It is called when a shard has told the hub something.
func (h *Hub) Dispatch(now shard.Now) {
	h.now = now
	for i := 0; i < len(h.ready); i++ { // a handler is listed again after each task: the others are next
		f := h.ready[i]
		f.listed = false
		if len(f.offers) == 0 || !h.may(f) {
			continue
		}
		s := h.pick(f)
		if s == nil {
			continue
		}
		q := f.offers[0]
		if len(f.offers) > 1 {
			copy(f.offers, f.offers[1:])
			f.offers[len(f.offers)-1] = q
		}
		s.asked++
		if f.bound != nil {
			f.bound.asked++
		}
		s.had(f)
		q.shard.link.Lend(q.at, &s.Session)
		h.list(f)
	}
	clear(h.ready)
	h.ready = h.ready[:0]
	h.answerPolls()
}

// pick gives the next session that wants a task of f and has room, in turn.
func (h *Hub) pick(f *Handler) *Session {
	for range f.sessions {
		if f.next >= len(f.sessions) {
			f.next = 0
		}
		s := f.sessions[f.next]
		f.next++
		if h.wants(s) {
			return s
		}
	}
	return nil
}

// wants says whether the session would take one task more.
func (h *Hub) wants(s *Session) bool {
	if len(s.leases)+s.asked >= s.Capacity {
		return false
	}
	if s.Local {
		return !h.held
	}
	return s.talk.wants(s.asked + len(s.promised))
}

// open lists whatever the session serves, first the handler whose turn it is: it wants tasks, or has room again.
func (h *Hub) open(s *Session) {
	for i := range s.Handlers {
		h.list(s.Handlers[(s.turn+i)%len(s.Handlers)])
	}
}

// had says that the session was given a task of a handler: the next one has the next turn.
func (s *Session) had(f *Handler) {
	for i, n := 0, len(s.Handlers); i < n; i++ {
		if at := (s.turn + i) % n; s.Handlers[at] == f {
			s.turn = (at + 1) % n
			return
		}
	}
}

// desk is what the hub knows of a shard, and what the shard is given of the hub.
type desk struct {
	h    *Hub
	no   journal.Shard
	link Link
	full bool
}

// queue gives the handler's queue at this shard, by the shard's own handler.
func (d *desk) queue(at *leases.Handler) *queue {
	if q, ok := at.Data.(*queue); ok {
		return q
	}
	f := d.h.Handler(at.Service, at.Name)
	f.known = true
	q := &queue{shard: d, handler: f, at: at}
	at.Data = q
	return q
}

func (d *desk) Offered(at *leases.Handler) {
	q := d.queue(at)
	if !q.listed {
		q.listed = true
		q.handler.offers = append(q.handler.offers, q)
	}
	d.h.list(q.handler)
}

// unlist says that the shard has no more offers of the handler.
func (q *queue) unlist() {
	if !q.listed {
		return
	}
	q.listed = false
	f := q.handler
	for i, o := range f.offers {
		if o == q {
			copy(f.offers[i:], f.offers[i+1:])
			f.offers[len(f.offers)-1] = nil
			f.offers = f.offers[:len(f.offers)-1]
			return
		}
	}
}

func (d *desk) Given(to *leases.Session, slot *leases.Slot, spec *shard.Spec, more bool) {
	s, q := to.Data.(*Session), d.queue(slot.Handler)
	s.asked--
	s.leases.add(slot)
	switch {
	case spec != nil:
		s.talk.add(spec)
	case !s.Local:
		s.promised[slot] = true
	}
	if b := q.handler.bound; b != nil {
		b.asked--
		b.leased++
	}
	if !more {
		q.unlist()
	}
	d.h.news(s)
}

func (d *desk) Handed(to *leases.Session, slot *leases.Slot, spec *shard.Spec) {
	s := to.Data.(*Session)
	if !s.promised[slot] {
		return // it has lost it meanwhile
	}
	delete(s.promised, slot)
	s.talk.add(spec)
	d.h.news(s)
}

func (d *desk) None(to *leases.Session, at *leases.Handler) {
	s, q := to.Data.(*Session), d.queue(at)
	s.asked--
	q.unlist()
	if b := q.handler.bound; b != nil {
		b.asked--
		d.h.openBound(b)
	}
	d.h.open(s) // what it did not get here it may get elsewhere
	d.h.news(s)
}

func (d *desk) Held(of *leases.Session, slot *leases.Slot) {
	if b := d.h.bounds[slot.Handler.Service]; b != nil {
		b.leased++
	}
	if of == nil {
		d.h.away(slot, 1)
		return
	}
	of.Data.(*Session).leases.add(slot)
}

func (d *desk) Left(of *leases.Session, slot *leases.Slot) {
	if b := d.h.bounds[slot.Handler.Service]; b != nil {
		b.leased--
		d.h.openBound(b)
	}
	if of == nil {
		d.h.away(slot, -1)
		return
	}
	s := of.Data.(*Session)
	promised := s.promised[slot]
	full := len(s.leases)+s.asked >= s.Capacity || promised
	s.leases.remove(slot)
	delete(s.unwanted, slot)
	if promised {
		delete(s.promised, slot)
		d.h.news(s)
	}
	if full && !s.gone {
		d.h.open(s)
	}
}

// openBound lists the handlers of a service that has room again.
func (h *Hub) openBound(b *bound) {
	for _, f := range h.handlers {
		if f.bound == b {
			h.list(f)
		}
	}
}

// Cancelled says that nobody waits for the attempt any more. of is the session that was given it; nil: its worker has yet to come
// back, and perhaps did.
func (d *desk) Cancelled(of *leases.Session, slot *leases.Slot, t leases.Token) {
	s := d.h.sessions[t.Worker]
	if of != nil {
		s = of.Data.(*Session)
	}
	if s == nil || s.gone || s.Local {
		return
	}
	if s.leases.has(slot) {
		s.unwanted[slot] = true
	}
	s.talk.cancelled = append(s.talk.cancelled, t)
	d.h.news(s)
}

// Full says whether the shard's disk is full: it records nothing, and gives no tasks.
func (d *desk) Full(full bool) {
	if full == d.full {
		return
	}
	d.full = full
	if !full {
		d.h.full--
		return
	}
	d.h.full++
	for _, s := range d.h.sessions { // what was promised may be long in coming
		d.h.news(s)
	}
}

// news says that the session's poll perhaps has something to say.
func (h *Hub) news(s *Session) {
	if s.talk.poll != nil && !s.talk.listed {
		s.talk.listed = true
		h.answers = append(h.answers, s)
	}
}
