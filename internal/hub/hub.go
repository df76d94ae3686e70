package hub

import (
	"cmp"
	"slices"

	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
)

// Config is what a hub is made with.
type Config struct {
	LeaseMS       int64          // how long a session lives without a sign of life; 0: 30,000
	LocalCapacity int            // attempts at once in this process; 0: 1,000
	Services      map[string]int // attempts at once by service, over all shards; absent: no bound
}

// Hub holds the sessions of workers, and brings them the offers of the shards. Between two calls this holds, and Check looks
// whether it does:
//
//  1. A session and the handlers that it serves name each other.
//  2. A session's poll is in one of its states, with what belongs to that state; see exchange.
//  3. A service with a bound counts the leases of its handlers, and the tasks that it asked for; a worker that has yet to come back
//     counts its leases.
//  4. Nobody is forgotten: a handler of which a shard has offers, with room in its service, which is not paused, and a session that wants a task and
//     has room for it, is in ready.
type Hub struct {
	cfg      Config
	now      shard.Now
	shards   []*desk
	sessions map[string]*Session
	absent   map[string]map[string]int // leases of workers that have yet to come back: worker, service, how many
	handlers map[handlerKey]*Handler
	bounds   map[string]*bound // of services that have one
	paused   map[string]Pause
	local    *Session
	held     bool // this process takes no more tasks

	ready   []*Handler // with offers, and perhaps somebody who wants them
	answers []*Session // whose poll perhaps has something to say
	full    int        // shards whose disk is full

	sweepAt          int64 // monotonic ms: when sessions are looked at next; 0: never
	turnedAt, wakeAt int64 // monotonic ms: of the last turn, and when the next was due by itself
}

type handlerKey struct{ service, name string }

// Handler is one handler of one service over all shards.
type Handler struct {
	Service, Name string
	sessions      []*Session
	next          int      // whose turn it is among sessions
	offers        []*queue // at the shards that have some, as far as is known: the first has its turn
	bound         *bound   // of its service; nil: none
	known         bool     // a shard or this process names it: it stays when nobody serves it
	listed        bool     // in Hub.ready
}

// queue is a handler's queue at one shard.
type queue struct {
	shard   *desk
	handler *Handler
	at      *leases.Handler // the shard's own
	listed  bool            // in Handler.offers
}

// bound is the max_concurrent of a service.
type bound struct {
	limit  int
	leased int
	asked  int // tasks for which a shard was asked, and did not answer yet
}

func (b *bound) full() bool { return b != nil && b.leased+b.asked >= b.limit }

// Sessions is how many sessions serve the handler.
func (f *Handler) Sessions() int { return len(f.sessions) }

// Full says whether the bound of the service keeps its offers back, and what it is.
func (f *Handler) Full() (limit int, full bool) {
	if f.bound == nil {
		return 0, false
	}
	return f.bound.limit, f.bound.full()
}

// Session is somebody who serves handlers: a worker on the other side of a connection, or this process.
type Session struct {
	leases.Session // what the shards know of it
	Service        string
	Host           string // of its process, as it says
	PID            int    // of its process, as it says; 0: it did not
	Handlers       []*Handler
	Capacity       int   // leases at once
	turn           int   // the place in Handlers of the one whose turn it is
	LastSeen       int64 // monotonic ms
	JoinedAt       int64 // Unix ms
	leaseMS        int64 // how long it lives without a sign of life

	leases   slots
	unwanted map[*leases.Slot]bool // those of leases for whose answer nobody waits any more
	asked    int                   // tasks for which a shard was asked, and did not answer yet
	// promised are leases whose start must be on disk before the task is handed over.
	promised map[*leases.Slot]bool
	talk     exchange
	gone     bool
	overs    map[leases.Token]over // attempts that are over and that its heartbeats name
}

// Leases gives the slots that the session has. They are the shards': only their goroutines may look into them.
func (s *Session) Leases() []*leases.Slot { return s.leases }

// slots are what a session has. Each knows its place in there.
type slots []*leases.Slot

func (l slots) has(slot *leases.Slot) bool {
	return slot != nil && slot.Place < len(l) && l[slot.Place] == slot
}

func (l *slots) add(slot *leases.Slot) {
	if !l.has(slot) {
		slot.Place = len(*l)
		*l = append(*l, slot)
	}
}

func (l *slots) remove(slot *leases.Slot) {
	if !l.has(slot) {
		return
	}
	last := len(*l) - 1
	moved := (*l)[last]
	(*l)[slot.Place], moved.Place = moved, slot.Place
	(*l)[last] = nil
	*l = (*l)[:last]
}

// Waiting says whether a poll of the session waits for tasks.
func (s *Session) Waiting() bool { return s.talk.poll != nil }

// New gives a hub without shards.
func New(cfg Config) *Hub {
	if cfg.LeaseMS == 0 {
		cfg.LeaseMS = 30_000
	}
	if cfg.LocalCapacity == 0 {
		cfg.LocalCapacity = 1_000
	}
	h := &Hub{cfg: cfg, sessions: map[string]*Session{}, absent: map[string]map[string]int{}, handlers: map[handlerKey]*Handler{}, bounds: map[string]*bound{}, paused: map[string]Pause{}}
	for name, n := range cfg.Services {
		if n > 0 {
			h.bounds[name] = &bound{limit: n}
		}
	}
	h.local = &Session{Session: leases.Session{ID: "local", Local: true}, Capacity: cfg.LocalCapacity}
	h.join(h.local)
	return h
}

// Link carries what the hub has for a shard. Either may do it at once or bring it to the shard's goroutine; the order over both
// must stay.
type Link interface {
	// Send hands an input to the shard's next turn.
	Send(shard.Input)
	// Lend is Shard.Lend.
	Lend(*leases.Handler, *leases.Session)
}

// Attach adds a shard, and gives what the shard is to know of the hub.
func (h *Hub) Attach(no journal.Shard, link Link) shard.Host {
	d := &desk{h: h, no: no, link: link}
	h.shards = append(h.shards, d)
	return d
}

// shardOf gives the shard of a run; nil: it is not here.
func (h *Hub) shardOf(run uint64) *desk {
	no := journal.ShardOf(run)
	for _, d := range h.shards {
		if d.no == no {
			return d
		}
	}
	return nil
}

// Input is what a worker asks.
type Input interface {
	admit(h *Hub)
	refuse(err error)
}

// Refuse answers an input that will not be admitted.
func Refuse(in Input, err error) { in.refuse(err) }

// Turn takes what workers ask, and does what is due.
func (h *Hub) Turn(now shard.Now, inputs []Input) {
	h.now = now
	h.forgive()
	h.sweep()
	for _, in := range inputs {
		in.admit(h)
	}
	h.Dispatch(now)
}

// Handler gives the handler of that name, also when nobody serves it.
func (h *Hub) Handler(service, name string) *Handler {
	k := handlerKey{service, name}
	f := h.handlers[k]
	if f == nil {
		f = &Handler{Service: service, Name: name, bound: h.bounds[service]}
		h.handlers[k] = f
	}
	return f
}

// Look gives the handler of that name if somebody serves it or a shard has named it; else one that nobody serves.
func (h *Hub) Look(service, name string) *Handler {
	if f := h.handlers[handlerKey{service, name}]; f != nil {
		return f
	}
	return &Handler{Service: service, Name: name, bound: h.bounds[service]}
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

// Capacity is how many tasks the sessions of a service take at once.
func (h *Hub) Capacity(service string) (n int) {
	for _, s := range h.sessions {
		if slices.ContainsFunc(s.Handlers, func(f *Handler) bool { return f.Service == service }) {
			n += s.Capacity
		}
	}
	return n
}

// Services gives the services of which there are workers, sorted.
func (h *Hub) Services() []string {
	var names []string
	for k, f := range h.handlers {
		if len(f.sessions) > 0 && !slices.Contains(names, k.service) {
			names = append(names, k.service)
		}
	}
	slices.Sort(names)
	return names
}

// Serve lets this process run a handler.
func (h *Hub) Serve(service, name string) {
	f := h.Handler(service, name)
	f.known = true
	if !slices.Contains(h.local.Handlers, f) {
		h.local.Handlers = append(h.local.Handlers, f)
		f.sessions = append(f.sessions, h.local)
		h.list(f)
	}
}

// Hold keeps this process from taking more tasks: it is about to stop.
func (h *Hub) Hold() { h.held = true }

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

// join adds a session. Its handlers are served from now on.
func (h *Hub) join(s *Session) {
	s.promised, s.unwanted = map[*leases.Slot]bool{}, map[*leases.Slot]bool{}
	s.Data, s.leaseMS = s, h.cfg.LeaseMS
	h.sessions[s.ID] = s
	for _, f := range s.Handlers {
		f.sessions = append(f.sessions, s)
		h.list(f)
	}
}

// part removes a session. What it had is the shards' to say.
func (h *Hub) part(s *Session) {
	delete(h.sessions, s.ID)
	s.gone = true
	for _, f := range s.Handlers {
		if i := slices.Index(f.sessions, s); i >= 0 {
			f.sessions = slices.Delete(f.sessions, i, i+1)
		}
		if !f.known && len(f.sessions) == 0 { // only sessions ever spoke of it
			delete(h.handlers, handlerKey{f.Service, f.Name})
		}
	}
}
