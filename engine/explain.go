package engine

import (
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/ring"
	"github.com/agnt5/agnt5d/worker"
)

// reasons explains every open step of a run in memory. The loop calls it.
func reasons(r *ring.Ring, run *ring.Run) []Reason {
	s := run.S
	if s.Status == replay.Quarantined {
		return []Reason{{Code: "quarantined", Detail: s.Reason, Command: "agnt5d cancel " + s.ID}}
	}
	if s.Status.Ended() {
		return nil
	}
	var all []Reason
	if r.Full() {
		all = append(all, Reason{Code: "disk_full", Detail: "the disk is full: nothing is dispatched until there is space"})
	}
	for i := range s.Steps {
		if s.Steps[i].State.Open() {
			all = append(all, reason(r, run, int32(i), 0))
		}
	}
	return all
}

func reason(r *ring.Ring, run *ring.Run, i int32, depth int) Reason {
	s := run.S
	def, st := &s.Graph.Def.Steps[i], &s.Steps[i]
	out := Reason{Step: def.Name}
	due := replay.FormatTime(st.Due)
	switch st.State {
	case replay.StepWaiting:
		if def.Type == flow.TypeWaitTimer {
			out.Code, out.Detail = "timer", fmt.Sprintf("waits for timer %q until %s", def.Timer.Key, due)
			out.Command = fmt.Sprintf("agnt5d fire %s %s", s.ID, def.Timer.Key)
			break
		}
		out.Code, out.Detail = "signal", fmt.Sprintf("waits for signal %q", def.Signal.Name)
		if st.Due != 0 {
			out.Detail += " until " + due
		}
		out.Command = fmt.Sprintf("agnt5d signal %s %s", s.ID, def.Signal.Name)
	case replay.StepRetrying:
		policy := flow.RetryPolicy(def)
		out.Code, out.Detail = "retry_at", fmt.Sprintf("attempt %d of %d failed (%s); retry %d of %d at %s", st.Failures, policy.MaxAttempts, errorText(st.Error), st.Failures, policy.MaxAttempts-1, due)
	case replay.StepDeferred:
		key := s.Graph.Def.Steps[st.Timer].Timer.Key
		out.Code, out.Detail = "timer", fmt.Sprintf("failed (%s) and waits for timer %q again until %s", errorText(st.Error), key, due)
		out.Command = fmt.Sprintf("agnt5d fire %s %s", s.ID, key)
	case replay.StepBlocked:
		out.Code, out.Detail = "key_held", keyHeld(r, st, depth)
	case replay.StepScheduled, replay.StepRunning:
		explainTask(r, run, i, &out)
	}
	return out
}

func errorText(e *replay.StepError) string {
	if e == nil {
		return "unknown"
	}
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

func keyHeld(r *ring.Ring, st *replay.Step, depth int) string {
	key, owner, held, ok := r.Before(st.Request)
	if !ok {
		return "its object keys are being granted"
	}
	how := "wanted earlier"
	if held {
		how = "held"
	}
	other := r.Peek(owner.Run)
	if other == nil {
		return fmt.Sprintf("key %q is %s by another run", key, how)
	}
	text := fmt.Sprintf("key %q is %s by run %s, step %s", key, how, other.S.ID, other.S.Graph.Def.Steps[owner.Step].Name)
	if depth < 3 {
		text += ", which " + why(r, other, owner.Step, depth+1)
	}
	return text
}

// why is what another run's step does, as the end of a sentence.
func why(r *ring.Ring, run *ring.Run, step int32, depth int) string {
	if run.S.Status == replay.Quarantined {
		return "is quarantined (agnt5d cancel " + run.S.ID + ")"
	}
	if o, out := run.S.Out(step); out {
		return fmt.Sprintf("was cancelled while worker %s has attempt %d: it keeps the key until that answers or its lease runs out", nameOf(o.Worker), o.Attempt)
	}
	if !run.S.Steps[step].State.Open() {
		return "is " + run.S.Steps[step].State.String()
	}
	return reason(r, run, step, depth).Detail
}

func nameOf(w string) string {
	if w == "" {
		return "in process"
	}
	return w
}

func explainTask(r *ring.Ring, run *ring.Run, i int32, out *Reason) {
	s := run.S
	def, st := &s.Graph.Def.Steps[i], &s.Steps[i]
	slot := r.Hub.Slot(s.Run, i)
	h := r.Hub.Handler(def.Service, def.Handler)
	if o, is := s.Out(i); is {
		out.Code, out.Detail = "running", fmt.Sprintf("waits until attempt %d, which was cancelled while worker %s had it, answers or its lease runs out", o.Attempt, nameOf(o.Worker))
		return
	}
	switch {
	case slot != nil && slot.State != worker.Queued:
		out.Code, out.Detail = "running", fmt.Sprintf("attempt %d is running on worker %s since %s", st.Attempt, slot.Worker, replay.FormatTime(slot.StartedAt))
	case h.Sessions() == 0:
		out.Code, out.Detail = "no_worker", fmt.Sprintf("waits for a worker: no worker serves %s/%s", def.Service, def.Handler)
		out.Command = "agnt5d workers"
	case h.Full():
		out.Code, out.Detail = "service_full", fmt.Sprintf("waits its turn: service %s runs its max_concurrent of %d", def.Service, h.Service.Limit)
	default:
		out.Code, out.Detail = "queued", fmt.Sprintf("waits its turn: %d offers for %s/%s, all %d workers are busy", h.Queued(), def.Service, def.Handler, h.Sessions())
	}
}
