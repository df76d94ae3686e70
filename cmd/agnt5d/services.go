package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newServicesCmd() *cobra.Command {
	cmd := remoteVerb(&cobra.Command{
		Use:     "services",
		Aliases: []string{"service"},
		Short:   "List services: who serves them, and which are paused",
		Example: "  agnt5d services\n  agnt5d services put payments http://127.0.0.1:9000/tasks --handler charge,refund\n  agnt5d services pause payments --reason \"the bank is closed\"\n  agnt5d services delete payments",
		Args:    nargs(),
	}, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		all, err := c.Services(cmd.Context())
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"services": all})
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "nobody serves anything, and no push service is configured")
			return err
		}
		rows := [][]string{{"SERVICE", "KIND", "URL", "CAPACITY", "TIMEOUT", "HANDLERS"}}
		for _, s := range all {
			address, limit := "-", "-"
			if s.Kind == model.ServicePushed {
				address, limit = s.URL, (time.Duration(s.TimeoutMS) * time.Millisecond).String()
			}
			rows = append(rows, []string{s.Name, s.Kind, address, fmt.Sprint(s.Capacity), limit, clip(strings.Join(s.Handlers, " "), 60)})
		}
		if err := table(cmd.OutOrStdout(), rows); err != nil {
			return err
		}
		for _, s := range all {
			if s.Problem != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "%s gets no tasks: %s\n", s.Name, s.Problem)
			}
			if p := s.Paused; p != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is paused since %s by %s: %s\n  agnt5d services resume %s\n", s.Name, local(p.At, zone(cmd)), visible(p.By), visible(orDash(p.Reason)), ids.Word(s.Name))
			}
		}
		return nil
	})
	cmd.AddCommand(newServicesPutCmd(), newServicesDeleteCmd(), newServicesPauseCmd(true), newServicesPauseCmd(false))
	return cmd
}

func newServicesPutCmd() *cobra.Command {
	var in model.Service
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "put NAME URL",
		Short: "Add or change a push service",
		Long: `Adds or changes a push service: each task of a handler is POSTed to URL/HANDLER. The secret of the signature is printed
when it is made; it is not shown again.`,
		Example: "  agnt5d services put payments http://127.0.0.1:9000/tasks --handler charge,refund --capacity 20",
		Args:    nargs("NAME", "URL"),
	}
	cmd.Flags().StringSliceVar(&in.Handlers, "handler", nil, "handlers that it serves, separated by commas")
	cmd.Flags().IntVar(&in.Capacity, "capacity", 0, "most requests at once (default 10)")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "time limit of one request (default 1m)")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if len(in.Handlers) == 0 {
			return exit(exitUsage, "name what it serves with --handler NAME,NAME")
		}
		for _, h := range in.Handlers {
			if err := ids.Check(h); err != nil {
				return exit(exitUsage, "--handler: a name %w", err)
			}
		}
		in.Name, in.URL, in.TimeoutMS = args[0], args[1], timeout.Milliseconds()
		got, created, err := c.PutService(cmd.Context(), in)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), got)
		}
		how := "is changed"
		if created {
			how = "is set up"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "push service %s %s\n", got.Name, how)
		if got.Secret != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "secret %s\n", got.Secret)
		}
		return nil
	})
}

func newServicesDeleteCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:     "delete NAME",
		Short:   "Remove a push service; its tasks are offered to others",
		Example: "  agnt5d services delete payments",
		Args:    nargs("NAME"),
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if err := c.DeleteService(cmd.Context(), args[0]); err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"name": args[0]})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "push service %s is removed\n", args[0])
		return err
	})
}

func newServicesPauseCmd(pause bool) *cobra.Command {
	verb, short, became := "pause", "Pause a service, whoever serves it: its tasks wait, and nobody gets one", "is paused"
	if !pause {
		verb, short, became = "resume", "End the pause of a service", "is not paused any more"
	}
	var reason string
	cmd := &cobra.Command{
		Use:     verb + " NAME",
		Short:   short,
		Example: "  agnt5d services " + verb + " payments",
		Args:    nargs("NAME"),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the history")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		do := c.ResumeService
		if pause {
			do = c.PauseService
		}
		if err := do(cmd.Context(), args[0], reason); err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"name": args[0], "paused": pause})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "service %s %s\n", args[0], became)
		return err
	})
}
