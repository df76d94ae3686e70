package api

import (
	"net/http"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

func (s *Server) putWorkflow(w http.ResponseWriter, r *http.Request) error {
	def, problems := flow.Read(body(r))
	if problems = append(flow.WorkflowName(r.PathValue("name")), problems...); len(problems) > 0 {
		return problems
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	v, err := s.eng.RegisterVersion(r.Context(), r.PathValue("name"), def, false)
	if err == nil {
		err = s.publishedBy(r, r.PathValue("name"), "") // it is no worker's any more
	}
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
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, wf)
}

func (s *Server) deleteWorkflow(w http.ResponseWriter, r *http.Request) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	name, version := r.PathValue("name"), uint32(number(r.URL.Query().Get("version"), 0))
	digests, err := s.eng.Digests(name, version)
	if err != nil {
		return err
	}
	if s.o.Access != nil && len(digests) > 0 { // first: a version that stays after all is known as one that is there
		if err := s.o.Access.NoteDeleted(r.Context(), name, digests); err != nil {
			return err
		}
	}
	if err := s.eng.DeleteWorkflow(r.Context(), name, version); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type useBody struct {
	Version uint32 `json:"version"` // that the name has had
}

// useWorkflow makes a version that the name has had current again.
func (s *Server) useWorkflow(w http.ResponseWriter, r *http.Request) error {
	var in useBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	v, err := s.eng.UseVersion(r.Context(), r.PathValue("name"), in.Version)
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, v)
}

// workflowSchema is what an editor is pointed to.
func (s *Server) workflowSchema(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/schema+json")
	s.write(w, http.StatusOK, flow.Schema())
	return nil
}
