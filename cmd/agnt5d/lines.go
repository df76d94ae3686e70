package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/model"
)

// eventLines writes events for people, a line each: sequence, time, how long after the run's last event, and what it says.
type eventLines struct {
	in    *time.Location
	named bool // with the id of the run
	timeline
	rounds map[[2]string]any // by run and step: what the last round of a step that repeats gave
}

func (l *eventLines) line(e *model.Event) string {
	since, took := l.add(e)
	e = l.withOutput(e)
	text := fmt.Sprintf("%6d  %s  %8s  %s", e.Seq, inZone(happened(e), l.in, toMilli), since, summary(e, l.in))
	if took != "" {
		text += "  took " + took
	}
	if l.named && e.WorkflowID != "" {
		text += "  [" + e.WorkflowID + "]"
	}
	return text
}

// withOutput is an event that completes a step which repeats, with the output that its last round said.
func (l *eventLines) withOutput(e *model.Event) *model.Event {
	key := [2]string{e.WorkflowID, e.Step}
	switch e.Kind {
	case event.RoundCompleted.String():
		if l.rounds == nil || len(l.rounds) >= maxPaces {
			l.rounds = map[[2]string]any{}
		}
		l.rounds[key] = e.Data["output"]
	case event.StepCompleted.String():
		out, known := l.rounds[key]
		delete(l.rounds, key)
		if _, repeats := e.Data["round_seq"]; repeats && known {
			whole := *e
			whole.Data = maps.Clone(e.Data)
			whole.Data["output"] = out
			return &whole
		}
	}
	return e
}

// fields are what stands in an event's line first, in this order; whatever else an event has comes behind them.
var fields = []string{"workflow_name", "schedule", "version", "revision", "worker", "timer", "name", "signal_id", "signal_seq", "round_seq", "on_failure",
	"of", "when", "until", "result", "saw", "outcome", "run", "due", "not_before", "nominal_at", "last_nominal_at", "count", "code", "type", "retryable", "message",
	"detail", "reason", "forced", "unclean", "key", "what", "release", "damaged_seq", "workflow_ids", "definition", "input", "output", "payload", "objects"}

// unsaid is what a line leaves out: hashes, texts of many lines, and what the line begins with. -o json has all of it.
var unsaid = []string{"digest", "traceparent", "stack", "started_at", "by"}

// moments are the fields that are times.
var moments = []string{"due", "not_before", "nominal_at", "last_nominal_at"}

// summary says what an event is about, and at the end who did it.
func summary(e *model.Event, in *time.Location) string {
	b := &strings.Builder{}
	b.WriteString(e.Kind)
	if e.NewerRelease {
		b.WriteString(" (written by a newer release of agnt5d)")
	}
	if e.Step != "" {
		b.WriteString(" " + e.Step)
	}
	if e.Attempt > 1 || e.Kind == event.AttemptStarted.String() {
		fmt.Fprintf(b, " attempt %d", e.Attempt)
	}
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(e.Data)), func(k string) bool { return slices.Contains(fields, k) || slices.Contains(unsaid, k) })
	for _, k := range slices.Concat(fields, others, []string{"by"}) {
		if text := said(k, e.Data[k], in); text != "" {
			fmt.Fprintf(b, " %s=%s", k, text)
		}
	}
	return b.String()
}

// said is a field of an event on its line; "" when it says nothing: what is usual is left out.
func said(key string, value any, in *time.Location) string {
	text, most := "", 120
	switch v := value.(type) {
	case nil:
		return ""
	case bool:
		if v == (key == "retryable") && key != "result" {
			return ""
		}
		return fmt.Sprint(v)
	case []string:
		if text = strings.Join(v, ","); key == "workflow_ids" {
			text = count(len(v), "run") + ": " + text
		}
	case map[string]any: // the same as from a daemon
		whole, err := model.Marshal(v)
		if err != nil {
			return ""
		}
		return said(key, json.RawMessage(whole), in)
	case []any: // the same, as it comes from a daemon
		if other := slices.ContainsFunc(v, func(one any) bool { _, is := one.(string); return !is }); other || key == "list" {
			whole, err := model.Marshal(v)
			if err != nil {
				return ""
			}
			return said(key, json.RawMessage(whole), in)
		}
		ids := make([]string, len(v))
		for i := range v {
			ids[i] = fmt.Sprint(v[i])
		}
		return said(key, ids, in)
	case json.RawMessage:
		if text = string(v); text == "null" {
			return ""
		}
		most = 80
	default:
		if text = fmt.Sprint(v); slices.Contains(moments, key) {
			text = local(text, in)
		}
	}
	if r := []rune(text); len(r) > most {
		text = string(r[:most-3]) + "..."
	}
	return visible(text)
}
