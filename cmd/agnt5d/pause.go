package main

import (
	"fmt"

	"github.com/agnt5/agnt5d/client"
	"github.com/spf13/cobra"
)

func newPauseCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause RUN",
		Short: "Pause a run: no task of it is handed out, and no time of it comes",
		Long: `Pauses a run until it is resumed: no task of it is handed out, and no timer, timeout or retry of it comes. What workers have goes on,
and signals are taken. A pause ends with the run, and outlives the daemon.`,
		Example:           "  agnt5d pause order-17 --reason \"the warehouse counts\"",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs("running", "finishing"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the run's history")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if err := c.Pause(cmd.Context(), args[0], reason); err != nil {
			return err
		}
		return tellPause(cmd, o, args[0], true)
	})
}

func newResumeCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:               "resume RUN",
		Short:             "End the pause of a run: what is overdue comes at once",
		Example:           "  agnt5d resume order-17",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs("running", "finishing"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the run's history")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if err := c.Resume(cmd.Context(), args[0], reason); err != nil {
			return err
		}
		return tellPause(cmd, o, args[0], false)
	})
}

func tellPause(cmd *cobra.Command, o *remote, run string, paused bool) error {
	if o.json() {
		return printJSON(cmd.OutOrStdout(), map[string]any{"workflow_id": run, "paused": paused})
	}
	became := "is paused"
	if !paused {
		became = "is not paused any more"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "run %s %s\n", run, became)
	return err
}
