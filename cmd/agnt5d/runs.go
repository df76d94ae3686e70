package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newRegisterCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:     "register NAME FILE",
		Short:   "Register a workflow definition (JSON or YAML) and make it current",
		Example: "  agnt5d register nightly etl.yaml\n  agnt5d register nightly - < etl.json",
		Args:    nargs("NAME", "FILE"),
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		body, problems, err := readDefinition(cmd, args[1])
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			return invalid(args[1], problems)
		}
		_, _, warnings := flow.Check(body)
		for _, w := range warnings {
			if o.json() {
				break // they are in the answer
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", at(args[1], w), flow.Problems{w})
		}
		v, created, err := c.Register(cmd.Context(), args[0], body)
		if refused := (*model.Problem)(nil); errors.As(err, &refused) && len(refused.Errors) > 0 {
			return invalid(args[1], faults(refused))
		}
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), struct {
				model.Version
				Warnings flow.Problems `json:"warnings,omitempty"`
			}{v, warnings})
		}
		how := "was registered before and is current"
		switch {
		case created:
			how = "is new and current"
		case v.Replaced != 0:
			how = fmt.Sprintf("was registered before and is current again instead of version %d: new runs get it, others keep theirs", v.Replaced)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s version %d %s (%s)\n", v.Name, v.Version, how, v.Digest)
		return err
	})
}

func newStartCmd() *cobra.Command {
	var id, signal, signalID, startAt, delay, batch string
	var tags []string
	var version uint32
	var wait limitFlag
	cmd := &cobra.Command{
		Use:   "start NAME",
		Short: "Start a run of a workflow",
		Long: `Starts a run and prints its id. The same --id with the same workflow and input again gives the run that exists.

With --wait it waits for the end, however long that takes, and the exit code tells how it ended: 0 completed, 3 failed,
4 cancelled. With --wait=30s it waits no longer than that: 124 means that the run has not ended, and continues. After 3 s it
prints once why the run is not done.

With --start-at or --delay the first steps wait until that time; the run is there at once, takes signals and can be cancelled.

With --batch it starts a run for each line of a file: {"workflow_id": "order-17", "input_data": {"order": 17}}, and version, start_at, delay
or signal; every key may be left out. It prints an id for each. What cannot be started is told with its line, and the exit code is 1 then. With
ids of your own in the file the same call again starts nothing twice.

With --signal it delivers a signal together with the start, or to the run of that id when it exists: both are recorded, or neither.`,
		Example:           "  agnt5d start order --input '{\"order\": \"17\"}' --id order-17\n  agnt5d start nightly --input @input.json --wait=30s\n  agnt5d start order --batch orders.jsonl",
		Args:              nargs("NAME"),
		ValidArgsFunction: workflowNames,
	}
	cmd.Flags().String("input", "", "the run's input: JSON, @FILE, or @- for standard input")
	idFlag(cmd, &id, "id", "your own id for the run")
	textFlag(cmd, &signal, "signal", "deliver this signal together with the start")
	cmd.Flags().String("payload", "", "the signal's payload: JSON, @FILE, or @- for standard input")
	idFlag(cmd, &signalID, "signal-id", "your own id for the signal")
	textFlag(cmd, &batch, "batch", "start a run for each line of this file, or of - for standard input")
	cmd.Flags().Var(&tagFlag{&tags}, "tag", "a tag of the run, name=value, by which list finds it; may be given up to 16 times")
	textFlag(cmd, &startAt, "start-at", "the first steps wait until this time (RFC 3339)")
	textFlag(cmd, &delay, "delay", "the first steps wait so long, like 90s, 5m, 2h or 1d")
	cmd.Flags().Uint32Var(&version, "version", 0, "start this version of the workflow; 0: the current one")
	cmd.Flags().Var(&wait, "wait", "wait for the end; --wait=30s: no longer than that")
	cmd.Flags().Lookup("wait").NoOptDefVal = "true"
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if batch != "" {
			for _, other := range []string{"input", "id", "signal", "payload", "signal-id", "start-at", "delay", "version", "wait"} {
				if cmd.Flags().Changed(other) {
					return exit(exitUsage, "--%s does not go with --batch: the lines of the file say it", other)
				}
			}
			return startMany(cmd, c, o, args[0], batch, tagMap(tags))
		}
		raw, err := payloadOf(cmd, "input")
		if err != nil {
			return err
		}
		opts := client.StartOptions{ID: id, Version: version, Steps: "none", Tags: tagMap(tags)}
		if opts.StartAt, opts.Delay, err = later(startAt, delay); err != nil {
			return err
		}
		switch {
		case signal != "":
			payload, err := payloadOf(cmd, "payload")
			if err != nil {
				return err
			}
			opts.Signal = &client.StartSignal{Name: signal, ID: signalID, Payload: payload}
		case cmd.Flags().Changed("payload"), signalID != "":
			return exit(exitUsage, "--payload and --signal-id belong to a signal: name it with --signal")
		}
		if o.json() {
			opts.Steps = ""
		}
		st, created, err := c.Start(cmd.Context(), args[0], raw, opts)
		if err != nil {
			return err
		}
		switch {
		case wait.on:
		case o.json():
			return printJSON(cmd.OutOrStdout(), st)
		default:
			_, err = fmt.Fprintln(cmd.OutOrStdout(), st.WorkflowID)
			return err
		}
		if !o.json() && st.CompletedAt == "" {
			how := "existed"
			if created {
				how = "started"
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "run %s %s; waiting for its end (Ctrl-C leaves it running)\n", st.WorkflowID, how)
		}
		if st, err = waitFor(cmd, c, o, st.WorkflowID, wait.limit); err != nil {
			return err
		}
		return printEnd(cmd, o, st)
	})
}

// later reads --start-at and --delay.
func later(startAt, delay string) (at time.Time, wait time.Duration, err error) {
	if startAt != "" && delay != "" {
		return at, 0, exit(exitUsage, "--start-at and --delay say the same: give one")
	}
	if startAt != "" {
		if at, err = time.Parse(time.RFC3339, startAt); err != nil {
			return at, 0, exit(exitUsage, "--start-at: %q is no time as RFC 3339 writes it, like 2026-11-26T02:00:00Z", startAt)
		}
	}
	if delay != "" {
		ms, err := flow.ParseDuration(delay)
		if err != nil {
			return at, 0, exit(exitUsage, "--delay: %w", err)
		}
		wait = time.Duration(ms) * time.Millisecond
	}
	return at, wait, nil
}

// printRun says how a run ended.
func printRun(cmd *cobra.Command, st *model.Status) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s  %s\n", st.WorkflowID, st.State)
	if e := st.Error; e != nil {
		fmt.Fprintf(out, "%s%s (%s)\n", failedAt("step ", e), visible(e.Message), visible(e.Code))
	}
	if st.State == "completed" {
		fmt.Fprintf(out, "%s\n", st.Output)
	}
	return nil
}

func addFile(cmd *cobra.Command, path *string) {
	textFlag(cmd, path, "file", "read this journal file, not in use by a daemon, instead of asking a daemon")
}

func newExplainCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:               "explain RUN",
		Short:             "Explain why a run is not progressing, and which command would help",
		Example:           "  agnt5d explain order-17",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs("running", "finishing", "quarantined"),
	}
	addFile(cmd, &path)
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		st, err := statusOf(cmd, c, args[0], path)
		if err != nil {
			return err
		}
		if o.json() {
			reasons := st.Reasons
			if reasons == nil {
				reasons = []model.Reason{}
			}
			out := map[string]any{"reasons": reasons}
			if len(st.Tags) > 0 {
				out["tags"] = st.Tags
			}
			return printJSON(cmd.OutOrStdout(), out)
		}
		if path != "" {
			c = nil
		}
		return explain(cmd, c, st)
	})
}

// helpRetry gives the command that reopens a run, or leads to what does: a child is retried with its parent, if the parent can be retried and its
// step wants the child then. c is nil when nobody can be asked. "": nothing helps.
func helpRetry(ctx context.Context, c *client.Client, st *model.Status) string {
	p := st.Parent
	switch {
	case st.State != "failed" && st.State != "cancelled":
		return ""
	case st.Compensation != nil && (p == nil || p.Abandon):
		return "agnt5d fork " + ids.Word(st.WorkflowID) + " --from " + failedStep(st) + " --plan"
	case p == nil || p.Abandon:
		return "agnt5d retry " + ids.Word(st.WorkflowID)
	case c == nil:
		return "agnt5d explain " + ids.Word(p.WorkflowID)
	}
	plan, err := c.Plan(ctx, p.WorkflowID, client.Deed{Do: model.DeedRetry})
	if err == nil && slices.ContainsFunc(plan.Children, func(child model.PlanChild) bool { return child.WorkflowID == st.WorkflowID }) {
		return "agnt5d retry " + ids.Word(p.WorkflowID)
	}
	return "agnt5d explain " + ids.Word(p.WorkflowID)
}

// failedStep names the step by which a run failed, for a fork from it; STEP when none did, or what failed is not a whole step.
func failedStep(st *model.Status) string {
	if st.Error != nil {
		if _, is := st.Steps[st.Error.Step]; is {
			return ids.Word(st.Error.Step)
		}
	}
	return "STEP"
}

// printHelp prints the command that helps.
func printHelp(out io.Writer, command string) {
	if command != "" {
		fmt.Fprintf(out, "  %s\n", command)
	}
}

func explain(cmd *cobra.Command, c *client.Client, st *model.Status) error {
	out := cmd.OutOrStdout()
	if len(st.Tags) > 0 {
		fmt.Fprintf(out, "tags %s\n", visible(shownTags(st.Tags)))
	}
	switch {
	case st.State == "failed":
		fmt.Fprintf(out, "the run failed%s%s (%s)\n", cmp.Or(failedAt(" at step ", st.Error), ": "), visible(st.Error.Message), visible(st.Error.Code))
		printHelp(out, helpRetry(cmd.Context(), c, st))
	case st.State == "cancelled":
		fmt.Fprintf(out, "the run was cancelled: %s\n", visible(orDash(st.Reason)))
		printHelp(out, helpRetry(cmd.Context(), c, st))
	case st.CompletedAt != "":
		fmt.Fprintf(out, "the run has completed\n")
	}
	printReasons(out, st.Reasons, "", "  ", zone(cmd))
	printSkipped(out, st)
	return nil
}

// skippedMost is how many skipped steps are explained one by one.
const skippedMost = 10

// printSkipped says why steps were skipped: a condition with the values that it saw comes with its text.
func printSkipped(out io.Writer, st *model.Status) {
	n := 0
	for _, name := range slices.Sorted(maps.Keys(st.Steps)) {
		s := st.Steps[name]
		if s.SkipReason == "" {
			continue
		}
		if n++; n <= skippedMost {
			fmt.Fprintf(out, "%s: was skipped: %s\n", name, whySkipped(&s))
		}
	}
	if n > skippedMost {
		fmt.Fprintf(out, "%d more steps were skipped; agnt5d show %s --only skipped\n", n-skippedMost, ids.Word(st.WorkflowID))
	}
}

// whySkipped is the reason as the end of a sentence.
func whySkipped(s *model.StepStatus) string {
	switch s.SkipReason {
	case "when":
		if c := s.Condition; c != nil {
			return fmt.Sprintf("its condition %s is false; it saw %s", c.When, clip(string(c.Saw), 400))
		}
		return "its condition is false"
	case "failure":
		return "something that it depends on failed or timed out"
	case "dependency":
		return "something that it depends on was skipped"
	case "not_needed":
		return "what it is for did not happen"
	case "operator":
		return "an operator skipped it"
	}
	return s.SkipReason
}

func orDash(s string) string {
	if s == "" {
		return "no reason was given"
	}
	return s
}

func newSignalCmd() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:               "signal RUN NAME",
		Short:             "Send a signal to a run",
		Example:           "  agnt5d signal doc-9 document_approved --payload '{\"by\": \"ada\"}'",
		Args:              nargs("RUN", "NAME"),
		ValidArgsFunction: thenNames(signalOf),
	}
	cmd.Flags().String("payload", "", "JSON, @FILE, or @- for standard input")
	idFlag(cmd, &id, "id", "your own id for the signal; sending it again is harmless")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		raw, err := payloadOf(cmd, "payload")
		if err != nil {
			return err
		}
		got, err := c.Signal(cmd.Context(), args[0], args[1], raw, id)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), got)
		}
		became := "step " + got.ConsumedBy + " took it"
		if got.ConsumedBy == "" {
			became = cmp.Or(got.Hint, "no step is waiting for it yet")
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "signal %s is recorded; %s\n", args[1], became)
		return err
	})
}

func newFireCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:               "fire RUN TIMER",
		Short:             "Fire a timer of a run now",
		Example:           "  agnt5d fire nightly-2026-11-23 maintenance",
		Args:              nargs("RUN", "TIMER"),
		ValidArgsFunction: thenNames(timerOf),
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if err := c.FireTimer(cmd.Context(), args[0], args[1]); err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"workflow_id": args[0], "timer": args[1]})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "timer %s of run %s has fired\n", args[1], args[0])
		return err
	})
}
