package archive

import (
	"context"
	"errors"
	"math"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
)

// Timeline gives up to limit spans of a run's steps that began after the sequence after, in the order in which they began, and how
// each ended up to the record last, or up to and with the event at the sequence at (0: all of them). more: others began later. It
// reads the history from there, and no further than to where all of the spans have ended for good. What a newer release wrote ends it.
func (a *Archive) Timeline(ctx context.Context, h journal.Head, last, at, after uint64, limit int) (spans []model.Span, more bool, err error) {
	if at == 0 {
		at = math.MaxUint64
	}
	g, err := a.GraphOf(h.Run)
	if err != nil {
		return nil, false, err
	}
	t := &timeline{after: after, limit: limit, g: g, now: map[int32]*span{}, at: map[Attempt]*span{}}
	for rec, err := range a.Run(h.Run, last, a.position(h.Run, after)) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && rec.Seq > at {
			break
		}
		if err == nil {
			err = event.Decode(rec.Body, func(i int, e *event.Event) error {
				if seq := rec.Seq + uint64(i); seq <= at {
					t.take(seq, rec.At, e)
				}
				return nil
			})
		}
		if errors.Is(err, event.ErrFormat) {
			break
		}
		if err != nil {
			return nil, false, err
		}
		if t.more && t.unsettled == 0 {
			break
		}
	}
	spans = make([]model.Span, len(t.all))
	for i, s := range t.all {
		spans[i] = s.Span
	}
	return spans, t.more, nil
}

// timeline makes spans of events.
type timeline struct {
	after uint64
	limit int
	g     *flow.Graph

	all       []*span
	now       map[int32]*span   // the newest of each step
	at        map[Attempt]*span // attempts
	more      bool
	unsettled int // spans about which something may still come
}

// span is one of the timeline's, which may change until it has settled.
type span struct {
	model.Span
	settled bool
	ended   string // when it ended with the run, of a wait that goes on because the run was retried
}

// Outcomes of spans, besides those that are states of steps.
const (
	spanCompleted = "completed"
	spanFailed    = "failed"
	spanLost      = "lost"
	spanTimedOut  = "timed_out"
	spanCancelled = "cancelled"
	spanGranted   = "granted"
	spanWithdrawn = "withdrawn" // an attempt that nobody got: one that counted as lost has answered
)

// Kinds of spans.
const (
	spanAttempt = "attempt"
	spanWait    = "wait"
	spanKeys    = "keys"
)

func (t *timeline) take(seq uint64, at int64, e *event.Event) {
	s := t.now[e.Step]
	switch when := rfc3339.Format(at); e.Kind {
	case event.StepBlocked:
		t.begin(seq, when, e, spanKeys)
	case event.StepScheduled:
		t.begin(seq, when, e, spanAttempt)
	case event.SignalAwaited, event.TimerSet:
		if s != nil && s.ended != "" && s.EndedAt == "" { // it did not go on, but began anew
			t.end(s, s.ended, spanCancelled, true)
		}
		t.begin(seq, when, e, spanWait)
	case event.KeysGranted:
		t.close(s, spanKeys, when, spanGranted)
	case event.AttemptStarted:
		if s := t.at[Attempt{e.Step, e.Attempt}]; s != nil {
			if s.StartedAt = when; e.Time != 0 {
				s.StartedAt = rfc3339.Format(e.Time)
			}
			if s.Worker = e.Name; e.Forced {
				s.Worker = "in process"
			}
		}
		if lost := t.at[Attempt{e.Step, e.Attempt - 1}]; lost != nil && lost.Outcome == spanLost { // its worker is not heard any more
			t.settle(lost)
		}
	case event.AttemptFailed:
		t.answered(e, when, spanFailed, true)
	case event.AttemptLost:
		if s := t.at[Attempt{e.Step, e.Attempt}]; s != nil {
			s.Code = e.Code
			t.end(s, when, spanLost, false)
		}
	case event.RetrySet, event.StepDeferred:
		if s != nil && s.Kind == spanAttempt {
			s.RetryAt = rfc3339.Format(e.Due)
		}
	case event.RoundCompleted:
		t.answered(e, when, spanCompleted, false)
	case event.ConditionEvaluated:
		if round := s; e.Code == "until" && round != nil && round.Kind == spanAttempt {
			if e.Due != 0 {
				round.RetryAt = rfc3339.Format(e.Due)
			}
			t.settle(round)
		}
	case event.StepCompleted:
		if e.Ref == 0 { // else with what was there: a signal, the last round
			t.answered(e, when, spanCompleted, true)
		}
		t.close(s, spanWait, when, spanCompleted)
	case event.StepFailed:
		if s != nil && s.EndedAt == "" {
			s.Code, s.Message = e.Code, e.Message
			t.end(s, when, spanFailed, true)
		}
	case event.StepCorrected: // an attempt that a worker has goes on until that answers
		switch {
		case s == nil || s.EndedAt != "":
		case s.StartedAt != "":
			s.Outcome = spanCancelled
		default:
			t.end(s, when, spanCancelled, true)
		}
	case event.StepTimedOut:
		t.close(s, spanWait, when, spanTimedOut)
	case event.RunCompleted, event.RunFailed, event.RunCancelled:
		t.runEnded(when)
	case event.AttemptEnded:
		if s := t.at[Attempt{e.Step, e.Attempt}]; s != nil && s.Outcome == spanCancelled && s.EndedAt == "" {
			t.end(s, when, spanCancelled, true)
		}
	case event.RunReopened:
		for _, s := range t.now {
			if s.Kind == spanWait && s.Outcome == spanCancelled && !s.settled { // a wait goes on where it was
				s.ended, s.EndedAt, s.Outcome = s.EndedAt, "", ""
			}
		}
	}
}

// begin adds a span, unless it is not of this page.
func (t *timeline) begin(seq uint64, when string, e *event.Event, kind string) {
	if was := t.now[e.Step]; was != nil && was.Kind == spanWait && was.EndedAt != "" {
		t.settle(was)
	}
	delete(t.now, e.Step)
	if seq <= t.after {
		return
	}
	if len(t.all) >= t.limit {
		t.more = true
		return
	}
	s := &span{Span: model.Span{Seq: seq, Step: stepName(t.g, e.Step), Kind: kind, ScheduledAt: when}}
	if kind == spanAttempt {
		s.Attempt = e.Attempt
		t.at[Attempt{e.Step, e.Attempt}] = s
	}
	t.all = append(t.all, s)
	t.now[e.Step] = s
	t.unsettled++
}

func (t *timeline) settle(s *span) {
	if !s.settled {
		s.settled = true
		t.unsettled--
	}
}

func (t *timeline) end(s *span, when, outcome string, settled bool) {
	s.EndedAt, s.Outcome = when, outcome
	if settled {
		t.settle(s)
	}
}

// close ends a span of a kind that is open.
func (t *timeline) close(s *span, kind, when, outcome string) {
	if s != nil && s.Kind == kind && s.EndedAt == "" {
		t.end(s, when, outcome, true)
	}
}

// answered ends the attempt of an outcome. It may be one that counted as lost, and then nobody gets the one after it. Of a round that
// was not the last one it is yet to come when the next one begins: it has not settled.
func (t *timeline) answered(e *event.Event, when, outcome string, settled bool) {
	if s := t.at[Attempt{e.Step, e.Attempt}]; s != nil {
		s.Code, s.Message = e.Code, e.Message
		t.end(s, when, outcome, settled)
	}
	if next := t.now[e.Step]; next != nil && next.Kind == spanAttempt && next.Attempt > e.Attempt && next.EndedAt == "" {
		t.end(next, when, spanWithdrawn, true)
	}
}

// runEnded ends what is open. An attempt that a worker has goes on until that answers.
func (t *timeline) runEnded(when string) {
	for _, s := range t.all {
		switch {
		case s.settled || s.EndedAt != "" || s.Outcome != "":
		case s.StartedAt != "":
			s.Outcome = spanCancelled
		default:
			t.end(s, when, spanCancelled, s.Kind != spanWait)
		}
	}
}
