package main

import (
	"context"
	"fmt"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newPauseCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause RUN... | pause --all [filters]",
		Short: "Pause runs: no task of them is handed out, and no time of them comes",
		Long: `Pauses runs until they are resumed: no task of them is handed out, no child of them starts, and no timer, timeout or retry comes. What workers
have goes on, and signals are taken. A pause ends with its run, and outlives the daemon.`,
		Example:           "  agnt5d pause order-17 --reason \"the warehouse counts\"\n  agnt5d pause --all --workflow order --tag region=eu\n  agnt5d list --paused",
		ValidArgsFunction: runIDs("running", "finishing"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the run's history")
	return many(cmd, deed{past: "paused", told: map[string]any{"paused": true},
		one: func(ctx context.Context, c *client.Client, run string) error { return c.Pause(ctx, run, reason) },
		all: func(ctx context.Context, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error) {
			o.Reason = reason
			return c.PauseMany(ctx, f, o)
		}})
}

func newResumeCmd() *cobra.Command {
	var reason string
	var perSecond uint32
	cmd := &cobra.Command{
		Use:   "resume RUN... | resume --all [filters] | resume --all [--per-second N]",
		Short: "End the pause of runs, or with --all the hold of a daemon that was started with --careful",
		Long: `Ends the pause of runs: what is overdue comes at once. With --all and filters, of every paused run that they name; of all of them with
--all --paused.

With --all and no filter it ends the hold of a daemon that was started with "serve --careful": the runs go on, oldest first, at once or N a second. It
waits until all have, and shows how far that is; Ctrl-C leaves the daemon at it. The same again changes how fast it goes. Runs that are paused
themselves stay so.`,
		Example:           "  agnt5d resume order-17\n  agnt5d resume --all --workflow order\n  agnt5d resume --all --per-second 50",
		ValidArgsFunction: runIDs("running", "finishing"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the run's history, or in the journal")
	cmd.Flags().Uint32Var(&perSecond, "per-second", 0, "with --all and no filter: so many runs a second; 0: as fast as it goes")
	const once = "--per-second goes with --all, and with no filter: it is for the hold of a daemon that was started with --careful; paused runs are all resumed at once"
	return many(cmd, deed{past: "not paused any more", then: resumedNow, told: map[string]any{"paused": false},
		one: func(ctx context.Context, c *client.Client, run string) error {
			if perSecond > 0 {
				return exit(exitUsage, once)
			}
			return c.Resume(ctx, run, reason)
		},
		all: func(ctx context.Context, c *client.Client, f client.Filter, o client.ManyOptions) (client.Many, error) {
			if perSecond > 0 {
				return client.Many{}, exit(exitUsage, once)
			}
			o.Reason = reason
			got, err := c.ResumeMany(ctx, f, o)
			if err == nil && holds(ctx, c) {
				fmt.Fprintln(cmd.ErrOrStderr(), "note: "+holdRemains)
			}
			return got, err
		},
		bare: func(cmd *cobra.Command, c *client.Client, o *remote, dry bool) error {
			return resumeAll(cmd, c, o, int(perSecond), reason, dry)
		}})
}

const holdRemains = "the daemon was started with --careful and holds all runs until: agnt5d resume --all"

// resumedNow says what a run is that was resumed: a daemon that was started with --careful holds it all the same.
func resumedNow(ctx context.Context, c *client.Client, run string) string {
	if holds(ctx, c) {
		return "not paused any more; " + holdRemains
	}
	return "not paused any more"
}

// holds says whether the daemon holds its runs, and nobody has ended that.
func holds(ctx context.Context, c *client.Client) bool {
	h, err := c.Holding(ctx)
	return err == nil && h.Held && !h.Resuming
}

// resumeAll ends the hold of a daemon that was started with --careful, and waits for that.
func resumeAll(cmd *cobra.Command, c *client.Client, o *remote, perSecond int, reason string, dry bool) error {
	ctx := cmd.Context()
	h, err := c.Holding(ctx)
	if err != nil {
		return err
	}
	was := h.Held
	if was && !dry {
		if h, err = c.ResumeAll(ctx, perSecond, reason); err != nil {
			return err
		}
		if h, err = watchHold(ctx, c, newBar(cmd.ErrOrStderr()), h); ctx.Err() != nil {
			return exit(exitInterrupted, "interrupted: the daemon goes on resuming the runs; the same again shows how far it is")
		}
		if err != nil {
			return err
		}
	}
	out := cmd.OutOrStdout()
	switch {
	case o.json():
		return printJSON(out, h)
	case !was:
		_, err = fmt.Fprintln(out, "nothing is held; for runs that are paused themselves: agnt5d resume --all --paused")
	case dry:
		_, err = fmt.Fprintf(out, "held: %s; nothing was done (--dry-run)\n", count(h.Runs, "run"))
	default:
		_, err = fmt.Fprintf(out, "%s resumed; nothing is held any more\n", count(h.Resumed, "run"))
	}
	return err
}

// watchHold shows how far the release of the runs is, until it is over.
func watchHold(ctx context.Context, c *client.Client, bar *bar, h model.Hold) (model.Hold, error) {
	defer bar.end()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for h.Held {
		bar.show(fmt.Sprintf("resuming %d of %d runs,", h.Resumed, h.Resumed+h.Runs), share(int64(h.Resumed), int64(h.Resumed+h.Runs)))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return h, ctx.Err()
		}
		var err error
		if h, err = c.Holding(ctx); err != nil {
			return h, err
		}
	}
	return h, nil
}
