package archive

import (
	"slices"

	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// ending fills in what a run that is finishing, or was, has left to do and has done.
func (a *Archive) ending(out *model.Status, l *Look) {
	s := l.S
	if s.Fate == replay.Running {
		return
	}
	out.Fate = s.Fate.String()
	c, compensates := s.Compensation()
	if !compensates {
		return
	}
	out.Compensation = &model.Compensation{Total: len(c.All), Done: len(c.Done), Failed: []model.CompensationFailed{}}
	for _, f := range c.Failed {
		out.Compensation.Failed = append(out.Compensation.Failed, model.CompensationFailed{Step: s.Name(f.Of), Code: f.Error.Code, Message: f.Error.Message, Attempt: f.Error.Attempt})
	}
	if c.Now < 0 {
		return
	}
	st := s.At(c.Now)
	state := st.State
	if _, working := l.Workers[c.Now]; working {
		state = replay.StepRunning
	}
	step, err := a.step(l, c.Now, state)
	if err != nil { // it reads nothing
		return
	}
	out.Compensation.Now = &model.CompensationNow{Step: s.Name(s.Target(c.Now)), State: step.State, Attempt: step.Attempt, Since: rfc3339.Format(st.Since),
		Due: step.Due, Worker: step.Worker, Error: step.Error}
}

// compensationOf is where the compensation of a step or an item stands; "": it has none, or none is needed.
func compensationOf(s *replay.State, i replay.Instance) string {
	if s.Fate != replay.Failed && s.Fate != replay.Cancelled {
		return ""
	}
	c, _ := s.Compensation()
	at := slices.Index(c.All, i)
	over := len(c.Done) + len(c.Failed)
	switch {
	case at < 0:
		return ""
	case slices.ContainsFunc(c.Failed, func(f replay.UndoFailure) bool { return f.Of == i }):
		return "failed"
	case at < over:
		return "done"
	case at == over && c.Now >= 0:
		return "running"
	}
	return "waiting"
}
