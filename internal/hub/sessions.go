package hub

import (
	"cmp"

	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
)

// remote gives the session of a worker; nil: it has none.
func (h *Hub) remote(id string) *Session {
	if s := h.sessions[id]; s != nil && !s.Local {
		return s
	}
	return nil
}

// own gives the session of a worker to a caller that may speak for one service; "": for any.
func (h *Hub) own(id, only string) (*Session, error) {
	switch s := h.remote(id); {
	case s == nil:
		return nil, refusal.ErrWorkerNotFound
	case only != "" && s.Service != only:
		return nil, refusal.ErrOtherService
	default:
		return s, nil
	}
}

// Join opens a session of a worker.
type Join struct {
	Only     string // the one service whose sessions the caller may use; "": any. The same in what follows
	ID       string // when it is another service's, the session gets Else, and this becomes that
	Else     string // an id that nobody has
	Service  string
	Version  string
	Host     string // of its process; informational
	PID      int    // of its process; informational
	Handlers []string
	Capacity int
	Refers   bool           // it reads outputs that a task refers to
	Tokens   []leases.Token // attempts that it still works on
	Reply    func(lost []leases.Token, err error)
}

func (in *Join) refuse(err error) { in.Reply(nil, err) }

func (in *Join) admit(h *Hub) {
	old := h.sessions[in.ID]
	switch {
	case old != nil && old.Local:
		in.refuse(refusal.ErrWorkerNotFound)
		return
	case h.full > 0: // what the worker had and does not name could not be offered to others
		in.refuse(refusal.ErrDiskFull)
		return
	}
	tokens := in.Tokens
	if h.taken(in.ID, in.Service) { // the tokens are for another id
		in.ID, old, tokens = in.Else, nil, nil
	}
	var before *leases.Session
	if old != nil {
		before = &old.Session
		h.end(old)
	}
	s := &Session{Session: leases.Session{ID: in.ID, Version: in.Version, Refers: in.Refers}, Service: in.Service, Host: in.Host, PID: in.PID, Capacity: in.Capacity, LastSeen: h.now.Mono, JoinedAt: h.now.Wall}
	for _, name := range in.Handlers {
		s.Handlers = append(s.Handlers, h.Handler(in.Service, name))
	}
	h.join(s)
	h.look(h.now.Mono + h.cfg.LeaseMS)
	by, gone := h.sort(tokens)
	gone = append(gone, in.Tokens[len(tokens):]...)
	c := &collector{open: len(h.shards), gone: gone, done: in.Reply}
	for i, d := range h.shards {
		d.link.Send(&shard.Adopt{Only: in.Only, Session: &s.Session, Before: before, Tokens: by[i], Reply: c.add})
	}
}

// taken says whether a worker's id is that of a session of another service, or of one that is to come back: it has leases.
func (h *Hub) taken(id, service string) bool {
	if s := h.sessions[id]; s != nil && s.Service != service {
		return true
	}
	for of := range h.absent[id] {
		if of != service {
			return true
		}
	}
	return false
}

// away counts the leases of a worker that has yet to come back, by service.
func (h *Hub) away(slot *leases.Slot, n int) {
	of := h.absent[slot.Worker]
	if of == nil {
		of = map[string]int{}
		h.absent[slot.Worker] = of
	}
	if of[slot.Handler.Service] += n; of[slot.Handler.Service] == 0 {
		delete(of, slot.Handler.Service)
	}
	if len(of) == 0 {
		delete(h.absent, slot.Worker)
	}
}

// sort gives the tokens by shard, and those whose shard is not here.
func (h *Hub) sort(tokens []leases.Token) (by [][]leases.Token, gone []leases.Token) {
	by = make([][]leases.Token, len(h.shards))
	for _, t := range tokens {
		if i := h.index(t.Run); i >= 0 {
			by[i] = append(by[i], t)
		} else {
			gone = append(gone, t)
		}
	}
	return by, gone
}

func (h *Hub) index(run uint64) int {
	d := h.shardOf(run)
	for i := range h.shards {
		if h.shards[i] == d {
			return i
		}
	}
	return -1
}

// collector waits for the answers of several shards.
type collector struct {
	open int
	gone []leases.Token
	err  error
	done func([]leases.Token, error)
}

func (c *collector) add(gone []leases.Token, err error) {
	c.gone = append(c.gone, gone...)
	c.err = cmp.Or(c.err, err)
	if c.open--; c.open == 0 {
		c.done(c.gone, c.err)
	}
}

// end closes a session. What its poll brought is recorded nevertheless.
func (h *Hub) end(s *Session) {
	if in := s.talk.poll; in != nil {
		s.talk.state, s.talk.poll = idle, nil
		if in.open == 0 {
			in.refuse(refusal.ErrWorkerNotFound)
		} else {
			in.err = refusal.ErrWorkerNotFound // its results go with it
		}
	}
	h.part(s)
}

// close ends a session, and lets what it had be offered to others.
func (h *Hub) close(s *Session, why string, done func(error)) {
	h.end(s)
	c := &collector{open: len(h.shards), done: func(_ []leases.Token, err error) { done(err) }}
	for _, d := range h.shards {
		d.link.Send(&shard.Gone{Session: &s.Session, Why: why, Reply: func(err error) { c.add(nil, err) }})
	}
}

// Known asks whether there is a session of that worker.
type Known struct {
	Only  string
	ID    string
	Reply func(error) // ErrWorkerNotFound: there is none
}

func (in *Known) refuse(err error) { in.Reply(err) }

func (in *Known) admit(h *Hub) {
	_, err := h.own(in.ID, in.Only)
	in.Reply(err)
}

// Leave closes a worker's session: its open tasks are offered to others at once.
type Leave struct {
	Only  string
	ID    string
	Reply func(error)
}

func (in *Leave) refuse(err error) { in.Reply(err) }

func (in *Leave) admit(h *Hub) {
	s, err := h.own(in.ID, in.Only)
	switch {
	case err != nil:
		in.refuse(err)
	case h.full > 0:
		in.refuse(refusal.ErrDiskFull)
	default:
		h.close(s, failure.WorkerLeft, in.Reply)
	}
}

// Beat is a worker's sign of life for some of its attempts.
type Beat struct {
	Only   string
	ID     string
	Tokens []shard.BeatToken
	Reply  func(gone []leases.Token, err error)
}

func (in *Beat) refuse(err error) { in.Reply(nil, err) }

func (in *Beat) admit(h *Hub) {
	s, err := h.own(in.ID, in.Only)
	if err != nil {
		in.refuse(err)
		return
	}
	s.LastSeen = h.now.Mono
	by := make([][]shard.BeatToken, len(h.shards))
	now := h.now.Mono
	c := &collector{open: 1, done: func(gone []leases.Token, err error) {
		if err == nil {
			s.named(gone, now)
		}
		in.Reply(gone, err)
	}}
	for _, t := range in.Tokens {
		i := h.index(t.Run)
		if i < 0 {
			c.gone = append(c.gone, t.Token)
			continue
		}
		if by[i] == nil {
			c.open++
		}
		by[i] = append(by[i], t)
	}
	for i, tokens := range by {
		if tokens != nil {
			h.shards[i].link.Send(&shard.Beat{Tokens: tokens, Reply: c.add})
		}
	}
	c.add(nil, nil)
}
