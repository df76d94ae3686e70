package api

import (
	"fmt"
	"net/http"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

func (s *Server) putWorkflow(w http.ResponseWriter, r *http.Request) error {
	def, problems := flow.Read(body(w))
	if problems = append(flow.WorkflowName(r.PathValue("name")), problems...); len(problems) > 0 {
		return problems
	}
	v, err := s.eng.RegisterVersion(r.Context(), r.PathValue("name"), def, false)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if v.Created {
		status = http.StatusCreated
	}
	return s.reply(w, status, v)
}

func (s *Server) listWorkflows(w http.ResponseWriter, r *http.Request) error {
	all, err := s.eng.Workflows(r.Context())
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, workflowList{all})
}

type workflowList struct {
	Workflows []engine.Workflow `json:"workflows"`
}

func (s *Server) getWorkflow(w http.ResponseWriter, r *http.Request) error {
	n := number(r.URL.Query().Get("version"), 0)
	wf, err := s.eng.Workflow(r.Context(), r.PathValue("name"), uint32(n))
	if err == engine.ErrWorkflowNotFound {
		what := fmt.Sprintf("no workflow %s", quote(r.PathValue("name")))
		if n > 0 {
			what += fmt.Sprintf(" with a version %d", n)
		}
		return problem("workflow_not_found", what)
	}
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, wf)
}

// workflowSchema is what an editor is pointed to.
func (s *Server) workflowSchema(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/schema+json")
	s.write(w, http.StatusOK, flow.Schema())
	return nil
}
