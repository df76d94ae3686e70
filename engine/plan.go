package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// Deed is something that can be done to a run by hand; see Engine.Plan.
type Deed = model.Deed

// Plan says what a deed would do.
type Plan = model.Plan

// Plan says what CompleteStep, SkipStep, FailStep, Retry, Cancel or CancelNow would do to a run now, and does nothing. It is worked out by the
// same rules on a copy of the run, and is refused as the deed would be, but for a full disk: nothing is written.
func (e *Engine) Plan(ctx context.Context, run string, d Deed) (Plan, error) {
	deed, err := e.deed(d)
	if err != nil {
		return Plan{}, err
	}
	l, err := e.look(ctx, run, archive.AllSteps)
	if err == nil && l.Newer != nil {
		err = l.Newer
	}
	if err != nil {
		return Plan{}, refusal.OfRun(run, err)
	}
	if l.S.Status.Ended() && d.Do != model.DeedCancel {
		begun, err := e.deletionsBegun()
		if err == nil && slices.ContainsFunc(begun, func(b shard.Deleting) bool { return b.ID == run }) {
			err = &archive.DeletingError{}
		}
		if err != nil {
			return Plan{}, refusal.OfRun(run, err)
		}
	}
	p, err := l.S.PlanOf(deed, e.now().Wall, l.Workers)
	if err != nil {
		return Plan{}, refusal.OfRun(run, err)
	}
	return shownDeed(run, d, p, e.plannedChildren(ctx, p)), nil
}

// plannedChildren says what becomes of children, as far as a plan shows them: those that are shown are read, for only they know whether they can go on.
func (e *Engine) plannedChildren(ctx context.Context, p *replay.Plan) []replay.PlannedChild {
	all := p.Children()
	for k := range all[:min(len(all), longPlan)] {
		c := &all[k]
		switch l, err := e.look(ctx, c.ID, archive.AllSteps); {
		case errors.Is(err, ErrRunNotFound), errors.Is(err, refusal.ErrRunExpired):
			c.Known(p.Before.Run, nil, e.now().Wall)
		case err != nil || l.Newer != nil: // what it is cannot be known here
			if c.What == replay.ChildIsTaken {
				c.Why = "if it can be; what it is cannot be read now"
			}
		default:
			c.Known(p.Before.Run, l.S, e.now().Wall)
		}
	}
	return all
}

// deed checks what is asked.
func (e *Engine) deed(d Deed) (*replay.Deed, error) {
	if len(d.Reason) > maxReason {
		return nil, badRequest("reason: %d bytes, the limit is %d", len(d.Reason), maxReason)
	}
	out := &replay.Deed{Step: d.Step, Force: d.Force}
	switch d.Do {
	case model.DeedComplete:
		raw, err := e.marshal("output", d.Output)
		if err != nil {
			return nil, err
		}
		out.As, out.Output = replay.CorrectComplete, raw
	case model.DeedSkip:
		out.As = replay.CorrectSkip
	case model.DeedFail:
		out.As = replay.CorrectFail
	case model.DeedRetry:
		out.Retry = true
	case model.DeedCancel:
	default:
		return nil, badRequest("do: %q; want complete, skip, fail, retry or cancel", d.Do)
	}
	return out, nil
}

// longPlan is how many entries a list of a plan has at most.
const longPlan = 1000

// cut gives the first of a list, and counts the others.
func cut[T any](list []T, left *int) []T {
	if more := len(list) - longPlan; more > 0 {
		*left += more
		return list[:longPlan]
	}
	if list == nil {
		return []T{}
	}
	return list
}

// shownDeed is a plan as people see it.
func shownDeed(run string, d Deed, p *replay.Plan, kids []replay.PlannedChild) Plan {
	out := Plan{WorkflowID: run, Do: d.Do, Step: d.Step, Was: p.Before.Status.String(), State: p.After.Status.String(), Reopened: p.Reopens()}
	if p.After.Status == replay.Finishing {
		out.Fate = p.After.Fate.String()
	}
	names := func(of []replay.Instance) (all []string) {
		for _, i := range of {
			all = append(all, p.Name(i))
		}
		return cut(all, &out.LeftOff)
	}
	var ends, starts []model.PlanStep
	for _, c := range p.Changes() {
		one := model.PlanStep{Step: p.Name(c.Of), Was: c.Was.String(), State: c.Is.String(), Reason: c.Why}
		if c.Due != 0 {
			one.Due = rfc3339.Format(c.Due)
		}
		switch {
		case c.Is.Open():
			starts = append(starts, one)
		case c.Is != replay.StepPending && c.Is != replay.StepDormant:
			ends = append(ends, one)
		}
	}
	out.Ends, out.Starts = cut(ends, &out.LeftOff), cut(starts, &out.LeftOff)
	out.Evaluates, out.MayRepeat = names(p.Evaluates), names(p.Again)
	out.Compensates, out.Finally = names(p.Compensates()), names(p.Finally())
	out.Stay = names(p.ChildrenStay())
	var attempts []model.PlanAttempt
	for _, o := range p.Attempts() {
		attempts = append(attempts, model.PlanAttempt{Step: p.Name(o.Step), Attempt: o.Attempt, Worker: o.Worker})
	}
	var children []model.PlanChild
	for _, c := range kids {
		children = append(children, model.PlanChild{Step: p.Name(c.Of), WorkflowID: c.ID, What: c.What, Reason: c.Why, Compensates: c.Compensates})
	}
	out.Attempts, out.Children = cut(attempts, &out.LeftOff), cut(children, &out.LeftOff)
	return out
}
