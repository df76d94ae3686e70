package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/model"
)

// eventLines writes events for people, a line each: sequence, time, how long after the run's last event, and what it says.
type eventLines struct {
	in    *time.Location
	named bool // with the id of the run
	timeline
}

func (l *eventLines) line(e *model.Event) string {
	since, took := l.add(e)
	text := fmt.Sprintf("%6d  %s  %8s  %s", e.Seq, inZone(happened(e), l.in, toMilli), since, summary(e, l.in))
	if took != "" {
		text += "  took " + took
	}
	if l.named && e.WorkflowID != "" {
		text += "  [" + e.WorkflowID + "]"
	}
	return text
}

// summary says what an event is about.
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
	for _, k := range []string{"workflow_name", "version", "worker", "timer", "name", "signal_id", "signal_seq", "due", "code", "message", "reason", "forced", "unclean", "key", "what", "release", "damaged_seq", "by"} {
		v, ok := e.Data[k]
		if !ok || v == false || v == "" || k == "by" && v == engine.Local {
			continue
		}
		if k == "due" {
			v = localTimes(fmt.Sprint(v), in)
		}
		if s := fmt.Sprint(v); len(s) > 120 {
			v = s[:117] + "..."
		}
		fmt.Fprintf(b, " %s=%s", k, visible(fmt.Sprint(v)))
	}
	for _, k := range []string{"input", "output", "payload"} {
		if v, ok := e.Data[k]; ok {
			s := fmt.Sprintf("%s", v)
			if len(s) > 80 {
				s = s[:77] + "..."
			}
			if s != "null" {
				fmt.Fprintf(b, " %s=%s", k, s)
			}
		}
	}
	return b.String()
}
