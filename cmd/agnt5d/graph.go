package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/diagram"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

func newGraphCmd() *cobra.Command {
	var run, format, path string
	var version uint32
	var most int
	cmd := &cobra.Command{
		Use:   "graph WORKFLOW | --run RUN",
		Short: "Draw a workflow, or a run with the state of each step, as text, SVG, Mermaid or DOT",
		Example: `  agnt5d graph order --format svg > order.svg
  agnt5d graph --run order-17 --format mermaid`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return namedRun(cmd, run)
			}
			return nargs("WORKFLOW")(cmd, args)
		},
		ValidArgsFunction: workflowNames,
	}
	addFile(cmd, &path)
	textFlag(cmd, &run, "run", "draw this run")
	cmd.Flags().Uint32Var(&version, "version", 0, "of the workflow; 0: the current one")
	cmd.Flags().StringVar(&format, "format", "text", "text, svg, mermaid or dot")
	cmd.Flags().IntVar(&most, "fold", 300, "fold steps that are alike when there are more than this many; 0: never")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "svg", "mermaid", "dot"}, cobra.ShellCompDirectiveNoFileComp))
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, _ *remote) error {
		if (run == "") == (len(args) == 0) {
			return exit(exitUsage, "graph wants a workflow's name or --run RUN, and not both (see \"%s --help\")", cmd.CommandPath())
		}
		st := &model.Status{Version: version}
		var err error
		if run != "" {
			st, err = statusOf(cmd, c, run, path)
		} else {
			st.WorkflowName = args[0]
		}
		if err != nil {
			return err
		}
		def, err := definitionOf(cmd, c, st, path)
		if err != nil {
			return err
		}
		return drawGraph(cmd, st, def, format, most)
	})
}

func drawGraph(cmd *cobra.Command, st *model.Status, def *flow.Definition, format string, most int) error {
	out := cmd.OutOrStdout()
	g, err := flow.RecordedGraph(def, true)
	if err != nil {
		return err
	}
	d := diagram.Of(g)
	if most > 0 {
		d = d.Fold(most, apartIn(st))
	}
	for i := range d.Nodes {
		d.Nodes[i].Marks = withItems(st, &d.Nodes[i])
	}
	states := func(n diagram.Node) string { return worst(st, n) }
	switch format {
	case "svg":
		return d.Layout().SVG(out, states)
	case "mermaid":
		return d.Mermaid(out, states)
	case "dot":
		return d.DOT(out, states)
	case "text":
	default:
		return exit(exitUsage, "--format %q: want text, svg, mermaid or dot", format)
	}
	rails, tangled := d.Rails(60)
	before := d.Before()
	for i, n := range d.Nodes {
		mark := "○"
		if state := worst(st, n); state != "" {
			mark = marks[state]
		}
		line := "  " + strings.Replace(rails[i], diagram.Here, mark, 1) + "  " + n.Label()
		if tangled && len(before[i]) > 0 {
			line += "  after " + few(before[i])
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// withItems gives the marks of a node with how many items there are of a list that its step goes over.
func withItems(st *model.Status, n *diagram.Node) []string {
	items := st.Steps[n.Name].Items
	if n.Steps != nil || items == nil {
		return n.Marks
	}
	marks := slices.Clone(n.Marks)
	for i, m := range marks {
		if m == diagram.ForEach {
			marks[i] += ": " + howMany(items)
		}
	}
	return marks
}

// worst is the state that a node is drawn in: a step's own, or of a folded group the one that somebody should look at first.
func worst(st *model.Status, n diagram.Node) string {
	if n.Steps == nil {
		return st.Steps[n.Name].State
	}
	found := map[string]bool{}
	for _, s := range n.Steps {
		found[st.Steps[s].State] = true
	}
	for _, state := range []string{"failed", "running", "retrying", "blocked", "deferred", "waiting", "scheduled", "pending", "dormant", "timed_out", "cancelled", "completed", "skipped"} {
		if found[state] {
			return state
		}
	}
	return ""
}
