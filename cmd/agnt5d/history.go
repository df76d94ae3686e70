package main

import (
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
	f, err := openFile(path, leaveOut)
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
