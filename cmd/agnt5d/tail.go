package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/nearest"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// tail is what the verb was asked for.
type tail struct {
	c               *client.Client
	run, since      string
	workflow, kinds string
	after           uint64
	past            bool
}

func newTailCmd() *cobra.Command {
	var t tail
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print events as they become durable, of all runs or of one",
		Long: `Prints events as they become durable, from now on, or from --since or --after on. With --past it prints those that are there, and ends.
Of one run (--run) it begins with the first event, and ends when the run has ended.`,
		Example: "  agnt5d tail\n  agnt5d tail --run order-17\n  agnt5d tail --past --since 1h --kind RunFailed,StepFailed\n  agnt5d tail --workflow nightly -o json",
		Args:    nargs(),
	}
	idFlag(cmd, &t.run, "run", "only this run; ends when it has ended")
	idFlag(cmd, &t.workflow, "workflow", "only runs of this workflow")
	textFlag(cmd, &t.kinds, "kind", "only events of these kinds, with commas between")
	textFlag(cmd, &t.since, "since", "begin with what happened at or after this time: "+timeForms)
	cmd.Flags().Uint64Var(&t.after, "after", 0, "begin after this event")
	cmd.Flags().BoolVar(&t.past, "past", false, "print what is there, from the first event or --since on, and end")
	_ = cmd.RegisterFlagCompletionFunc("run", runIDs("running"))
	_ = cmd.RegisterFlagCompletionFunc("workflow", workflowNames)
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(eventKinds(), cobra.ShellCompDirectiveNoFileComp))
	return remoteVerb(cmd, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		t.c = c
		if err := resolveTime(cmd, "since", &t.since); err != nil {
			return err
		}
		wanted, err := t.filter(cmd.Context())
		if err != nil {
			return err
		}
		print := printEvent(cmd, o, t.run == "")
		err = t.each(cmd.Context(), func(e model.Event) error {
			if ok, err := wanted(&e); err != nil || !ok {
				return err
			}
			return print(e)
		})
		if cmd.Context().Err() != nil && errors.Is(err, cmd.Context().Err()) {
			return nil // Ctrl-C is how it ends
		}
		return err
	})
}

// eventKinds is the name of each kind of event.
func eventKinds() (names []string) {
	for k := range 256 {
		if known, ok := event.ParseKind(event.Kind(k).String()); ok && known == event.Kind(k) {
			names = append(names, known.String())
		}
	}
	return names
}

// filter gives what says which events are wanted.
func (t *tail) filter(ctx context.Context) (func(*model.Event) (bool, error), error) {
	var kinds []string
	if t.kinds != "" {
		known := eventKinds()
		for _, k := range strings.Split(t.kinds, ",") {
			if !slices.Contains(known, k) {
				return nil, exit(exitUsage, "--kind: there is no kind of event %q%s\n  The kinds are: %s", k, nearest.Did(k, known), strings.Join(known, ", "))
			}
			kinds = append(kinds, k)
		}
	}
	if t.workflow != "" {
		if _, err := t.c.Workflow(ctx, t.workflow, 0); err != nil {
			return nil, err
		}
	}
	since, _ := time.Parse(time.RFC3339, t.since)
	flows := map[string]string{} // workflow by run
	return func(e *model.Event) (bool, error) {
		if name, ok := e.Data["workflow_name"].(string); ok && t.workflow != "" && e.WorkflowID != "" {
			flows[e.WorkflowID] = name
		}
		if len(kinds) > 0 && !slices.Contains(kinds, e.Kind) {
			return false, nil
		}
		if at, err := time.Parse(time.RFC3339, e.At); err == nil && at.Before(since) {
			return false, nil
		}
		if t.workflow == "" {
			return true, nil
		}
		name, err := t.flowOf(ctx, e, flows)
		return name == t.workflow, err
	}, nil
}

// maxFlows is of how many runs tail remembers the workflow.
const maxFlows = 100_000

// flowOf gives the workflow of the run that an event is of; "" when it is of none, or of one that was deleted.
func (t *tail) flowOf(ctx context.Context, e *model.Event, flows map[string]string) (string, error) {
	if e.WorkflowID == "" {
		name, _ := e.Data["workflow_name"].(string)
		return name, nil
	}
	name, known := flows[e.WorkflowID]
	if known {
		return name, nil
	}
	st, err := t.c.Status(ctx, e.WorkflowID, "none")
	var p *model.Problem
	switch {
	case err == nil:
		name = st.WorkflowName
	case errors.As(err, &p) && (p.Code == "run_not_found" || p.Code == "run_expired"):
	default:
		return "", err
	}
	if len(flows) >= maxFlows {
		clear(flows)
	}
	flows[e.WorkflowID] = name
	return name, nil
}

// each gives the events that were asked for.
func (t *tail) each(ctx context.Context, fn func(model.Event) error) error {
	if t.run != "" {
		if t.past {
			return pages(t.after, 0, func(after uint64) ([]model.Event, uint64, error) { return t.c.Events(ctx, t.run, after, 1000) }, fn)
		}
		return t.c.Follow(ctx, t.run, t.after, fn)
	}
	last, err := t.c.Version(ctx)
	if err != nil {
		return err
	}
	switch {
	case t.since != "":
		if t.after, err = t.before(ctx, last.Durable); err != nil {
			return err
		}
	case t.after == 0 && !t.past:
		t.after = last.Durable
	}
	if t.past {
		return pages(t.after, last.Durable, func(after uint64) ([]model.Event, uint64, error) { return t.c.AllEvents(ctx, after, 1000) }, fn)
	}
	return t.c.FollowAll(ctx, t.after, fn)
}

// pages gives events page after page, up to the one with the sequence last; 0: to the end.
func pages(after, last uint64, page func(after uint64) ([]model.Event, uint64, error), fn func(model.Event) error) error {
	for {
		events, next, err := page(after)
		if err != nil || len(events) == 0 {
			return err
		}
		for i := range events {
			if last != 0 && events[i].Seq > last {
				return nil
			}
			if err := fn(events[i]); err != nil {
				return err
			}
		}
		after = next
	}
}

// before gives a sequence before which nothing happened at or after --since: the times of events grow with their sequences. It asks
// for some twenty events.
func (t *tail) before(ctx context.Context, last uint64) (uint64, error) {
	since, err := time.Parse(time.RFC3339, t.since)
	if err != nil {
		return 0, err
	}
	low, high := t.after, last
	for low < high {
		middle := low + (high-low)/2
		events, _, err := t.c.AllEvents(ctx, middle, 1)
		if err != nil {
			return 0, err
		}
		early := false
		if len(events) > 0 {
			at, err := time.Parse(time.RFC3339, events[0].At)
			early = err == nil && at.Before(since)
		}
		if early {
			low = events[0].Seq
		} else {
			high = middle
		}
	}
	return low, nil
}
