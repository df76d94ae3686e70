package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/agnt5/agnt5d/flow"
)

// completeBody is what a step is completed with by hand.
type completeBody struct {
	Output json.RawMessage `json:"output,omitempty"` // any JSON; absent: null
	Reason string          `json:"reason,omitempty"`
	Index  *int            `json:"index,omitempty"` // of an item of a step with for_each, from 0; absent: the step itself
}

// correctBody says why a step is skipped or failed.
type correctBody struct {
	Reason string `json:"reason,omitempty"`
	Index  *int   `json:"index,omitempty"` // of an item of a step with for_each, from 0; absent: the step itself
}

// corrects is the step of the path, or the item of it that a body names.
func corrects(r *http.Request, index *int) (run, step string) {
	run, step = r.PathValue("id"), r.PathValue("step")
	if index != nil {
		step = flow.ItemName(step, *index)
	}
	return run, step
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
	run, step := corrects(r, in.Index)
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
	var in correctBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	run, step := corrects(r, in.Index)
	if err := what(r.Context(), run, step, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, corrected{run, step})
}
