package api

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/agnt5/agnt5d/engine"
)

// forkBody says how a run is forked.
type forkBody struct {
	From       string                     `json:"from"`                  // the step from which the new run runs again, with everything after it
	Set        map[string]json.RawMessage `json:"set,omitempty"`         // outputs, by step: these steps count as completed
	InputData  json.RawMessage            `json:"input_data,omitempty"`  // any JSON; absent: that of the run
	Version    uint32                     `json:"version,omitempty"`     // of the workflow; absent or 0: that of the run
	WorkflowID *string                    `json:"workflow_id,omitempty"` // of the new run; absent: one is made
	Reason     string                     `json:"reason,omitempty"`      // kept in the history of the new run
	Plan       bool                       `json:"plan,omitempty"`        // only say what would become of each step
}

func (s *Server) forkRun(w http.ResponseWriter, r *http.Request) error {
	var in forkBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	f := engine.Fork{From: in.From, Version: in.Version, Reason: in.Reason, Set: map[string]any{}}
	for step, output := range in.Set {
		f.Set[step] = output
	}
	if in.InputData != nil {
		f.Input = in.InputData
	}
	if own, given := ownID(in.WorkflowID, r); given {
		if f.ID = own; own == "" {
			return problem("invalid_request", "workflow_id: it is empty; leave it out to have one made")
		}
	}
	do := s.eng.Fork
	if in.Plan {
		do = s.eng.PlanFork
	}
	out, err := do(r.Context(), r.PathValue("id"), f)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if out.Created {
		status = http.StatusCreated
		w.Header().Set("Location", "/v1/runs/"+url.PathEscape(out.WorkflowID))
	}
	return s.reply(w, status, out)
}
