package leases

import (
	"cmp"
	"slices"

	"github.com/agnt5/agnt5d/worker"
)

// Hub is what one shard has for workers to run, and what they run of it. Who they are is known elsewhere: a Host stands for them.
// A Hub is not safe for concurrent use. Between two calls this holds, and Check looks whether it does:
//
//  1. A slot stands under its own run and step, and is not gone.
//  2. A slot with a session carries that session's id. It is counted as long as it is leased or cancelled, and when it was given up
//     until that is on disk.
//  3. A handler's queue holds exactly its queued slots, by run; a run with some has one turn in its workflow, and that one in the
//     queue.
//  4. A handler stands under its own names; the Host knows of each that has an offer.
//  5. A lease with a clock stands in the heap no later than that clock, unless its end was reported; the heap is in order.
type Hub struct {
	LeaseMS int64 // how long a remote lease lives without a sign of life

	host     Host
	handlers map[handlerKey]*Handler
	slots    map[slotKey]*Slot
	expiry   expiryHeap
	queued   int
	paused   bool // nothing is given
}

// Host is whoever brings offers and workers together: it asks for an offer when a session wants one, and counts what each has. All
// that it is told concerns one shard.
type Host interface {
	// Offered says that the handler has offers, none of which the Host knows. It is not said again until the Host was told that
	// there are no more.
	Offered(*Handler)
	// None answers a session for which there was no offer.
	None(*Session, *Handler)
	// Held says that a lease stands that was not taken: of the session, or nil while the worker has yet to come back.
	Held(*Session, *Slot)
	// Left says that a lease that was taken or held takes no room any more.
	Left(*Session, *Slot)
}

type handlerKey struct{ service, name string }

type slotKey struct {
	run  uint64
	step int32
}

// Handler is one handler of one service, and the queue of its offers.
type Handler struct {
	Service, Name string

	queue  fairQueue
	listed bool // the Host knows that there are offers

	// Local runs the handler in this process; nil: it does not.
	Local worker.Func
	// Data is whatever the Host hangs on the handler.
	Data any
}

// Queued is how many offers wait in the handler's queue.
func (h *Handler) Queued() int { return h.queue.n }

// Oldest is when the step that has waited longest in the handler's queue was offered, in Unix milliseconds; 0: none waits.
func (h *Handler) Oldest() (at int64) {
	for _, r := range h.queue.byRun {
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
	Workflow    string // its name: workflows take turns
	Handler     *Handler
	State       SlotState
	Given       bool     // it has been handed to its session
	Journaled   bool     // the journal knows that the attempt started
	Local       bool     // a session of this process has or had it
	Careful     bool     // the start must be on disk before the handler is called in process
	over        bool     // Expire has reported it
	counted     bool     // the Host counts it
	Session     *Session // who has it, or had it last
	Worker      string   // the session's id; it outlives the session
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
	// Place is the Host's own: where the lease stands in its books.
	Place int

	run *runQueue
}

// Stands says whether the hub has the slot still.
func (s *Slot) Stands() bool { return s.State != gone }

// Session is who a lease was given to, as far as the lease needs to know.
type Session struct {
	ID      string
	Version string // of the worker's service, as it says
	Local   bool   // in this process
	Refers  bool   // it reads outputs that a task refers to
	// Data is whatever the Host hangs on the session.
	Data any
}

// NewHub gives an empty hub.
func NewHub(leaseMS int64, host Host) *Hub {
	return &Hub{LeaseMS: leaseMS, host: host, handlers: map[handlerKey]*Handler{}, slots: map[slotKey]*Slot{}}
}

// Handler gives the handler of that name, also when nobody serves it.
func (h *Hub) Handler(service, name string) *Handler {
	k := handlerKey{service, name}
	if f := h.handlers[k]; f != nil {
		return f
	}
	f := &Handler{Service: service, Name: name, queue: newFairQueue()}
	h.handlers[k] = f
	return f
}

// Handlers gives every handler that is known.
func (h *Hub) Handlers(yield func(*Handler) bool) {
	for _, f := range h.handlers {
		if !yield(f) {
			return
		}
	}
}

// Slot gives the slot of the step, or nil.
func (h *Hub) Slot(run uint64, step int32) *Slot { return h.slots[slotKey{run, step}] }

// Offer puts the attempt into its handler's queue. An offer that stands already is given back as it stands, so offering is
// idempotent.
func (h *Hub) Offer(slot *Slot) *Slot {
	k := slotKey{slot.Run, slot.Step}
	if old := h.slots[k]; old != nil {
		if old.State == Queued {
			old.Attempt, old.Boot, old.OfferedAt = slot.Attempt, slot.Boot, slot.OfferedAt
		}
		return old
	}
	slot.State = Queued
	h.slots[k] = slot
	slot.Handler.queue.push(slot)
	h.queued++
	h.tell(slot.Handler)
	return slot
}

func (h *Hub) tell(f *Handler) {
	if !f.listed && f.queue.n > 0 {
		f.listed = true
		h.host.Offered(f)
	}
}

// Resume ends a Pause.
func (h *Hub) Resume() {
	if !h.paused {
		return
	}
	h.paused = false
	var all []*Handler
	for _, f := range h.handlers {
		if f.queue.n > 0 {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *Handler) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	for _, f := range all {
		f.listed = false
		h.tell(f)
	}
}

// Restore puts an attempt that a worker had before the engine restarted under a lease that runs from now on, for lease ms. The
// session may come back and name its token. The attempt was under way for worked ms, which count for its time limit; but for as long as
// the lease runs its worker may come back with its answer. Another attempt of the step that stands there goes: of a damaged run less is known than
// was.
func (h *Hub) Restore(s Slot, now, lease, worked int64) *Slot {
	if old := h.slots[slotKey{s.Run, s.Step}]; old != nil {
		h.Withdraw(s.Run, s.Step)
		h.Release(old)
	}
	slot := &s
	slot.Journaled = true
	h.slots[slotKey{s.Run, s.Step}] = slot
	h.count(slot)
	h.arm(slot, now, lease, worked)
	return slot
}

// Rearm counts a lease that stands again, and puts it into the books of its clocks.
func (h *Hub) Rearm(s *Slot) {
	h.count(s)
	h.schedule(s)
}

// count tells the Host of a lease, whether its session is there or not.
func (h *Hub) count(s *Slot) {
	if !s.counted {
		s.counted = true
		h.host.Held(s.Session, s)
	}
}

// arm starts the clocks of a lease.
func (h *Hub) arm(s *Slot, now, lease, worked int64) {
	s.Deadline, s.BeatBy, s.Expires = 0, 0, 0
	if s.TimeoutMS > 0 {
		s.Deadline = now + max(s.TimeoutMS-max(worked, 0), min(s.TimeoutMS, lease))
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
	delete(h.slots, slotKey{s.Run, s.Step})
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

// GiveUp says that the attempt is over although nobody has answered for it. Its handler may still work, and if the disk is full the
// attempt stands again: so it keeps its room until that is on disk. Release follows then.
func (h *Hub) GiveUp(s *Slot) {
	if s.State == Leased || s.State == Cancelled {
		s.State = Answered
	}
}

// leave tells the Host that the slot takes no room any more.
func (h *Hub) leave(s *Slot) {
	if s.counted {
		s.counted = false
		h.host.Left(s.Session, s)
	}
}

// Adopt gives a slot to a session that came back for it. What is answered for, or given up, is not leased anew.
func (h *Hub) Adopt(slot *Slot, s *Session, now int64) {
	counted := slot.counted
	h.leave(slot)
	slot.Session, slot.Worker = s, s.ID
	if counted {
		h.count(slot)
	}
	if slot.Expires != 0 && slot.State == Leased {
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

// Take gives the handler's next offer to a session, which asked for it through the Host; nil: there is none, and the Host was told.
// Else the caller tells it. now is monotonic ms, wall Unix ms.
func (h *Hub) Take(f *Handler, s *Session, now, wall int64) *Slot {
	if f.queue.n == 0 || h.paused {
		f.listed = false
		h.host.None(s, f)
		return nil
	}
	slot := f.queue.pop()
	h.queued--
	slot.State, slot.Session, slot.Worker, slot.StartedAt, slot.Local = Leased, s, s.ID, wall, s.Local
	slot.counted = true
	h.arm(slot, now, h.LeaseMS, 0)
	f.listed = f.queue.n > 0
	return slot
}

// Pause gives no more offers until Resume, which tells the Host of all there are.
func (h *Hub) Pause() { h.paused = true }

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
