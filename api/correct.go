package api

import (
	"context"
	"encoding/json"
	"net/http"
)

// completeBody is what a step is completed with by hand.
type completeBody struct {
	Output json.RawMessage `json:"output,omitempty"` // any JSON; absent: null
	Reason string          `json:"reason,omitempty"`
}

// corrected is what became of a step.
type corrected struct {
	WorkflowID string `json:"workflow_id"`
	Step       string `json:"step"`
}

func (s *Server) completeStep(w http.ResponseWriter, r *http.Request) error {
	var in completeBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	run, step := r.PathValue("id"), r.PathValue("step")
	if err := s.eng.CompleteStep(r.Context(), run, step, in.Output, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, corrected{run, step})
}

func (s *Server) skipStep(w http.ResponseWriter, r *http.Request) error {
	return s.correct(w, r, s.eng.SkipStep)
}

func (s *Server) failStep(w http.ResponseWriter, r *http.Request) error {
	return s.correct(w, r, s.eng.FailStep)
}

func (s *Server) correct(w http.ResponseWriter, r *http.Request, what func(ctx context.Context, run, step, reason string) error) error {
	var in runPauseBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	run, step := r.PathValue("id"), r.PathValue("step")
	if err := what(r.Context(), run, step, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, corrected{run, step})
}
