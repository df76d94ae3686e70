package api

import (
	"net/http"
	"time"

	"github.com/agnt5/agnt5d/flow"
)

type advanceBody struct {
	Advance string `json:"advance"` // "48h", "1d12h": the units of definitions
}

type clockTime struct {
	Now string `json:"now"`
}

// advanceClock moves the clock of a daemon that runs with --test-clock.
func (s *Server) advanceClock(w http.ResponseWriter, r *http.Request) error {
	var in advanceBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	ms, err := flow.ParseDuration(in.Advance)
	if err != nil {
		return problem("invalid_request", "advance: "+err.Error())
	}
	now, err := s.eng.Advance(r.Context(), time.Duration(ms)*time.Millisecond)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, clockTime{now.UTC().Format("2006-01-02T15:04:05.000Z")})
}
