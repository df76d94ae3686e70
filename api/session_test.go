package api

import (
	"testing"
	"time"

	"github.com/agnt5/agnt5d/access"
)

// Whoever signs in again and again ends old sessions of the same token, and nobody else's.
func TestSessionsAreBoundedByToken(t *testing.T) {
	var s sessions
	ann, thief := &access.Token{Name: "ann"}, &access.Token{Name: "thief"}
	now := time.Unix(1000, 0)
	own := s.open(ann, now)
	first := s.open(thief, now)
	for i := range 3 * maxSessions {
		s.open(thief, now.Add(time.Duration(i+1)*time.Second))
	}
	if s.find(own, now) != ann || s.find(first, now) != nil || len(s.all) != maxSessions+1 {
		t.Errorf("ann is signed in: %v, the first of the others: %v, sessions: %d", s.find(own, now) == ann, s.find(first, now) != nil, len(s.all))
	}
	s.open(ann, now.Add(2*sessionLasts))
	if len(s.all) != 1 {
		t.Errorf("%d sessions when all but one are over", len(s.all))
	}
}
