package main

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
	"github.com/spf13/cobra"
)

func newHistoryCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:               "history RUN",
		Short:             "Print a run's events, one compact line each",
		Example:           "  agnt5d history order-17\n  agnt5d history order-17 --file runs.db -o json",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs(),
	}
	addFile(cmd, &path)
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		print := printEvent(cmd, o, false)
		if path != "" {
			return fileHistory(path, args[0], print)
		}
		return history(cmd, c, args[0], print)
	})
}

// history gives a run's events, page after page.
func history(cmd *cobra.Command, c *client.Client, run string, each func(model.Event) error) error {
	for after := uint64(0); ; {
		events, next, err := c.Events(cmd.Context(), run, after, 1000)
		if err != nil || len(events) == 0 {
			return err
		}
		for i := range events {
			if err := each(events[i]); err != nil {
				return err
			}
		}
		after = next
	}
}

// printEvent prints a line for each event: compact text, or JSON.
func printEvent(cmd *cobra.Command, o *remote, named bool) func(model.Event) error {
	out := cmd.OutOrStdout()
	l := &eventLines{in: zone(cmd), named: named}
	return func(e model.Event) error {
		if o.json() {
			return printJSON(out, e)
		}
		_, err := fmt.Fprintln(out, l.line(&e))
		return err
	}
}

func fileHistory(path, id string, print func(model.Event) error) error {
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	run, err := f.find(id)
	if err != nil {
		return err
	}
	w := f.Walk()
	w.Each = func(e model.Event, _ *replay.State, _ []string) error { return print(e) }
	return f.walk(w, run, 0)
}

func newTailCmd() *cobra.Command {
	var run string
	var after uint64
	var past bool
	cmd := &cobra.Command{
		Use:     "tail",
		Short:   "Print events as they become durable, of all runs or of one",
		Example: "  agnt5d tail\n  agnt5d tail --run order-17\n  agnt5d tail --past -o json",
		Args:    nargs(),
	}
	idFlag(cmd, &run, "run", "only this run; ends when it has ended")
	cmd.Flags().Uint64Var(&after, "after", 0, "begin after this event")
	cmd.Flags().BoolVar(&past, "past", false, "begin with the first event instead of now")
	_ = cmd.RegisterFlagCompletionFunc("run", runIDs("running"))
	return remoteVerb(cmd, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		if run == "" && after == 0 && !past {
			last, err := c.Version(cmd.Context())
			if err != nil {
				return err
			}
			after = last.Durable
		}
		print := printEvent(cmd, o, run == "")
		var err error
		if run != "" {
			err = c.Follow(cmd.Context(), run, after, print)
		} else {
			err = c.FollowAll(cmd.Context(), after, print)
		}
		if cmd.Context().Err() != nil && errors.Is(err, cmd.Context().Err()) {
			return nil // Ctrl-C is how it ends
		}
		return err
	})
}
