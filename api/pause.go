package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/model"
)

// runPauseBody is why something is done: history keeps it.
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

// pausedService is what became of a service.
type pausedService struct {
	Name   string `json:"name"`
	Paused bool   `json:"paused"`
}

func (s *Server) pauseService(w http.ResponseWriter, r *http.Request) error {
	return s.servicePaused(w, r, true, s.eng.PauseService)
}

func (s *Server) resumeService(w http.ResponseWriter, r *http.Request) error {
	return s.servicePaused(w, r, false, s.eng.ResumeService)
}

func (s *Server) servicePaused(w http.ResponseWriter, r *http.Request, paused bool, what func(ctx context.Context, name, reason string) error) error {
	var in runPauseBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	name := r.PathValue("name")
	if err := what(r.Context(), name, in.Reason); err != nil {
		return err
	}
	return s.reply(w, http.StatusAccepted, pausedService{name, paused})
}

// services gives every service, by name: those that are pushed to, those that workers serve, and those that are paused.
func (s *Server) services() ([]model.Service, error) {
	polled, err := s.eng.PolledServices()
	if err != nil || s.o.Push == nil {
		return polled, err
	}
	pushed := map[string]model.Service{}
	for _, p := range s.o.Push.List() {
		pushed[p.Name] = p
	}
	var all []model.Service
	for _, of := range polled {
		if p, ok := pushed[of.Name]; ok {
			p.Paused = of.Paused
			pushed[of.Name] = p
		} else {
			all = append(all, of)
		}
	}
	for _, p := range pushed {
		p.Kind = model.ServicePushed
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b model.Service) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
