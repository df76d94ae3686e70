package api

import (
	"net/http"
	"sync"

	"github.com/agnt5/agnt5d/model"
)

// ActiveHeader carries, in every answer of a node that waits for the journal, where the node that has it is reached.
const ActiveHeader = "Agnt5-Active"

// Standby answers for a node that has no journal yet: it lives, it is not ready, and it refuses everything else with the code standby. A
// client that knows several nodes asks the next one.
type Standby struct {
	mu     sync.Mutex
	detail string
	active string
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
	w.Header()["X-Content-Type-Options"] = nosniff
	s.mu.Lock()
	detail, active := s.detail, s.active
	s.mu.Unlock()
	if active != "" {
		w.Header().Set(ActiveHeader, active)
	}
	w.Header().Set("Cache-Control", "no-store")
	var answer any
	status := http.StatusServiceUnavailable
	switch kind := "application/json"; r.URL.Path {
	case "/healthz":
		status, answer = http.StatusOK, healthy{"ok"}
		w.Header().Set("Content-Type", kind)
	case "/readyz":
		answer = readiness{Reasons: []readyReason{{"standby", detail}}}
		w.Header().Set("Content-Type", kind)
	default:
		answer = problem("standby", detail)
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "1")
	}
	b, _ := model.Marshal(answer)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
