package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
)

// completeBody is what a step is completed with by hand.
type completeBody struct {
	Output json.RawMessage `json:"output,omitempty"` // any JSON; absent: null
	Reason string          `json:"reason,omitempty"`
	Index  *int            `json:"index,omitempty"` // of an item of a step with for_each, from 0; absent: the step itself
	Plan   bool            `json:"plan,omitempty"`  // only say what it would do
}

// correctBody says why a step is skipped or failed.
type correctBody struct {
	Reason string `json:"reason,omitempty"`
	Index  *int   `json:"index,omitempty"` // of an item of a step with for_each, from 0; absent: the step itself
	Plan   bool   `json:"plan,omitempty"`  // only say what it would do
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
	if in.Plan {
		return s.plan(w, r, engine.Deed{Do: model.DeedComplete, Step: step, Output: in.Output, Reason: in.Reason})
	}
	if err := s.eng.CompleteStep(r.Context(), run, step, in.Output, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, corrected{run, step})
}

func (s *Server) skipStep(w http.ResponseWriter, r *http.Request) error {
	return s.correct(w, r, model.DeedSkip, s.eng.SkipStep)
}

func (s *Server) failStep(w http.ResponseWriter, r *http.Request) error {
	return s.correct(w, r, model.DeedFail, s.eng.FailStep)
}

func (s *Server) correct(w http.ResponseWriter, r *http.Request, deed string, what func(ctx context.Context, run, step, reason string) error) error {
	var in correctBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	run, step := corrects(r, in.Index)
	if in.Plan {
		return s.plan(w, r, engine.Deed{Do: deed, Step: step, Reason: in.Reason})
	}
	if err := what(r.Context(), run, step, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, corrected{run, step})
}

// plan says what a deed would do to the run of the path.
func (s *Server) plan(w http.ResponseWriter, r *http.Request, d engine.Deed) error {
	out, err := s.eng.Plan(r.Context(), r.PathValue("id"), d)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, out)
}
