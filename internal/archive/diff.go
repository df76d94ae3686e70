package archive

import (
	"context"
	"fmt"
	"reflect"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// trace is what happened in a run, apart from when, where and under which ids: what two runs of the same that went the same way have in
// common, however their steps overlapped.
type trace struct {
	s        *replay.State
	what     map[subject][]happening // in order
	order    []subject               // as they first came
	times    map[string][2]int64     // of each step: when something first and last happened to it
	attempts int
	last     int64 // time of the last event

	signals map[uint64]uint64 // SignalReceived -> the hash of its payload
}

// subject is to what something happens: a step, a signal, or (neither) the run.
type subject struct{ step, signal string }

// happening is an event, and what of it must be the same in both runs.
type happening struct {
	same string
	ev   model.DiffEvent
}

// trace folds a run up to the record last and notes what happened.
func (a *Archive) trace(ctx context.Context, h journal.Head, last uint64) (*trace, error) {
	t := &trace{what: map[subject][]happening{}, times: map[string][2]int64{}, signals: map[uint64]uint64{}}
	for rec, err := range a.Run(h.Run, last, 1) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			t.s, err = Fold(t.s, rec, a.Graph, func(s *replay.State, i int, e *event.Event) error {
				t.note(s, rec, i, e)
				return nil
			})
		}
		if err != nil {
			return nil, err
		}
	}
	if t.s == nil {
		return nil, &BrokenError{Run: h.Run, Seq: h.Run, Why: fmt.Errorf("the run has no records")}
	}
	return t, nil
}

func (t *trace) note(s *replay.State, rec *journal.Record, i int, e *event.Event) {
	t.last = rec.At
	var at subject
	if e.OfStep() {
		at.step = s.Name(e.Step)
		span, known := t.times[at.step]
		if !known {
			span[0] = rec.At
		}
		span[1] = rec.At
		t.times[at.step] = span
	}
	seq, n := place(rec, i)
	payload := replay.HashBytes(e.Payload)
	switch e.Kind {
	case event.StepScheduled:
		t.attempts++
	case event.SignalReceived:
		at.signal = e.Name
		t.signals[seq] = payload
	case event.RoundCompleted:
	case event.StepCompleted:
		if e.Ref != 0 {
			payload = t.signals[e.Ref]
		}
	case event.RunFailed:
		at.step = ""
	case event.RunStarted, event.AttemptFailed, event.AttemptLost, event.StepDeferred, event.StepFailed, event.StepTimedOut, event.StepSkipped, event.TimerFired,
		event.RunCompleted, event.RunCancelled, event.RunReopened, event.RunQuarantined, event.StepCorrected, event.StepKept:
	default: // when it waits, and who works on it, is not what it does
		return
	}
	if _, known := t.what[at]; !known {
		t.order = append(t.order, at)
	}
	same := fmt.Sprint(e.Kind, e.Attempt, e.Forced, payload)
	switch e.Kind {
	case event.RunStarted:
		same += fmt.Sprintf("%q", e.Name)
	case event.RunFailed:
		if same += e.Code; e.OfStep() {
			same += s.Name(e.Step)
		}
	case event.SignalReceived, event.StepCompleted, event.StepScheduled:
	default:
		same += fmt.Sprintf("%q %q %q", e.Code, e.Type, e.Message)
	}
	t.what[at] = append(t.what[at], happening{same, model.DiffEvent{Seq: seq, N: n, At: rfc3339.Format(rec.At), Kind: e.Kind.String(), Attempt: e.Attempt, Code: e.Code, Message: e.Message}})
}

// Diff compares two runs, each up to its last record. With all, the steps that do not differ are there, too.
func (a *Archive) Diff(ctx context.Context, first, second journal.Head, lastFirst, lastSecond uint64, all bool) (*model.Diff, uint64, error) {
	x, err := a.trace(ctx, first, lastFirst)
	if err != nil {
		return nil, first.Run, err
	}
	y, err := a.trace(ctx, second, lastSecond)
	if err != nil {
		return nil, second.Run, err
	}
	out := &model.Diff{A: x.run(), B: y.run(), Differs: []string{}, Steps: []model.DiffStep{}, Divergence: diverge(x, y), Definition: definitions(x.s, y.s)}
	differs := func(is bool, what string) {
		if is {
			out.Differs = append(out.Differs, what)
		}
	}
	differs(x.s.Workflow != y.s.Workflow, "workflow")
	differs(!out.Definition.Same, "definition")
	sameInput, err := a.same(x.s.Input, y.s.Input)
	if err != nil {
		return nil, first.Run, err
	}
	differs(!sameInput, "input")
	differs(x.s.Status != y.s.Status, "state")
	differs(!reflect.DeepEqual(out.A.Error, out.B.Error), "error")
	for i := range x.s.All() {
		name := x.s.Name(i)
		step := model.DiffStep{Step: name, A: x.side(name), B: y.side(name)}
		if step.Differs, err = a.differ(x, y, name); err != nil {
			return nil, first.Run, err
		}
		if all || len(step.Differs) > 0 {
			out.Steps = append(out.Steps, step)
		}
	}
	for i := range y.s.All() {
		if name := y.s.Name(i); x.step(name) == nil {
			out.Steps = append(out.Steps, model.DiffStep{Step: name, Differs: []string{"missing"}, B: y.side(name)})
		}
	}
	return out, 0, ctx.Err()
}

// diverge finds what was first not the same: of each step, signal and of the run itself, the first place where they differ; of those
// the one that came first in either run.
func diverge(x, y *trace) (out *model.Divergence) {
	best := uint64(0)
	for _, at := range append(x.order, y.order...) {
		a, b := x.what[at], y.what[at]
		k := 0
		for k < len(a) && k < len(b) && a[k].same == b[k].same {
			k++
		}
		if k == len(a) && k == len(b) {
			continue
		}
		d := &model.Divergence{Step: at.step, Signal: at.signal}
		n := ^uint64(0)
		if k < len(a) {
			d.A, n = &a[k].ev, a[k].ev.N
		}
		if k < len(b) {
			d.B, n = &b[k].ev, min(n, b[k].ev.N)
		}
		if out == nil || n < best {
			out, best = d, n
		}
	}
	return out
}

func (t *trace) run() model.DiffRun {
	s := t.s
	out := model.DiffRun{WorkflowID: s.ID, WorkflowName: s.Workflow, Version: s.Version, Digest: string(s.Graph.Digest), State: s.Status.String(),
		CreatedAt: rfc3339.Format(s.CreatedAt), DurationMS: t.last - s.CreatedAt, Events: s.Events, Attempts: t.attempts, Error: runError(s)}
	if s.EndedAt != 0 {
		out.CompletedAt, out.DurationMS = rfc3339.Format(s.EndedAt), s.EndedAt-s.CreatedAt
	}
	return out
}

// step gives the step of that name; nil: there is none.
func (t *trace) step(name string) *replay.Step {
	i, ok := t.s.Graph.Index[name]
	if ok {
		return t.s.At(i)
	}
	for i, st := range t.s.All() {
		if t.s.Name(i) == name {
			return st
		}
	}
	return nil
}

func (t *trace) side(name string) *model.DiffSide {
	st := t.step(name)
	if st == nil {
		return nil
	}
	span := t.times[name]
	out := &model.DiffSide{State: st.State.String(), Attempts: st.Attempt, DurationMS: span[1] - span[0]}
	if st.State == replay.StepCompleted {
		out.OutputBytes = int(st.Output.Len)
	}
	if st.Error != nil {
		out.Code, out.Message = st.Error.Code, st.Error.Message
	}
	return out
}

// differ says in what a step of both is not the same.
func (a *Archive) differ(x, y *trace, name string) (out []string, err error) {
	s, t := x.step(name), y.step(name)
	if t == nil {
		return []string{"missing"}, nil
	}
	out = []string{}
	if s.State != t.State {
		out = append(out, "state")
	}
	if s.Attempt != t.Attempt {
		out = append(out, "attempts")
	}
	if s.State == replay.StepCompleted && t.State == replay.StepCompleted {
		same, err := a.same(s.Output, t.Output)
		if err != nil {
			return nil, err
		}
		if !same {
			out = append(out, "output")
		}
	}
	e, f := s.Error, t.Error
	if (e == nil) != (f == nil) || e != nil && (e.Code != f.Code || e.Message != f.Message || e.Type != f.Type) {
		out = append(out, "error")
	}
	return out, nil
}

// same says whether two payloads have the same bytes.
func (a *Archive) same(p, q replay.Payload) (bool, error) {
	if p.Len != q.Len {
		return false, nil
	}
	x, err := a.Payload(p)
	if err != nil {
		return false, err
	}
	y, err := a.Payload(q)
	return string(x) == string(y), err
}

// definitions compares what two runs were to do.
func definitions(x, y *replay.State) model.DiffDefinition {
	out := model.DiffDefinition{Same: x.Graph.Digest == y.Graph.Digest, OnlyA: []string{}, OnlyB: []string{}, Changed: []string{}}
	if out.Same {
		return out
	}
	for i := range x.Graph.Def.Steps {
		step := &x.Graph.Def.Steps[i]
		if k, ok := y.Graph.Index[step.Name]; !ok {
			out.OnlyA = append(out.OnlyA, step.Name)
		} else if !reflect.DeepEqual(step, &y.Graph.Def.Steps[k]) {
			out.Changed = append(out.Changed, step.Name)
		}
	}
	for i := range y.Graph.Def.Steps {
		if _, ok := x.Graph.Index[y.Graph.Def.Steps[i].Name]; !ok {
			out.OnlyB = append(out.OnlyB, y.Graph.Def.Steps[i].Name)
		}
	}
	return out
}
