package api

import (
	"errors"
	"net/http"
	"sync"

	"github.com/agnt5/agnt5d/model"
)

// ActiveHeader carries, in every answer of a node that waits for the journal, where the node that has it is reached.
const ActiveHeader = "Agnt5-Active"

// Standby answers for a node that has no journal yet: it lives, it is not ready, and it refuses everything else with the code standby. A
// client that knows several nodes asks the next one. Nobody needs a token for that, so the answers say no more than that; where the active
// node is stands in the header.
type Standby struct {
	guard  *guard
	mu     sync.Mutex
	detail string
	active string
}

// NewStandby gives the answers of a node that listens on an address, and under further names.
func NewStandby(listen string, hosts []string) *Standby {
	return &Standby{guard: newGuard(listen, hosts)}
}

// Tell sets what is answered: why the node waits, and where the active one is ("": not known).
func (s *Standby) Tell(detail, active string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detail, s.active = detail, active
}

// ServeHTTP answers a request.
func (s *Standby) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	leaveBody(w, r)
	h := w.Header()
	h["X-Content-Type-Options"], h["Cache-Control"] = nosniff, noStore
	answer := func(status int, kind string, v any) {
		b, _ := model.Marshal(v)
		h.Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write(append(b, '\n'))
	}
	var refused *model.Problem
	if errors.As(s.guard.check(r), &refused) {
		answer(refused.Status, "application/problem+json", refused)
		return
	}
	s.mu.Lock()
	detail, active := s.detail, s.active
	s.mu.Unlock()
	if active != "" {
		h.Set(ActiveHeader, active)
	}
	switch r.URL.Path {
	case "/healthz":
		answer(http.StatusOK, "application/json", healthy{"ok"})
	case "/readyz":
		answer(http.StatusServiceUnavailable, "application/json", readiness{Reasons: []readyReason{{"standby", detail}}})
	default:
		h.Set("Retry-After", "1")
		answer(http.StatusServiceUnavailable, "application/problem+json", problem("standby", detail))
	}
}
