package archive

import (
	"encoding/json"
	"strconv"

	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// Steps says which steps a status shows.
type Steps uint8

const (
	AllSteps Steps = iota
	OpenSteps
	NoSteps
)

// Look is what a status is made of.
type Look struct {
	S       *replay.State
	Reasons []model.Reason
	Beats   map[replay.Instance][]byte // heartbeat details, by step
	Workers map[replay.Instance]string // who works on a step whose start the journal does not know
	Counts  *Counts                    // of the steps, when S is a brief and does not have them; see replay.Brief
	Items   *ItemsAsked                // items that are shown; nil: none
	Newer   *NewerError                // the run waits for a newer release; S may be nil then
	Head    journal.Head               // of a run that waits
}

// NewerCode is the reason of a run that waits for a newer release.
const NewerCode = model.ReasonNewerRelease

// Counts is how many steps are in each state.
type Counts [replay.StepStates]int

// ByState gives the counts that are not zero.
func (c *Counts) ByState() map[string]int {
	out := map[string]int{}
	for state, n := range c {
		if n > 0 {
			out[replay.StepState(state).String()] = n
		}
	}
	return out
}

// Waiting is the look at a run that waits for a newer release.
func Waiting(h journal.Head, s *replay.State, why *NewerError) *Look {
	return &Look{S: s, Newer: why, Head: h, Reasons: []model.Reason{{Code: NewerCode, Detail: why.Error(), Command: "agnt5d history " + ids.Word(h.ID)}}}
}

// Status gives a run as people see it.
func (a *Archive) Status(l *Look, steps Steps) (*model.Status, error) {
	if l.Newer == nil {
		return a.status(l, steps)
	}
	h := &l.Head // where a run stands that waits its head says; its steps are those of the events that are understood
	out := &model.Status{WorkflowID: h.ID, WorkflowName: h.Workflow, Version: h.Version, CreatedAt: rfc3339.Format(h.CreatedAt),
		Reasons: l.Reasons, Input: json.RawMessage("null"), Output: json.RawMessage("null")}
	if l.S != nil {
		var err error
		if out, err = a.status(l, steps); err != nil {
			return nil, err
		}
	}
	out.State, out.Reason, out.CompletedAt = replay.RunState(h.State).String(), l.Newer.Error(), ""
	if h.EndedAt != 0 {
		out.CompletedAt = rfc3339.Format(h.EndedAt)
	}
	out.LastSeq, out.Events = max(h.LastSeq, l.Newer.Last), max(h.Events, l.Newer.Events)
	return out, nil
}

func (a *Archive) status(l *Look, steps Steps) (*model.Status, error) {
	s := l.S
	out := &model.Status{WorkflowID: s.ID, WorkflowName: s.Workflow, Version: s.Version, State: s.Status.String(), Reason: s.Reason,
		CreatedAt: rfc3339.Format(s.CreatedAt), Steps: map[string]model.StepStatus{}, StepCounts: map[string]int{}, Reasons: l.Reasons,
		LastSeq: s.LastSeq, Events: s.Events, TraceParent: s.Trace, HandledFailures: s.Handled, Tags: Tags(s.Tags), Parent: parentOf(s.Parent), Output: json.RawMessage("null")}
	if s.EndedAt != 0 {
		out.CompletedAt = rfc3339.Format(s.EndedAt)
	}
	if s.StartAt != 0 {
		out.StartAt = rfc3339.Format(s.StartAt)
	}
	if s.Deadline != 0 && s.Status == replay.Running {
		out.Deadline = rfc3339.Format(s.Deadline)
	}
	out.Paused = s.Pause != nil
	if s.Fork != nil {
		out.ForkedFrom = &model.ForkedFrom{WorkflowID: s.Fork.ID, Step: s.Fork.From}
	}
	out.Error = runError(s)
	a.ending(out, l)
	var err error
	if out.Input, err = a.Payload(s.Input); err != nil {
		return nil, err
	}
	n := 0
	if steps == AllSteps && l.Counts == nil {
		n = len(s.Steps)
		out.Order = make([]string, 0, n)
	}
	out.Steps = make(map[string]model.StepStatus, n)
	if l.Counts != nil {
		out.StepCounts = l.Counts.ByState()
		return out, nil
	}
	var counts Counts
	skipped := s.SkipReasons()
	for i, st := range s.All() {
		if _, _, item := s.ItemOf(i); item || s.Target(i) != i { // its step counts it
			continue
		}
		state := s.Shown(i)
		if _, working := l.Workers[i]; working { // the journal does not know of its start yet, or need not
			state = replay.StepRunning
		}
		counts[state]++
		if steps == NoSteps || steps == OpenSteps && !st.State.Open() {
			continue
		}
		step, err := a.step(l, i, state)
		if err != nil {
			return nil, err
		}
		step.SkipReason = skipped[i].String()
		name := s.Name(i)
		out.Order = append(out.Order, name)
		out.Steps[name] = step
	}
	out.StepCounts = counts.ByState()
	if l.Items != nil {
		if out.Items, err = a.itemPage(l, l.Items); err != nil {
			return nil, err
		}
	}
	if s.Status == replay.Completed {
		if out.Output, err = a.output(s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a *Archive) step(l *Look, i replay.Instance, state replay.StepState) (model.StepStatus, error) {
	def, st := l.S.Spec(i), l.S.At(i)
	step := model.StepStatus{State: state.String(), Type: string(st.Kind().Type), Attempt: st.Attempt, Failures: st.Failures, Since: rfc3339.Format(st.Since),
		Worker: st.Worker, Heartbeat: l.Beats[i]}
	if st.Local {
		step.Worker = replay.InProcess
	}
	if w, working := l.Workers[i]; working {
		step.Worker = w
	}
	if st.Due != 0 && st.State.Open() {
		step.Due = rfc3339.Format(st.Due)
	}
	if def.Timer != nil {
		step.TimerKey, step.Failures = def.Timer.Key, 0
	}
	if e := st.Error; e != nil {
		step.Error = &model.StepError{Code: e.Code, Message: e.Message, Type: e.Type, Stack: e.Stack, Attempt: e.Attempt}
	}
	step.Caught, step.Compensation = st.Caught, compensationOf(l.S, i)
	if st.Set {
		step.Kept = "set"
	} else if st.Kept {
		step.Kept = "kept"
	}
	if def.Repeat != nil {
		n, _ := l.S.Round(i)
		step.Round = &n
	}
	if n, over := l.S.ItemCounts(i); over {
		step.Items = &model.ItemCounts{Total: n.Total, Completed: n.Completed, Failed: n.Failed, Skipped: n.Skipped, Open: n.Open}
		if rest := n.Total - n.Completed - n.Failed - n.Skipped - n.Open; st.State.Open() {
			step.Items.Waiting = rest
		} else {
			step.Items.Cancelled = rest
		}
	}
	if c, had := l.S.Child(i); had {
		step.Child = c.ID
	}
	var err error
	if c, known := l.S.Condition(i); known {
		step.Condition = &model.Condition{When: def.When, Result: c.Yes}
		if step.Condition.Saw, err = a.Payload(c.Saw); err != nil {
			return step, err
		}
	}
	if st.State == replay.StepCompleted {
		step.Output, err = a.Payload(st.Output)
	}
	return step, err
}

// output is a run's output: what its template came to, or the output of each completed step that nothing depends on, by name, byte for byte.
func (a *Archive) output(s *replay.State) (json.RawMessage, error) {
	if s.Graph.Def.Output != nil {
		return a.Payload(s.Output)
	}
	out := []byte{'{'}
	for _, i := range s.Graph.Sinks {
		if s.At(i).State != replay.StepCompleted {
			continue
		}
		b, err := a.Payload(s.At(i).Output)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = strconv.AppendQuote(out, s.Name(i))
		out = append(out, ':')
		out = append(out, b...)
	}
	return append(out, '}'), nil
}

// runError is why a run failed; nil: it has not.
func runError(s *replay.State) *model.RunError {
	step, why := s.Why()
	if why == nil {
		return nil
	}
	return &model.RunError{Step: step, Code: why.Code, Message: why.Message, Attempt: why.Attempt}
}
