package engine

import (
	"fmt"

	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// explainChild says what the child does for which a step waits.
func explainChild(r books, s *replay.State, i int32, out *Reason, depth int) {
	c, _ := s.Child(i)
	out.Command = "agnt5d explain " + ids.Word(c.ID)
	out.Detail = fmt.Sprintf("waits for its child, run %s of workflow %s", c.ID, s.Spec(i).Workflow)
	if due := s.At(i).Due; due != 0 {
		out.Detail += ", until " + rfc3339.Format(due) + r.overdue(s, due)
	}
	if c.Stopped {
		out.Detail += ", which is cancelled, for its time is over"
	}
	if r.past {
		out.Detail, out.Command = fmt.Sprintf("waits for its child, run %s of workflow %s", c.ID, s.Spec(i).Workflow), ""
		return
	}
	child := r.Of(c.ID)
	switch {
	case child == nil:
		out.Detail += ", which does nothing but wait"
	case child.S.Status == replay.Quarantined:
		out.Detail += ", which is quarantined (agnt5d cancel " + ids.Word(c.ID) + ")"
	case child.S.Status.Ended() && child.S.Resident():
		out.Detail, out.Command = out.Detail+", "+resting(child.S), restingHelp(child.S)
	case depth < 3:
		if why := urgent(r, child.S, depth); why != "" {
			out.Detail += ". There " + why
		}
	}
}

// urgent says what an open step of a child waits for, as the end of a sentence; "": nothing is open.
func urgent(r books, s *replay.State, depth int) string {
	if s.Pause != nil {
		return "all waits: it " + pausedText(s.Pause.At, s.Pause.By, s.Pause.Why)
	}
	if h, held := r.HeldBack(s.Run); held {
		return "all waits: it " + heldText(h)
	}
	run := r.Of(s.ID)
	for i, st := range s.All() {
		if st.State.Open() {
			return fmt.Sprintf("step %s %s", s.Name(i), reason(r, run, i, depth+1).Detail)
		}
	}
	return ""
}

// explainBirth says why the child of a step has not started yet.
func explainBirth(r books, s *replay.State, i int32, out *Reason) {
	spec := s.Spec(i)
	last, had := s.Child(i)
	switch {
	case r.still(s):
		out.Code, out.Detail = model.ReasonPaused, fmt.Sprintf("starts its child, a run of workflow %s, when the run is resumed", spec.Workflow)
	case !r.past && r.Lacks(spec):
		out.Code = model.ReasonNoWorkflow
		out.Detail = fmt.Sprintf("waits: no workflow %s is registered", spec.Workflow)
		if spec.WorkflowVersion != nil {
			out.Detail = fmt.Sprintf("waits: no version %d of a workflow %s is registered", *spec.WorkflowVersion, spec.Workflow)
		}
		out.Command = "agnt5d register " + ids.Word(spec.Workflow) + " FILE"
	case !r.past && had && r.Of(last.ID) != nil && r.Of(last.ID).S.Doomed():
		out.Detail = fmt.Sprintf("waits until its last child, run %s of workflow %s, has finished, and takes that up again then", last.ID, spec.Workflow)
		out.Code, out.Command = model.ReasonChild, "agnt5d explain "+ids.Word(last.ID)
	default:
		out.Code, out.Detail = model.ReasonQueued, fmt.Sprintf("is about to start its child, a run of workflow %s", spec.Workflow)
	}
}
