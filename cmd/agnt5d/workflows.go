package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newWorkflowsCmd() *cobra.Command {
	cmd := remoteVerb(&cobra.Command{
		Use:     "workflows",
		Aliases: []string{"workflow"},
		Short:   "List workflows, show and compare versions, make an old version current, delete what no run uses",
		Example: "  agnt5d workflows\n  agnt5d workflows show order --version 1\n  agnt5d workflows use order 1",
		Args:    nargs(),
	}, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		all, err := c.Workflows(cmd.Context())
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"workflows": all})
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "no workflow is registered")
			return err
		}
		rows := [][]string{{"WORKFLOW", "CURRENT", "VERSIONS", "OPEN RUNS"}}
		for _, w := range all {
			open, err := openRuns(cmd, c, w.Name)
			if err != nil {
				return err
			}
			rows = append(rows, []string{w.Name, fmt.Sprint(w.Current), fmt.Sprint(w.Versions), open})
		}
		return table(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(newWorkflowsShowCmd(), newWorkflowsDiffCmd(), newWorkflowsUseCmd(), newWorkflowsDeleteCmd())
	return cmd
}

// openRuns counts the open runs of a workflow, up to what one page of a list tells: there are more when it says 1000+.
func openRuns(cmd *cobra.Command, c *client.Client, name string) (string, error) {
	runs, more, err := c.List(cmd.Context(), client.Filter{Workflow: name, State: "running,finishing,quarantined"}, 1000, "")
	if err != nil {
		return "", err
	}
	text := strconv.Itoa(len(runs))
	if more != "" {
		text += "+"
	}
	return text, nil
}

func newWorkflowsShowCmd() *cobra.Command {
	var version uint32
	cmd := &cobra.Command{
		Use:               "show NAME",
		Short:             "Print the definition of a workflow as JSON",
		Long:              "Prints the definition of a workflow as JSON, which register takes, and on standard error which versions there are. With -o json it stands in the field definition, beside version and digest.",
		Example:           "  agnt5d workflows show order\n  agnt5d workflows show order --version 1 > order-1.json",
		Args:              nargs("NAME"),
		ValidArgsFunction: workflowNames,
	}
	cmd.Flags().Uint32Var(&version, "version", 0, "this version; 0: the current one")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		w, err := c.Workflow(cmd.Context(), args[0], version)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), w)
		}
		b := &bytes.Buffer{}
		if err := json.Indent(b, w.Definition, "", "  "); err != nil {
			return err
		}
		which := "the only one"
		if n := len(w.Numbers); n > 1 {
			which = fmt.Sprintf("one of %d, from %d to %d; version %d is current", n, w.Numbers[0], w.Numbers[n-1], w.Current)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s version %d, %s\n", w.Name, w.Version, which)
		_, err = fmt.Fprintln(cmd.OutOrStdout(), b)
		return err
	})
}

func newWorkflowsUseCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:               "use NAME VERSION",
		Short:             "Make a version that a workflow has had current: new runs get it",
		Example:           "  agnt5d workflows use order 1",
		Args:              nargs("NAME", "VERSION"),
		ValidArgsFunction: workflowNames,
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		n, err := strconv.ParseUint(args[1], 10, 31)
		if err != nil || n == 0 {
			return exit(exitUsage, "VERSION %q: want a version's number, 1 or more; \"agnt5d workflows show NAME -o json\" lists them", args[1])
		}
		v, err := c.UseWorkflow(cmd.Context(), args[0], uint32(n))
		if err != nil {
			return err
		}
		return printUsed(cmd, o, v)
	})
}

func newWorkflowsDeleteCmd() *cobra.Command {
	var version uint32
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a version of a workflow that no run uses, or the whole workflow",
		Long: `Deletes a version of a workflow, or without --version the workflow with all of its versions. It is refused as long as a run, open or ended,
uses what would be deleted, and for the current version alone. The number of a deleted version is not used again.`,
		Example:           "  agnt5d workflows delete order --version 1\n  agnt5d delete --all --workflow order && agnt5d workflows delete order",
		Args:              nargs("NAME"),
		ValidArgsFunction: workflowNames,
	}
	cmd.Flags().Uint32Var(&version, "version", 0, "this version; else all of them")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if cmd.Flags().Changed("version") && version == 0 {
			return exit(exitUsage, "--version 0: want a version's number, 1 or more; \"agnt5d workflows show NAME -o json\" lists them")
		}
		if err := c.DeleteWorkflow(cmd.Context(), args[0], version); err != nil {
			return err
		}
		switch {
		case o.json():
			return printJSON(cmd.OutOrStdout(), map[string]any{"name": args[0], "version": version})
		case version == 0:
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "workflow %s is deleted, with all of its versions\n", args[0])
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s version %d is deleted\n", args[0], version)
		return err
	})
}

func printUsed(cmd *cobra.Command, o *remote, v model.Version) error {
	if o.json() {
		return printJSON(cmd.OutOrStdout(), v)
	}
	instead := ""
	if v.Replaced != 0 {
		instead = fmt.Sprintf(" instead of version %d", v.Replaced)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s version %d is current%s: new runs get it, others keep theirs (%s)\n", v.Name, v.Version, instead, v.Digest)
	return err
}
