package archive

import (
	"encoding/json"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// Show makes of a journaled event what people see of it. g is the run's graph, nil for the engine's own events.
func Show(seq, n uint64, at int64, run string, g *flow.Graph, e *event.Event) model.Event {
	out := model.Event{Seq: seq, N: n, At: rfc3339.Format(at), WorkflowID: run, Kind: e.Kind.String(), Attempt: e.Attempt, Data: map[string]any{}}
	name := func(i int32) string { return stepName(g, i) }
	if e.OfStep() {
		out.Step = name(e.Step)
	}
	put := func(key, v string) {
		if v != "" {
			out.Data[key] = v
		}
	}
	when := func(key string, ms int64) {
		if ms != 0 {
			out.Data[key] = rfc3339.Format(ms)
		}
	}
	switch e.Kind {
	case event.RunStarted:
		put("workflow_name", e.Name)
		out.Data["version"] = e.Version
		put("digest", e.Digest)
		put("traceparent", e.Trace)
		out.Data["input"] = json.RawMessage(OrNull(e.Payload))
		when("start_at", e.Due)
		if len(e.Tags) > 0 {
			out.Data["tags"] = Tags(e.Tags)
		}
		if p := parentOf(e.Parent); p != nil {
			out.Data["parent"] = p
		}
	case event.ChildStarted:
		put("child", e.ID)
		put("workflow_name", e.Name)
		if e.Version != 0 {
			out.Data["version"] = e.Version
		}
		when("due", e.Due)
		out.Data["again"] = e.Forced
	case event.ChildStopped:
		put("code", e.Code)
	case event.ChildEnded:
		put("child", e.ID)
		put("state", e.Code)
	case event.RunTagged:
		changes := map[string]any{}
		for _, t := range e.Tags {
			changes[t.Name] = t.Value
			if t.Gone {
				changes[t.Name] = nil
			}
		}
		out.Data["tags"] = changes
	case event.RunFinishing:
		put("fate", e.Name)
		put("code", e.Code)
		if e.Name == "cancelled" {
			put("reason", e.Message)
		} else {
			put("message", e.Message)
		}
		if len(e.Payload) > 0 {
			out.Data["output"] = json.RawMessage(e.Payload)
		}
	case event.RunFailed:
		put("code", e.Code)
		put("message", e.Message)
	case event.RunCompleted:
		if len(e.Payload) > 0 {
			out.Data["output"] = json.RawMessage(e.Payload)
		}
	case event.AttemptStarted:
		put("worker", e.Name)
		if e.Forced {
			put("worker", "in process")
		}
		when("started_at", e.Time)
	case event.AttemptFailed, event.AttemptLost, event.StepFailed:
		put("code", e.Code)
		put("message", e.Message)
		put("type", e.Type)
		put("stack", e.Stack)
		if e.Kind == event.AttemptFailed {
			out.Data["retryable"] = !e.Forced
		}
		when("not_before", e.Due)
	case event.StepCompleted, event.RoundCompleted:
		if spec := specOf(g, e.Step); e.Ref != 0 && spec != nil && spec.Repeat != nil {
			out.Data["round_seq"] = e.Ref
		} else if e.Ref != 0 {
			out.Data["signal_seq"] = e.Ref
		} else {
			out.Data["output"] = json.RawMessage(OrNull(e.Payload))
		}
		if len(e.Objects) > 0 {
			objects := map[string]any{}
			for _, o := range e.Objects {
				objects[o.Key] = map[string]any{"state": json.RawMessage(OrNull(o.State)), "version": o.Version, "fence": o.Fence}
			}
			out.Data["objects"] = objects
		}
	case event.StepSkipped:
		put("reason", e.Code)
	case event.ConditionEvaluated:
		out.Data["result"] = e.Forced
		out.Data["saw"] = json.RawMessage(OrNull(e.Payload))
		if s := specOf(g, e.Step); s != nil {
			if e.Code == "until" && s.Repeat != nil {
				put("until", s.Repeat.Until)
			} else {
				put("when", s.When)
			}
		}
		put("of", e.Code)
		when("due", e.Due)
	case event.TemplatesEvaluated:
		if len(e.Payload) > 0 {
			out.Data["input"] = json.RawMessage(e.Payload)
		}
		if len(e.Objects) > 0 {
			keys := make([]string, len(e.Objects))
			for i := range keys {
				keys[i] = e.Objects[i].Key
			}
			out.Data["object_keys"] = keys
		}
	case event.FailureCaught:
		if s := specOf(g, e.Step); s != nil {
			put("on_failure", s.OnFailure)
		}
	case event.ItemsSet:
		if e.Payload != nil {
			n := 0
			flow.EachItem(e.Payload, func([]byte) { n++ })
			out.Data["count"] = n
			out.Data["list"] = json.RawMessage(e.Payload)
		}
	case event.StepDeferred:
		put("timer", name(e.Timer))
		when("due", e.Due)
	case event.RetrySet, event.SignalAwaited, event.TimerSet:
		when("due", e.Due)
	case event.SignalReceived:
		put("name", e.Name)
		put("signal_id", e.ID)
		out.Data["payload"] = json.RawMessage(OrNull(e.Payload))
	case event.TimerFired:
		out.Data["forced"] = e.Forced
	case event.RunForked:
		put("forked_from", e.ID)
		put("from", e.Name)
		out.Data["forked_from_run"] = e.Ref
		put("reason", e.Message)
	case event.StepKept:
		put("state", e.Name)
		put("code", e.Code)
		put("message", e.Message)
		put("type", e.Type)
		put("stack", e.Stack)
		completed := e.Name == replay.StepCompleted.String()
		switch {
		case e.Ref != 0:
			out.Data["signal_seq"] = e.Ref
		case completed:
			out.Data["output"] = json.RawMessage(OrNull(e.Payload))
		}
		if e.Forced {
			out.Data[map[bool]string{true: "set", false: "caught"}[completed]] = true
		}
	case event.StepCorrected:
		put("as", e.Code)
		put("reason", e.Message)
	case event.RunCancelled, event.RunReopened, event.RunPaused, event.RunResumed:
		put("reason", e.Message)
	case event.RunQuarantined:
		out.Data["damaged_seq"] = e.Ref
		put("message", e.Message)
	case event.WorkflowRegistered, event.WorkflowUsed, event.WorkflowDeleted:
		put("workflow_name", e.Name)
		out.Data["version"] = e.Version
		put("digest", e.Digest)
	case event.ObjectDeleted:
		put("key", e.Name)
	case event.SettingChanged:
		put("key", e.Name)
		put("what", e.Message)
	case event.ScheduleChanged:
		put("schedule", e.Name)
		out.Data["revision"] = e.Version
		put("what", e.Code)
		out.Data["definition"] = json.RawMessage(OrNull(e.Payload))
	case event.ScheduleDecided:
		put("schedule", e.Name)
		out.Data["revision"] = e.Version
		when("nominal_at", e.Due)
		put("outcome", e.Code)
		put("run", e.ID)
		put("detail", e.Message)
		when("last_nominal_at", e.Time)
		if e.Ref != 0 {
			out.Data["count"] = e.Ref
		}
	case event.EngineStarted:
		put("release", e.Message)
		out.Data["unclean"] = e.Forced
	case event.RunsDeleted:
		put("reason", e.Message)
		out.Data["workflow_ids"] = deleted(e.Payload)
	}
	put("by", e.By)
	if len(out.Data) == 0 {
		out.Data = nil
	}
	return out
}

// stepName is what a step of a run is called; g may be nil.
func stepName(g *flow.Graph, i int32) string {
	if g != nil {
		return g.NameOf(i)
	}
	return fmt.Sprintf("#%d", i)
}

// specOf is what a step or an item of a run does; nil: it is not known.
func specOf(g *flow.Graph, i int32) *flow.Step {
	if g == nil {
		return nil
	}
	if spec := g.UndoSpec(i); spec != nil {
		return spec
	}
	if list, _, ok := g.Item(i); ok {
		i = g.Lists[list].Step
	}
	if int(i) >= len(g.Def.Steps) {
		return nil
	}
	return &g.Def.Steps[i]
}

// Opaque is Show of an event that a newer release wrote: of its data nothing is known here.
func Opaque(seq, n uint64, at int64, run string, kind event.Kind) model.Event {
	return model.Event{Seq: seq, N: n, At: rfc3339.Format(at), WorkflowID: run, Kind: kind.String(), NewerRelease: true}
}

// deleted is the ids of the runs that a RunsDeleted names.
func deleted(payload []byte) []string {
	ids := []string{}
	for _, d := range event.ReadDeleted(payload) {
		ids = append(ids, d.ID)
	}
	return ids
}
