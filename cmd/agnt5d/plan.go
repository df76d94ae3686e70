package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

const planFlag = "only say what it would do"

// printPlans says of each run what a deed would do to it. Where it is refused, the others are looked at all the same, and the first error counts.
func printPlans(cmd *cobra.Command, runs []string, c *client.Client, o *remote, d client.Deed) error {
	var first error
	plans := []*model.Plan{}
	for _, run := range runs {
		p, err := c.Plan(cmd.Context(), run, d)
		var e *exitErr
		switch {
		case err != nil && len(runs) == 1:
			return err
		case err != nil && errors.As(told(err), &e):
			printError(cmd.ErrOrStderr(), o.json(), e)
			first = cmp.Or(first, exit(e.code, ""))
		case !o.json():
			printPlan(cmd.OutOrStdout(), p)
		}
		if p != nil {
			plans = append(plans, p)
		}
	}
	switch {
	case o.json() && len(runs) == 1:
		return printJSON(cmd.OutOrStdout(), plans[0])
	case o.json():
		if err := printJSON(cmd.OutOrStdout(), plans); err != nil {
			return err
		}
	}
	return first
}

// deeds are what plans are of, as the end of a sentence.
var deeds = map[string]string{model.DeedComplete: "completing step %s of run %s", model.DeedSkip: "skipping step %s of run %s", model.DeedFail: "failing step %s of run %s",
	model.DeedRetry: "retrying run %s", model.DeedCancel: "cancelling run %s"}

// printPlan prints what a deed would do.
func printPlan(w io.Writer, p *model.Plan) {
	about := []any{visible(p.WorkflowID)}
	if p.Step != "" {
		about = []any{visible(p.Step), visible(p.WorkflowID)}
	}
	fmt.Fprintf(w, "plan of "+deeds[p.Do]+"; nothing was done\n", about...)
	then := p.State
	switch {
	case p.State == "finishing":
		then = "finishing, and then " + p.Fate
	case p.Reopened:
		then = "open again, " + p.State
	}
	if p.Was != p.State || p.Reopened {
		then += " (it is " + p.Was + ")"
	}
	row := func(what string, steps []string) {
		if len(steps) > 0 {
			fmt.Fprintf(w, "%-19s %s\n", what+":", visible(strings.Join(steps, ", ")))
		}
	}
	row("the run is then", []string{then})
	row("ends", planSteps(p.Ends))
	row("starts", planSteps(p.Starts))
	row("is worked out", planAsks(p.Evaluates))
	var attempts, children []string
	for _, a := range p.Attempts {
		attempts = append(attempts, fmt.Sprintf("%s, attempt %d on worker %s", a.Step, a.Attempt, cmp.Or(a.Worker, "in process")))
	}
	for _, c := range p.Children {
		children = append(children, planChild(&c))
	}
	row("attempts cancelled", attempts)
	row("children", children)
	row("children stay", p.Stay)
	row("is compensated", p.Compensates)
	row("finally runs", p.Finally)
	row("may repeat outside", p.MayRepeat)
	if p.LeftOff > 0 {
		fmt.Fprintf(w, "and %d more entries, which no list shows\n", p.LeftOff)
	}
}

func planChild(c *model.PlanChild) string {
	text := fmt.Sprintf("%s of %s is %s", c.WorkflowID, c.Step, strings.ReplaceAll(c.What, "_", " "))
	if c.What == "replaced" {
		text += " by a new one"
	}
	if c.Reason != "" {
		text += " (" + c.Reason + ")"
	}
	if len(c.Compensates) > 0 {
		text += " and compensates " + strings.Join(c.Compensates, " and ")
	}
	return text
}

func planSteps(steps []model.PlanStep) (all []string) {
	for _, s := range steps {
		text := s.Step + " " + s.State
		if s.Reason != "" {
			text += " (" + s.Reason + ")"
		}
		if s.Due != "" {
			text += " until " + s.Due
		}
		all = append(all, text)
	}
	return all
}

func planAsks(steps []string) (all []string) {
	for _, s := range steps {
		if s == "" {
			s = "the run's output"
		}
		all = append(all, s)
	}
	return all
}
