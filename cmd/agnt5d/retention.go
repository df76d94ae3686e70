package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/spf13/cobra"
)

// retention is how long runs are kept after their end.
type retention struct {
	Completed longTime `yaml:"completed"`
	Failed    longTime `yaml:"failed"`
	Cancelled longTime `yaml:"cancelled"`
}

func (r *retention) check() error {
	for _, kept := range []struct {
		flag  string
		value longTime
	}{{"--retention-completed", r.Completed}, {"--retention-failed", r.Failed}, {"--retention-cancelled", r.Cancelled}} {
		if kept.value != 0 && kept.value < longTime(time.Second) {
			return fmt.Errorf("%s %s: want 1s or more, like 30d, or 0 for ever", kept.flag, &kept.value)
		}
	}
	return nil
}

func (r *retention) option() engine.Retention {
	return engine.Retention{Completed: time.Duration(r.Completed), Failed: time.Duration(r.Failed), Cancelled: time.Duration(r.Cancelled)}
}

// longTime is a setting that is a duration with days and weeks, such as 30d.
type longTime time.Duration

func (l *longTime) String() string {
	day := longTime(24 * time.Hour)
	if *l != 0 && *l%day == 0 {
		return fmt.Sprintf("%dd", *l/day)
	}
	return time.Duration(*l).String()
}

func (l *longTime) Type() string { return "duration" }

// Set reads 30d and 1w2d as a definition does, and 720h and 1.5h as the other settings do.
func (l *longTime) Set(text string) error {
	ms, err := flow.ParseDuration(text)
	if err == nil {
		*l = longTime(time.Duration(ms) * time.Millisecond)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration; want one like 30d, 12h or 1w", text)
	}
	*l = longTime(d)
	return nil
}

func (l *longTime) UnmarshalYAML(read func(any) error) error {
	var text string
	if err := read(&text); err != nil {
		return err
	}
	return l.Set(text)
}

func newPurgeCmd() *cobra.Command {
	var f client.Filter
	var before string
	var dry bool
	cmd := &cobra.Command{
		Use:   "purge --before TIME",
		Short: "Delete runs that ended before a time",
		Long: strings.TrimSpace(`
Deletes the runs that ended before a time, and all that is recorded of them, a part at a
time so that running work goes on. Open runs are kept, whatever their age. To have it
done all the time, let the daemon do it: agnt5d serve --retention-completed 30d.

Times are ` + timeForms + `, in your zone or with --utc in UTC.`),
		Example: "  agnt5d purge --before 30d --state completed --dry-run\n  agnt5d purge --before 2026-10-01 --workflow nightly",
		Args:    nargs(),
	}
	idFlag(cmd, &f.Workflow, "workflow", "only runs of this workflow")
	cmd.Flags().VarP(&commaText{&f.State}, "state", "s", "only runs that ended so: completed, failed or cancelled, or several with commas between")
	textFlag(cmd, &before, "before", "runs that ended before this time: "+timeForms)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only count the runs that would be deleted")
	_ = cmd.RegisterFlagCompletionFunc("workflow", workflowNames)
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"completed", "failed", "cancelled"}, cobra.ShellCompDirectiveNoFileComp))
	return remoteVerb(cmd, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		if before == "" {
			return exit(exitUsage, "--before is missing: say how old a run's end must be, like --before 30d")
		}
		f.EndedUntil = before
		if err := resolveTime(cmd, "before", &f.EndedUntil); err != nil {
			return err
		}
		got, err := c.DeleteMany(cmd.Context(), f, client.ManyOptions{DryRun: dry, Reason: "purge"})
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), got)
		}
		if dry {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s would be deleted; nothing was done (--dry-run)\n", count(got.Matched, "run"))
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s deleted\n", count(got.Done, "run"))
		return err
	})
}
