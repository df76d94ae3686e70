package worker

import (
	"cmp"
	"slices"
)

// Hub is what may be run, who can run it, and who runs it. It is not safe for concurrent use. Between two calls this holds, and
// Check looks whether it does:
//
//  1. A slot stands under its own run and step, and is not gone.
//  2. A session has exactly the slots that name it; they are leased or cancelled, and carry its id.
//  3. A handler's queue holds exactly its queued slots, by run; a run with some has one turn in it.
//  4. A session and the handlers that it serves name each other. A service counts its handlers, and the slots that are leased or
//     cancelled, whether their session is there or has yet to come back.
//  5. A lease with a clock stands in the heap no later than that clock, unless its end was reported; the heap is in order.
//  6. Nobody is forgotten: a handler that has an offer, room in its service, and a session with room that wants one, is in ready.
type Hub struct {
	LeaseMS int64 // how long a remote lease lives without a sign of life

	handlers map[handlerKey]*Handler
	services map[string]*Service
	sessions map[string]*Session
	slots    map[slotKey]*Slot
	expiry   expiryHeap
	ready    []*Handler // with offers, and perhaps somebody who waits for them
	queued   int
}

type handlerKey struct{ service, name string }

type slotKey struct {
	run  uint64
	step int32
}

// Service is what bounds the handlers of one service together.
type Service struct {
	Name   string
	Limit  int // attempts at once over all sessions; 0: no bound
	leased int

	handlers int // that belong to it
}

// Handler is one handler of one service: its queue and the sessions that serve it.
type Handler struct {
	Service  *Service
	Name     string
	queue    fairQueue
	sessions []*Session
	next     int  // whose turn it is among sessions
	listed   bool // in Hub.ready

	// Known says that a definition or this process names the handler: it stays when nobody serves it.
	Known bool
	// Local runs the handler in this process; nil: it does not.
	Local Func
}

// Sessions is how many sessions serve the handler.
func (h *Handler) Sessions() int { return len(h.sessions) }

// Queued is how many offers wait in the handler's queue.
func (h *Handler) Queued() int { return h.queue.n }

// Oldest is when the step that has waited longest in the handler's queue was offered, in Unix milliseconds; 0: none waits.
func (h *Handler) Oldest() (at int64) {
	for _, r := range h.queue.ring[h.queue.head:] {
		for _, s := range r.slots[r.head:] {
			if s != nil && s.State == Queued && s.run == r {
				if at == 0 || s.OfferedAt < at {
					at = s.OfferedAt
				}
				break
			}
		}
	}
	return at
}

// Full says that the service's bound keeps its offers back.
func (h *Handler) Full() bool { return h.Service.Limit > 0 && h.Service.leased >= h.Service.Limit }

// SlotState is where an offer stands.
type SlotState uint8

const (
	Queued    SlotState = iota // nobody has it
	Leased                     // a session has it
	Answered                   // its outcome, or its loss, is on the way to the journal
	Cancelled                  // a session has it, but its run has ended
	gone
)

// Slot is one step that may be run, or is: at most one for each (run, step).
type Slot struct {
	Run         uint64
	Step        int32
	Attempt     uint32
	Boot        uint64 // of its token
	Handler     *Handler
	State       SlotState
	Session     *Session // who has it
	Worker      string   // the session's id; it outlives the session
	Given       bool     // it has been handed to its session
	Journaled   bool     // the journal knows that the attempt started
	Local       bool     // a session of this process has or had it
	Careful     bool     // the start must be on disk before the handler is called in process
	OfferedAt   int64    // Unix ms: since when the step waits for a worker
	StartedAt   int64    // Unix ms
	StartedMono int64    // monotonic ms
	Expires     int64    // monotonic ms; 0: never (in process)
	TimeoutMS   int64    // of the attempt; 0: none
	Deadline    int64    // monotonic ms; 0: none
	BeatMS      int64    // heartbeat_timeout_ms; 0: the SDK renews
	BeatBy      int64    // monotonic ms; 0: none
	Details     []byte   // of the last heartbeat

	// Data is whatever the owner of the Hub hangs on the attempt.
	Data any

	run     *runQueue
	over    bool // Expire has reported it
	counted bool // in the service's leased
}

// Session is somebody who serves handlers.
type Session struct {
	ID       string
	Service  string
	Version  string
	Handlers []*Handler
	Capacity int  // leases at once
	Local    bool // in this process
	Wants    int  // tasks that it waits for now
	Slots    map[*Slot]struct{}
	LastSeen int64 // monotonic ms
	JoinedAt int64 // Unix ms
	// Data is whatever the owner of the Hub hangs on the session.
	Data any
}

// Leases is how many attempts the session has.
func (s *Session) Leases() int { return len(s.Slots) }

// NewHub gives an empty hub.
func NewHub(leaseMS int64) *Hub {
	return &Hub{LeaseMS: leaseMS, handlers: map[handlerKey]*Handler{}, services: map[string]*Service{},
		sessions: map[string]*Session{}, slots: map[slotKey]*Slot{}}
}

// Handler gives the handler of that name, also when nobody serves it.
func (h *Hub) Handler(service, name string) *Handler {
	k := handlerKey{service, name}
	if f := h.handlers[k]; f != nil {
		return f
	}
	f := &Handler{Service: h.Service(service), Name: name}
	f.queue.byRun = map[uint64]*runQueue{}
	f.Service.handlers++
	h.handlers[k] = f
	return f
}

// Service gives the service of that name.
func (h *Hub) Service(name string) *Service {
	if s := h.services[name]; s != nil {
		return s
	}
	s := &Service{Name: name}
	h.services[name] = s
	return s
}

// Handlers gives every handler that is known.
func (h *Hub) Handlers(yield func(*Handler) bool) {
	for _, f := range h.handlers {
		if !yield(f) {
			return
		}
	}
}

// Served gives the handlers of a service that somebody serves, sorted.
func (h *Hub) Served(service string) []string {
	var names []string
	for k, f := range h.handlers {
		if k.service == service && len(f.sessions) > 0 {
			names = append(names, k.name)
		}
	}
	slices.Sort(names)
	return names
}

// Slot gives the slot of the step, or nil.
func (h *Hub) Slot(run uint64, step int32) *Slot { return h.slots[slotKey{run, step}] }

// Offer puts the attempt into its handler's queue. An offer that stands already is given back as it stands, so offering is
// idempotent.
func (h *Hub) Offer(s Slot) *Slot {
	k := slotKey{s.Run, s.Step}
	if old := h.slots[k]; old != nil {
		if old.State == Queued {
			old.Attempt, old.Boot = s.Attempt, s.Boot
		}
		return old
	}
	slot := &s
	slot.State = Queued
	h.slots[k] = slot
	slot.Handler.queue.push(slot)
	h.queued++
	h.list(slot.Handler)
	return slot
}

func (h *Hub) list(f *Handler) {
	if !f.listed && f.queue.n > 0 {
		f.listed = true
		h.ready = append(h.ready, f)
	}
}

// Restore puts an attempt that a worker had before the engine restarted under a lease that runs from now on, for lease ms. The
// session may come back and name its token. Another attempt of the step that stands there goes: of a damaged run less is known than
// was.
func (h *Hub) Restore(s Slot, now, lease int64) *Slot {
	if old := h.slots[slotKey{s.Run, s.Step}]; old != nil {
		h.Withdraw(s.Run, s.Step)
		h.Release(old)
	}
	slot := &s
	slot.Journaled = true
	h.slots[slotKey{s.Run, s.Step}] = slot
	h.count(slot)
	h.arm(slot, now, lease)
	return slot
}

// Rearm puts a lease that stands again into the books of its service and of its clocks.
func (h *Hub) Rearm(s *Slot) {
	h.count(s)
	h.schedule(s)
}

// count adds a lease to those of its service, whether its session is there or not.
func (h *Hub) count(s *Slot) {
	if !s.counted {
		s.counted = true
		s.Handler.Service.leased++
	}
}

// arm starts the clocks of a lease.
func (h *Hub) arm(s *Slot, now, lease int64) {
	s.Deadline, s.BeatBy, s.Expires = 0, 0, 0
	if s.TimeoutMS > 0 {
		s.Deadline = now + s.TimeoutMS
	}
	if s.BeatMS > 0 {
		s.BeatBy = now + s.BeatMS
	}
	if !s.Local {
		s.Expires = now + lease
	}
	h.schedule(s)
}

// Withdraw takes an offer back that nobody has. It reports whether there was one.
func (h *Hub) Withdraw(run uint64, step int32) bool {
	s := h.slots[slotKey{run, step}]
	if s == nil || s.State != Queued {
		return false
	}
	h.drop(s)
	return true
}

func (h *Hub) drop(s *Slot) {
	if s.State == Queued {
		s.Handler.queue.remove(s)
		h.queued--
	}
	s.State = gone
	delete(h.slots, slotKey{s.Run, s.Step})
}

// Release ends a lease: its outcome is on disk, or it was lost. The session has room again.
func (h *Hub) Release(s *Slot) {
	if s.State == Queued || s.State == gone {
		return
	}
	h.leave(s)
	s.State = gone
	if h.slots[slotKey{s.Run, s.Step}] == s {
		delete(h.slots, slotKey{s.Run, s.Step})
	}
}

// Answer says that the session has answered for the slot, or will not: it has room again, while what that means is on its way to
// the journal. Release follows when it is there.
func (h *Hub) Answer(s *Slot) {
	if s.State != Leased && s.State != Cancelled {
		return
	}
	h.leave(s)
	s.State = Answered
}

// leave takes the slot out of its session and its service.
func (h *Hub) leave(s *Slot) {
	if !s.counted {
		return
	}
	s.counted = false
	s.Handler.Service.leased--
	h.list(s.Handler)
	if session := s.Session; session != nil {
		delete(session.Slots, s)
		s.Session = nil
		if len(session.Slots) == session.Capacity-1 { // it was full: whatever it serves may have waited for room
			for _, f := range session.Handlers {
				h.list(f)
			}
		}
	}
	if s.Handler.Service.Limit > 0 {
		for _, f := range h.handlers {
			if f.Service == s.Handler.Service {
				h.list(f)
			}
		}
	}
}

// Join adds a session. Its handlers are served from now on.
func (h *Hub) Join(s *Session) {
	s.Slots = map[*Slot]struct{}{}
	h.sessions[s.ID] = s
	for _, f := range s.Handlers {
		f.sessions = append(f.sessions, s)
		h.list(f)
	}
}

// Serve adds a handler to a session.
func (h *Hub) Serve(s *Session, f *Handler) {
	if slices.Contains(s.Handlers, f) {
		return
	}
	s.Handlers = append(s.Handlers, f)
	f.sessions = append(f.sessions, s)
	h.list(f)
}

// Session gives the session of that id, or nil.
func (h *Hub) Session(id string) *Session { return h.sessions[id] }

// Sessions gives all sessions, by id.
func (h *Hub) Sessions() []*Session {
	all := make([]*Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Session) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Leave removes the session and gives what it had, in the order of runs and steps; its tasks are nobody's now.
func (h *Hub) Leave(s *Session) []*Slot {
	delete(h.sessions, s.ID)
	s.Wants = 0
	for _, f := range s.Handlers {
		if i := slices.Index(f.sessions, s); i >= 0 {
			f.sessions = slices.Delete(f.sessions, i, i+1)
		}
		if !f.Known && len(f.sessions) == 0 && f.queue.n == 0 { // only this session ever spoke of it
			delete(h.handlers, handlerKey{f.Service.Name, f.Name})
			if f.Service.handlers--; f.Service.handlers == 0 && f.Service.Limit == 0 {
				delete(h.services, f.Service.Name)
			}
		}
	}
	return s.sorted()
}

func (s *Session) sorted() []*Slot {
	all := make([]*Slot, 0, len(s.Slots))
	for slot := range s.Slots {
		all = append(all, slot)
	}
	slices.SortFunc(all, func(a, b *Slot) int {
		return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.Step, b.Step))
	})
	return all
}

// Adopt gives a leased slot to a session that came back for it.
func (h *Hub) Adopt(slot *Slot, s *Session, now int64) {
	h.leave(slot)
	slot.Session, slot.Worker = s, s.ID
	s.Slots[slot] = struct{}{}
	h.count(slot)
	if slot.Expires != 0 {
		slot.Expires = now + h.LeaseMS
		h.schedule(slot)
	}
}

// Beat is a sign of life for one lease. A handler's own heartbeat (own) also moves its heartbeat timeout.
func (h *Hub) Beat(s *Slot, now int64, own bool, details []byte) {
	if s.Expires != 0 {
		s.Expires = now + h.LeaseMS
	}
	if own {
		if s.BeatMS > 0 {
			s.BeatBy = now + s.BeatMS
		}
		if details != nil {
			s.Details = details
		}
	}
}

// Dispatch gives offers to sessions that want some, one handler and one session after the other, until nobody wants or
// nothing is left. now is monotonic ms, wall Unix ms. give is called for each lease as it is made.
func (h *Hub) Dispatch(now, wall int64, give func(*Session, *Slot)) {
	if h.queued == 0 {
		for _, f := range h.ready {
			f.listed = false
		}
		h.ready = h.ready[:0]
		return
	}
	list := h.ready
	h.ready = nil
	for _, f := range list {
		f.listed = false
	}
	for _, f := range list {
		for f.queue.n > 0 && !f.Full() {
			s := f.pick()
			if s == nil {
				break
			}
			slot := f.queue.pop()
			h.queued--
			slot.State, slot.Session, slot.Worker, slot.StartedAt, slot.Local = Leased, s, s.ID, wall, s.Local
			s.Slots[slot] = struct{}{}
			if !s.Local {
				s.Wants--
			}
			h.count(slot)
			h.arm(slot, now, h.LeaseMS)
			give(s, slot)
		}
	}
	// A handler whose queue is not empty is listed again when a session of it wants, or its service has room.
	if h.ready == nil {
		h.ready = list[:0]
	}
}

// pick gives the next session that wants a task of f and has room, in turn.
func (f *Handler) pick() *Session {
	for range f.sessions {
		if f.next >= len(f.sessions) {
			f.next = 0
		}
		s := f.sessions[f.next]
		f.next++
		if s.Wants > 0 && len(s.Slots) < s.Capacity {
			return s
		}
	}
	return nil
}

// Want says that the session waits for up to n tasks from now on.
func (h *Hub) Want(s *Session, n int) {
	s.Wants = n
	if n > 0 {
		for _, f := range s.Handlers {
			h.list(f)
		}
	}
}

// Offers is how many offers nobody has taken.
func (h *Hub) Offers() int { return h.queued }

// Leases gives every slot that a worker has, in the order of runs and steps.
func (h *Hub) Leases() []*Slot {
	var all []*Slot
	for _, s := range h.slots {
		if s.State != Queued {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *Slot) int {
		return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.Step, b.Step))
	})
	return all
}

// Clear takes every queued offer back. What workers have, they keep.
func (h *Hub) Clear() {
	for _, s := range h.slots {
		if s.State == Queued {
			h.drop(s)
		}
	}
}
