package main

import (
	"errors"
	"fmt"
	"strings"

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
			return printJSON(cmd.OutOrStdout(), v)
		}
		how := "is current; this definition was known"
		if created {
			how = "is new and current"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s version %d %s (%s)\n", v.Name, v.Version, how, v.Digest)
		return err
	})
}

func newStartCmd() *cobra.Command {
	var id string
	var wait bool
	cmd := &cobra.Command{
		Use:   "start NAME",
		Short: "Start a run of a workflow",
		Long: `Starts a run and prints its id. The same --id with the same workflow and input again gives the run that exists.

With --wait it waits for the end, however long that takes, and the exit code says how it ended: 0 completed, 3 failed,
4 cancelled.`,
		Example:           "  agnt5d start order --input '{\"order\": \"17\"}' --id order-17\n  agnt5d start nightly --input @input.json --wait",
		Args:              nargs("NAME"),
		ValidArgsFunction: workflowNames,
	}
	cmd.Flags().String("input", "", "the run's input: JSON, @FILE, or @- for standard input")
	idFlag(cmd, &id, "id", "your own id for the run")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		raw, err := payloadOf(cmd, "input")
		if err != nil {
			return err
		}
		st, _, err := c.Start(cmd.Context(), args[0], raw, client.StartOptions{ID: id})
		if err != nil {
			return err
		}
		if wait {
			if !o.json() && st.CompletedAt == "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "run %s started; waiting for its end (Ctrl-C leaves it running)\n", st.WorkflowID)
			}
			if st, err = c.Wait(cmd.Context(), st.WorkflowID); err != nil {
				if cmd.Context().Err() != nil {
					return exit(exitTimeout, "not waiting any longer; the run goes on")
				}
				return err
			}
		}
		if o.json() {
			err = printJSON(cmd.OutOrStdout(), st)
		} else if wait {
			err = printRun(cmd, st)
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), st.WorkflowID)
		}
		if err == nil && wait {
			err = outcome(st)
		}
		return err
	})
}

// printRun says how a run ended.
func printRun(cmd *cobra.Command, st *model.Status) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s  %s\n", st.WorkflowID, st.State)
	if e := st.Error; e != nil {
		fmt.Fprintf(out, "step %s, attempt %d: %s (%s)\n", e.Step, e.Attempt, e.Message, e.Code)
	}
	if st.State == "completed" {
		fmt.Fprintf(out, "%s\n", st.Output)
	}
	return nil
}

func newListCmd() *cobra.Command {
	var f client.Filter
	var limit int
	var path string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List runs, newest first",
		Example: "  agnt5d list --state failed\n  agnt5d list --workflow nightly --limit 500 -o json",
		Args:    nargs(),
	}
	addFilter(cmd, &f)
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many; 0: all")
	addFile(cmd, &path)
	return remoteVerb(cmd, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		runs, more, err := listRuns(cmd, c, f, limit, path)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"runs": runs})
		}
		rows := [][]string{{"RUN", "WORKFLOW", "VERSION", "STATE", "STARTED", "TOOK", "NOTE"}}
		for _, r := range runs {
			took, note := age(r.CreatedAt), r.Error
			if r.CompletedAt != "" {
				took = between(r.CreatedAt, r.CompletedAt)
			}
			if r.Skipped > 0 && note == "" {
				note = fmt.Sprintf("%d skipped", r.Skipped)
			}
			rows = append(rows, []string{r.WorkflowID, r.WorkflowName, fmt.Sprint(r.Version), r.State, local(r.CreatedAt, zone(cmd)), took, clip(note, 60)})
		}
		if err := table(cmd.OutOrStdout(), rows); err != nil {
			return err
		}
		if more {
			fmt.Fprintf(cmd.ErrOrStderr(), "there are more: --limit 0 shows all\n")
		}
		return nil
	})
}

// listRuns reads page after page, from the daemon or from a file.
func listRuns(cmd *cobra.Command, c *client.Client, f client.Filter, limit int, path string) (runs []model.RunHead, more bool, err error) {
	page := c.List
	if path != "" {
		file, err := openFile(path)
		if err != nil {
			return nil, false, err
		}
		defer file.Close()
		page = file.page
	}
	runs = []model.RunHead{}
	for cursor := ""; ; {
		n := 1000
		if limit > 0 {
			n = min(n, limit-len(runs))
		}
		got, next, err := page(cmd.Context(), f, n, cursor)
		if err != nil {
			return nil, false, err
		}
		runs = append(runs, got...)
		if next == "" || limit > 0 && len(runs) >= limit {
			return runs, next != "", nil
		}
		cursor = next
	}
}

func addFilter(cmd *cobra.Command, f *client.Filter) {
	idFlag(cmd, &f.Workflow, "workflow", "only runs of this workflow")
	textFlag(cmd, &f.State, "state", "only runs in this state")
	textFlag(cmd, &f.IDPrefix, "id-prefix", "only runs whose id begins so")
	textFlag(cmd, &f.Since, "since", "only runs started at or after this time (RFC 3339)")
	textFlag(cmd, &f.Until, "until", "only runs started before this time (RFC 3339)")
	_ = cmd.RegisterFlagCompletionFunc("workflow", workflowNames)
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"running", "completed", "failed", "cancelled", "quarantined"}, cobra.ShellCompDirectiveNoFileComp))
}

func addFile(cmd *cobra.Command, path *string) {
	textFlag(cmd, path, "file", "read this journal, which no daemon holds, instead of asking a daemon")
}

func newExplainCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:               "explain RUN",
		Short:             "Say why a run does not move, and which command would help",
		Example:           "  agnt5d explain order-17",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs("running", "quarantined"),
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
			return printJSON(cmd.OutOrStdout(), map[string]any{"reasons": reasons})
		}
		return explain(cmd, st)
	})
}

func explain(cmd *cobra.Command, st *model.Status) error {
	out := cmd.OutOrStdout()
	switch {
	case st.State == "failed":
		fmt.Fprintf(out, "the run failed at step %s, attempt %d: %s (%s)\n  agnt5d retry %s\n", st.Error.Step, st.Error.Attempt, st.Error.Message, st.Error.Code, ids.Word(st.WorkflowID))
	case st.State == "cancelled":
		fmt.Fprintf(out, "the run was cancelled: %s\n  agnt5d retry %s\n", orDash(st.Reason), ids.Word(st.WorkflowID))
	case st.CompletedAt != "":
		fmt.Fprintf(out, "the run has completed\n")
	}
	printReasons(out, st.Reasons, "", "  ", zone(cmd))
	return nil
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
		ValidArgsFunction: runIDs("running"),
	}
	cmd.Flags().String("payload", "", "JSON, @FILE, or @- for standard input")
	idFlag(cmd, &id, "id", "your own id for the signal; the same again is harmless")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		raw, err := payloadOf(cmd, "payload")
		if err != nil {
			return err
		}
		signalID, by, err := c.Signal(cmd.Context(), args[0], args[1], raw, id)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"signal_id": signalID, "consumed_by": by})
		}
		if by == "" {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "signal %s is recorded; %s\n", args[1], untaken(cmd, c, args[0], args[1]))
		} else {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "signal %s is recorded; step %s took it\n", args[1], by)
		}
		return err
	})
}

// untaken says what becomes of a signal that no step took: one may come that waits for it, or none ever will.
func untaken(cmd *cobra.Command, c *client.Client, run, name string) string {
	const yet = "no step waits for it yet"
	st, err := c.Status(cmd.Context(), run, "none")
	if err != nil {
		return yet
	}
	w, err := c.Workflow(cmd.Context(), st.WorkflowName, st.Version)
	if err != nil {
		return yet
	}
	def, problems := flow.Read(w.Definition)
	if len(problems) > 0 {
		return yet
	}
	var known []string
	for _, s := range def.Steps {
		if s.Signal != nil && s.Signal.Name == name {
			return yet
		}
		if s.Signal != nil {
			known = append(known, s.Signal.Name)
		}
	}
	if len(known) == 0 {
		return fmt.Sprintf("no step of workflow %s waits for a signal, so it will never be taken", st.WorkflowName)
	}
	return fmt.Sprintf("no step of workflow %s waits for that name, so it will never be taken; it waits for: %s", st.WorkflowName, strings.Join(known, ", "))
}

// many is a verb that does one thing to a run, or with filters to many.
func many(cmd *cobra.Command, one func(cmd *cobra.Command, c *client.Client, run string) error, all func(cmd *cobra.Command, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error), past string) *cobra.Command {
	var f client.Filter
	var every, yes, dry bool
	addFilter(cmd, &f)
	cmd.Flags().BoolVar(&every, "all", false, "every run that the filters name, instead of one")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --all and no filter: really every run")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "with --all: only count the runs that match")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case every && len(args) > 0:
			return exit(exitUsage, "name a run, or say --all: not both")
		case every && f == (client.Filter{}) && !yes && !dry:
			return exit(exitUsage, "--all without a filter is every run of the daemon: add a filter (see \"%s --help\"), or --yes if that is meant", cmd.CommandPath())
		case every:
			return nil
		case f != (client.Filter{}):
			return exit(exitUsage, "filters go with --all")
		case dry:
			return exit(exitUsage, "--dry-run goes with --all")
		}
		return nargs("RUN")(cmd, args)
	}
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if every {
			got, err := all(cmd, c, f, client.ManyOptions{All: f == (client.Filter{}), DryRun: dry})
			if err != nil {
				return err
			}
			if o.json() {
				return printJSON(cmd.OutOrStdout(), got)
			}
			if dry {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d runs match; nothing was done (--dry-run)\n", got.Matched)
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d runs matched, %d %s\n", got.Matched, got.Done, past)
			return err
		}
		if err := one(cmd, c, args[0]); err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"workflow_id": args[0]})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "run %s is %s\n", args[0], past)
		return err
	})
}

func newCancelCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:               "cancel RUN | cancel --all [filters]",
		Short:             "End a run, or many",
		Example:           "  agnt5d cancel order-17 --reason \"ordered twice\"\n  agnt5d cancel --all --workflow nightly",
		ValidArgsFunction: runIDs("running", "quarantined"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the run's history")
	return many(cmd, func(cmd *cobra.Command, c *client.Client, run string) error {
		return c.Cancel(cmd.Context(), run, reason)
	},
		func(cmd *cobra.Command, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error) {
			o.Reason = reason
			return c.CancelMany(cmd.Context(), f, o)
		}, "cancelled")
}

func newRetryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "retry RUN | retry --all [filters]",
		Short:             "Reopen a failed or cancelled run, or many: what was done stays done",
		Example:           "  agnt5d retry order-17\n  agnt5d retry --all --state failed --since 2026-11-23T00:00:00Z",
		ValidArgsFunction: runIDs("failed", "cancelled"),
	}
	return many(cmd, func(cmd *cobra.Command, c *client.Client, run string) error { return c.Retry(cmd.Context(), run) },
		func(cmd *cobra.Command, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error) {
			return c.RetryMany(cmd.Context(), f, o)
		}, "open again")
}

func newFireCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:               "fire RUN TIMER",
		Short:             "Fire a timer of a run now",
		Example:           "  agnt5d fire nightly-2026-11-23 maintenance",
		Args:              nargs("RUN", "TIMER"),
		ValidArgsFunction: runIDs("running"),
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

func newDeleteCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:               "delete RUN",
		Short:             "Delete a finished run and its history",
		Example:           "  agnt5d delete order-17",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs("completed", "failed", "cancelled"),
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if err := c.Delete(cmd.Context(), args[0]); err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"workflow_id": args[0]})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "run %s is deleted\n", args[0])
		return err
	})
}
