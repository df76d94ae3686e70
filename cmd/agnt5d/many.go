package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// deed is what a verb does to a run, to some that are named, or with filters to many.
type deed struct {
	past string // "run x is ..."
	many string // of many runs; "": past
	one  func(ctx context.Context, c *client.Client, run string) error
	all  func(ctx context.Context, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error)
	then func(ctx context.Context, c *client.Client, run string) string        // what a run is then; nil: past
	told map[string]any                                                        // of one run, beside its id, as JSON
	bare func(cmd *cobra.Command, c *client.Client, o *remote, dry bool) error // --all without a filter; nil: every run, with --yes
	plan func() client.Deed                                                    // of what --plan says what it would do; nil: there is no --plan
}

// many makes a verb of a deed.
func many(cmd *cobra.Command, do deed) *cobra.Command {
	var f runFilter
	var every, yes, dry, plan bool
	addFilter(cmd, &f)
	cmd.Flags().BoolVar(&every, "all", false, "every run that matches the filters, instead of naming runs")
	if do.bare == nil {
		cmd.Flags().BoolVar(&yes, "yes", false, "confirm --all without a filter")
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "with --all: only count the runs that match")
	if do.plan != nil {
		cmd.Flags().BoolVar(&plan, "plan", false, planFlag)
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case every && plan:
			return exit(exitUsage, "--plan takes runs by their ids, not --all; --dry-run counts those that match")
		case every && len(args) > 0:
			return exit(exitUsage, "name runs or pass --all, not both")
		case every && f.empty() && !yes && !dry && do.bare == nil:
			return exit(exitUsage, "--all without a filter means every run of the daemon: add a filter (see \"%s --help\"), or pass --yes to confirm", cmd.CommandPath())
		case every:
			return nil
		case !f.empty():
			return exit(exitUsage, "filters go with --all")
		case dry:
			return exit(exitUsage, "--dry-run goes with --all")
		case len(args) == 0:
			return nargs("RUN")(cmd, args)
		}
		for _, run := range args {
			if err := checkArg(cmd, "RUN", run); err != nil {
				return err
			}
		}
		return nil
	}
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if plan {
			return printPlans(cmd, args, c, o, do.plan())
		}
		if !every {
			return do.named(cmd, args, c, o)
		}
		if f.empty() && do.bare != nil {
			return do.bare(cmd, c, o, dry)
		}
		want, err := f.resolve(cmd)
		if err != nil {
			return err
		}
		got, err := do.all(cmd.Context(), c, want, client.ManyOptions{All: want.Empty(), DryRun: dry})
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), got)
		}
		return printMany(cmd.OutOrStdout(), got, dry, cmp.Or(do.many, do.past))
	})
}

// printMany says what was done to many runs, and which refused it.
func printMany(out io.Writer, got client.Many, dry bool, past string) error {
	text := fmt.Sprintf("%s matched, %d %s", count(got.Matched, "run"), got.Done, past)
	would := ""
	if dry {
		text, would = count(got.Matched, "run")+" match", " would be"
		if got.Matched == 1 {
			text += "es"
		}
	}
	if got.Refused > 0 {
		text += fmt.Sprintf(", %d%s refused", got.Refused, would)
	}
	if dry {
		text += "; nothing was done (--dry-run)"
	}
	fmt.Fprintln(out, text)
	shown := got.Refusals[:min(len(got.Refusals), 10)]
	for _, r := range shown {
		fmt.Fprintf(out, "  %s (%s)\n", visible(r.Detail), visible(r.Code))
	}
	if more := got.Refused - len(shown); more > 0 {
		fmt.Fprintf(out, "  and %d more; with -o json the first 100 are listed\n", more)
	}
	return nil
}

// named does it to one run after the other, and says of each in turn what became of it. Where it cannot be done the others are done
// all the same, and the first error counts.
func (do *deed) named(cmd *cobra.Command, runs []string, c *client.Client, o *remote) error {
	var first error
	var e *exitErr // told gives no other
	done := []string{}
	for _, run := range runs {
		err := told(do.one(cmd.Context(), c, run))
		switch {
		case err == nil:
			done = append(done, run)
			if !o.json() {
				fmt.Fprintf(cmd.OutOrStdout(), "run %s is %s\n", run, do.became(cmd.Context(), c, run))
			}
		case len(runs) == 1:
			return err
		case errors.As(err, &e):
			printError(cmd.ErrOrStderr(), o.json(), e)
			if first == nil {
				first = exit(e.code, "")
			}
		}
		if cmd.Context().Err() != nil {
			break
		}
	}
	switch {
	case !o.json():
		return first
	case len(runs) == 1:
		out := map[string]any{"workflow_id": runs[0]}
		maps.Copy(out, do.told)
		return printJSON(cmd.OutOrStdout(), out)
	}
	if err := printJSON(cmd.OutOrStdout(), map[string]any{"workflow_ids": done}); err != nil {
		return err
	}
	return first
}

// became says what a run is now.
func (do *deed) became(ctx context.Context, c *client.Client, run string) string {
	if do.then == nil {
		return do.past
	}
	return do.then(ctx, c, run)
}

// cancelledNow says in which state a run is that was cancelled: one with compensations or finally steps left is finishing.
func cancelledNow(ctx context.Context, c *client.Client, run string) string {
	st, err := c.Status(ctx, run, "none")
	switch {
	case err != nil: // it was cancelled all the same
		return "cancelled"
	case st.State == "finishing" && st.Fate == "cancelled":
		return "finishing, and cancelled when that is done"
	case st.State == "cancelled":
		return "cancelled"
	case st.State == "failed":
		return "ended; it has failed"
	}
	return st.State
}

func newCancelCmd() *cobra.Command {
	var reason string
	var force bool
	cmd := &cobra.Command{
		Use:               "cancel RUN... | cancel --all [filters]",
		Short:             "End runs",
		Example:           "  agnt5d cancel order-17 --reason \"ordered twice\"\n  agnt5d cancel order-17 --force\n  agnt5d cancel --all --workflow nightly",
		ValidArgsFunction: runIDs("running", "finishing", "quarantined"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the run's history")
	cmd.Flags().BoolVar(&force, "force", false, "end them at once: compensate nothing more, and run no finally step")
	return many(cmd, deed{past: "cancelled", many: "cancelled or finishing", then: cancelledNow,
		one: func(ctx context.Context, c *client.Client, run string) error {
			if force {
				return c.CancelNow(ctx, run, reason)
			}
			return c.Cancel(ctx, run, reason)
		},
		all: func(ctx context.Context, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error) {
			if force {
				return client.Many{}, exit(exitUsage, "--force takes runs by their ids, not --all")
			}
			o.Reason = reason
			return c.CancelMany(ctx, f, o)
		},
		plan: func() client.Deed { return client.Deed{Do: model.DeedCancel, Force: force, Reason: reason} }})
}

func newRetryCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:               "retry RUN... | retry --all [filters]",
		Short:             "Reopen failed or cancelled runs; completed steps are not run again",
		Example:           "  agnt5d retry order-17 --plan\n  agnt5d retry order-17 --reason \"the card works again\"\n  agnt5d retry --all --state failed --since yesterday",
		ValidArgsFunction: runIDs("failed", "cancelled"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the run's history")
	return many(cmd, deed{past: "open again",
		one: func(ctx context.Context, c *client.Client, run string) error { return c.Retry(ctx, run, reason) },
		all: func(ctx context.Context, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error) {
			o.Reason = reason
			return c.RetryMany(ctx, f, o)
		},
		plan: func() client.Deed { return client.Deed{Do: model.DeedRetry, Reason: reason} }})
}

func newDeleteCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete RUN... | delete --all [filters]",
		Short: "Delete finished runs and their history",
		Long: strings.TrimSpace(`
Deletes runs that have finished, and all that is recorded of them. Open runs that match
the filters are kept. A deleted id cannot be used again for 90 days, or what the daemon's
--keep-deleted-ids says.`),
		Example:           "  agnt5d delete order-17 order-18\n  agnt5d delete --all --state completed --until 2026-10-01 --dry-run",
		ValidArgsFunction: runIDs("completed", "failed", "cancelled"),
	}
	return many(cmd, deed{past: "deleted",
		one: func(ctx context.Context, c *client.Client, run string) error { return c.Delete(ctx, run) },
		all: func(ctx context.Context, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error) {
			return c.DeleteMany(ctx, f, o)
		}})
}
