package main

import (
	"context"
	"fmt"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// tellAfter is how long a verb waits for a run's end before it says why the run is not done.
const tellAfter = 3 * time.Second

// limitFlag is a flag for how long to wait: 0 is without limit.
type limitFlag struct {
	on    bool // it was given
	limit time.Duration
}

func (l *limitFlag) String() string {
	if l == nil || l.limit == 0 {
		return ""
	}
	return l.limit.String()
}

func (l *limitFlag) Set(s string) error {
	switch s {
	case "true", "false": // --wait alone, and what scripts may say
		l.on, l.limit = s == "true", 0
		return nil
	}
	ms, err := flow.ParseDuration(s)
	if err != nil || ms <= 0 {
		return fmt.Errorf("want a duration like 30s, 10m or 2h")
	}
	l.on, l.limit = true, time.Duration(ms)*time.Millisecond
	return nil
}

func (l *limitFlag) Type() string { return "duration" }

func newWaitCmd() *cobra.Command {
	var l limitFlag
	cmd := &cobra.Command{
		Use:   "wait RUN",
		Short: "Wait for the end of a run",
		Long: `Waits for the end of a run and says how it ended; after 3 s it says once why the run is not done. The exit code says how it
ended: 0 completed, 3 failed, 4 cancelled; 124: it has not ended within --timeout, and continues.`,
		Example:           "  agnt5d wait order-17\n  agnt5d wait order-17 --timeout 30s",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs("running", "finishing", "quarantined"),
	}
	cmd.Flags().Var(&l, "timeout", "wait no longer than this (default: as long as it takes)")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		st, err := waitFor(cmd, c, o, args[0], l.limit)
		if err != nil {
			return err
		}
		return printEnd(cmd, o, st)
	})
}

// waitFor waits for a run's end, limit at most; 0: as long as it takes.
func waitFor(cmd *cobra.Command, c *client.Client, o *remote, run string, limit time.Duration) (*model.Status, error) {
	ctx, stop := cmd.Context(), context.CancelFunc(func() {})
	first := tellAfter
	if limit > 0 {
		ctx, stop = context.WithTimeout(ctx, limit)
		first = min(first, limit)
	}
	defer stop()
	steps := "none"
	if o.json() {
		steps = ""
	}
	short, done := context.WithTimeout(cmd.Context(), first)
	st, err := c.WaitSteps(short, run, steps)
	early := short.Err() != nil
	done()
	var why []model.Reason
	if err != nil && early && cmd.Context().Err() == nil {
		why = sayWhy(cmd, c, o, run)
		st, err = c.WaitSteps(ctx, run, steps)
	}
	switch {
	case err == nil:
		return st, nil
	case cmd.Context().Err() != nil:
		return nil, notEnded(why, "stopped waiting; the run continues")
	case ctx.Err() != nil:
		return nil, notEnded(why, "run %s has not ended within %s; it continues", run, limit)
	}
	return nil, err
}

// notEnded is the error of who gives up waiting. It carries for programs why the run was not done.
func notEnded(why []model.Reason, format string, args ...any) error {
	d := &detailed{code: codeOf[exitTimeout], message: fmt.Sprintf(format, args...), details: map[string]any{}}
	if d.text = d.message; len(why) > 0 {
		d.details["reasons"] = why
	}
	return &exitErr{exitTimeout, d}
}

// sayWhy says why a run is not done, and gives the reasons: -o json has them in its error. What cannot be told now is left out, for the
// wait goes on.
func sayWhy(cmd *cobra.Command, c *client.Client, o *remote, run string) []model.Reason {
	reasons, err := c.Explain(cmd.Context(), run)
	if err != nil || len(reasons) == 0 || o.json() {
		return reasons
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "run %s is not done:\n", run)
	printReasons(cmd.ErrOrStderr(), reasons, "  ", "    ", zone(cmd))
	return reasons
}

// printEnd says how a run ended, also in the exit code.
func printEnd(cmd *cobra.Command, o *remote, st *model.Status) error {
	show := printRun
	if o.json() {
		show = func(cmd *cobra.Command, st *model.Status) error { return printJSON(cmd.OutOrStdout(), st) }
	}
	if err := show(cmd, st); err != nil {
		return err
	}
	return outcome(st)
}
