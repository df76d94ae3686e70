package main

import (
	"fmt"
	"regexp"
	"time"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// Times for people stand in the reader's zone, or in UTC with --utc, and always say which: "2026-11-25 21:14:35+09:00", where Z
// is UTC. Events have them to the millisecond. Flags that take a time take this form, too.
const (
	toSecond = "2006-01-02 15:04:05Z07:00"
	toMilli  = "2006-01-02 15:04:05.000Z07:00"
)

// zone is where the reader of a verb's output is.
func zone(cmd *cobra.Command) *time.Location {
	if utc, err := cmd.Flags().GetBool("utc"); err == nil && utc {
		return time.UTC
	}
	return time.Local
}

// addUTC gives every verb the flag that zone reads.
func addUTC(root *cobra.Command) {
	root.PersistentFlags().Bool("utc", false, "show times in UTC instead of the local zone")
}

// local shows a time of the daemon in a zone, to the second.
func local(at string, in *time.Location) string { return inZone(at, in, toSecond) }

func inZone(at string, in *time.Location, layout string) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return at
	}
	return t.In(in).Format(layout)
}

var daemonTimes = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// localTimes puts the times within a text of the daemon into a zone.
func localTimes(text string, in *time.Location) string {
	return daemonTimes.ReplaceAllStringFunc(text, func(at string) string { return local(at, in) })
}

// between says how long it took from one time of the daemon to another.
func between(from, to string) string {
	a, err1 := time.Parse(time.RFC3339, from)
	b, err2 := time.Parse(time.RFC3339, to)
	if err1 != nil || err2 != nil {
		return ""
	}
	return span(b.Sub(a))
}

// span is a duration for people, with the digits that tell: 3ms, 1.2s, 4m05s, 3h07m, 5d.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return short(d)
}

// age says how long ago a time of the daemon was.
func age(at string) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return ""
	}
	return short(time.Since(t))
}

func short(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// timeline follows the events of runs and says how far apart they are.
type timeline struct {
	runs map[string]*pace
}

// pace is how a run goes on.
type pace struct {
	began, last time.Time
	attempts    map[string]time.Time // steps that run or wait: when that began
}

// maxPaces is of how many runs a timeline knows the last event; of one that it has forgotten the next event has no distance.
const maxPaces = 10_000

// happened is when an event happened: an attempt begins before its start is journaled, and that is the time it has.
func happened(e *model.Event) string {
	if said, ok := e.Data["started_at"].(string); ok && e.Kind == event.AttemptStarted.String() {
		return said
	}
	return e.At
}

// add takes the next event and says how long after the run's last event it was ("" for the first) and how long what ended with it
// had taken: an attempt, a wait, or the run.
func (t *timeline) add(e *model.Event) (since, took string) {
	at, err := time.Parse(time.RFC3339, happened(e))
	if err != nil || e.WorkflowID == "" {
		return "", ""
	}
	p := t.runs[e.WorkflowID]
	if p == nil {
		if t.runs == nil || len(t.runs) >= maxPaces {
			t.runs = map[string]*pace{}
		}
		p = &pace{attempts: map[string]time.Time{}}
		t.runs[e.WorkflowID] = p
	} else {
		since = "+" + span(at.Sub(p.last))
	}
	if at.After(p.last) {
		p.last = at
	}
	switch e.Kind {
	case "RunStarted":
		p.began = at
	case "RunCompleted", "RunFailed", "RunCancelled":
		if !p.began.IsZero() {
			took = span(at.Sub(p.began))
		}
		if e.Kind == "RunCompleted" {
			delete(t.runs, e.WorkflowID)
		}
	case "SignalAwaited", "TimerSet", "AttemptStarted":
		p.attempts[e.Step] = at
	case "AttemptFailed", "AttemptLost", "StepCompleted", "StepFailed", "StepTimedOut":
		if began, ok := p.attempts[e.Step]; ok {
			took = span(at.Sub(began))
		}
		delete(p.attempts, e.Step)
	}
	return since, took
}
