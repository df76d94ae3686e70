package api

import (
	"context"
	"net/http"
)

// runPauseBody is why a run is paused or resumed: history keeps it.
type runPauseBody struct {
	Reason string `json:"reason,omitempty"`
}

func (s *Server) pauseRun(w http.ResponseWriter, r *http.Request) error {
	return s.paused(w, r, s.eng.Pause)
}

func (s *Server) resumeRun(w http.ResponseWriter, r *http.Request) error {
	return s.paused(w, r, s.eng.Resume)
}

func (s *Server) paused(w http.ResponseWriter, r *http.Request, what func(ctx context.Context, run, reason string) error) error {
	var in runPauseBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := what(r.Context(), id, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, accepted{id})
}
