package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/agnt5/agnt5d/api/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/view"
	"github.com/spf13/cobra"
)

func newShowCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:               "show RUN",
		Short:             "Draw a run as a graph, with the state of each step",
		Example:           "  agnt5d show order-17\n  agnt5d show order-17 -o json",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs(),
	}
	addFile(cmd, &path)
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		st, err := statusOf(cmd, c, args[0], path)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), st)
		}
		def, err := definitionOf(cmd, c, st, path)
		if err != nil {
			return err
		}
		return drawRun(cmd.OutOrStdout(), st, def)
	})
}

// statusOf reads a run from the daemon, or from a file.
func statusOf(cmd *cobra.Command, c *client.Client, run, path string) (*view.Status, error) {
	if path == "" {
		return c.Status(cmd.Context(), run, "")
	}
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.status(run)
}

func definitionOf(cmd *cobra.Command, c *client.Client, st *view.Status, path string) (*flow.Definition, error) {
	var body json.RawMessage
	if path == "" {
		w, err := c.Workflow(cmd.Context(), st.WorkflowName, st.Version)
		if err != nil {
			return nil, err
		}
		body = w.Definition
	} else {
		f, err := openFile(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if body, err = f.definition(st.WorkflowName, st.Version); err != nil {
			return nil, err
		}
	}
	def, problems := flow.Parse(body)
	if len(problems) > 0 {
		return nil, problems
	}
	return def, nil
}

// marks is what a step's state looks like in the drawing.
var marks = map[string]string{
	"completed": "✔", "failed": "✘", "cancelled": "✘", "timed_out": "⏱", "skipped": "–", "running": "▶", "scheduled": "○", "blocked": "⊘",
	"waiting": "◷", "retrying": "↻", "deferred": "↻", "pending": "·", "dormant": "·",
}

func drawRun(out io.Writer, st *view.Status, def *flow.Definition) error {
	fmt.Fprintf(out, "run %s  %s version %d  %s", st.WorkflowID, st.WorkflowName, st.Version, st.State)
	fmt.Fprintf(out, "\nstarted %s", local(st.CreatedAt))
	if st.CompletedAt != "" {
		fmt.Fprintf(out, ", took %s", between(st.CreatedAt, st.CompletedAt))
	}
	fmt.Fprint(out, "\n\n")
	rails := draw(def)
	width, names := 0, 0
	for i := range rails {
		width = max(width, len([]rune(rails[i])))
		names = max(names, len(def.Steps[i].Name))
	}
	for i := range def.Steps {
		step := st.Steps[def.Steps[i].Name]
		mark := marks[step.State]
		rail := strings.Replace(rails[i], "@", mark, 1)
		fmt.Fprintf(out, "  %s%s %-*s  %-10s%s\n", rail, strings.Repeat(" ", width-len([]rune(rails[i]))), names, def.Steps[i].Name, step.State, about(&def.Steps[i], &step))
	}
	if e := st.Error; e != nil {
		fmt.Fprintf(out, "\nfailed at %s, attempt %d: %s (%s)\n", e.Step, e.Attempt, e.Message, e.Code)
		if s := st.Steps[e.Step]; s.Error != nil && s.Error.Stack != "" {
			fmt.Fprintf(out, "%s\n", indent(s.Error.Stack))
		}
		fmt.Fprintf(out, "  agnt5d retry %s\n", st.WorkflowID)
	}
	if st.State == "cancelled" || st.State == "quarantined" {
		fmt.Fprintf(out, "\n%s: %s\n", st.State, orDash(st.Reason))
	}
	if st.State == "completed" {
		fmt.Fprintf(out, "\noutput %s\n", clip(string(st.Output), 400))
	}
	if len(st.Reasons) > 0 {
		fmt.Fprintf(out, "\nwhy it does not move:\n")
		for _, r := range st.Reasons {
			fmt.Fprintf(out, "  %s: %s\n", r.Step, r.Detail)
			if r.Command != "" {
				fmt.Fprintf(out, "      %s\n", r.Command)
			}
		}
	}
	return nil
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n    ")
}

// about is what stands behind a step's state.
func about(def *flow.Step, s *view.StepStatus) string {
	var parts []string
	if s.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", s.Attempt))
	}
	if s.Worker != "" && s.State == "running" {
		parts = append(parts, "on "+s.Worker+" for "+age(s.Since))
	}
	if s.Due != "" {
		parts = append(parts, "until "+local(s.Due))
	}
	if def.Timer != nil {
		parts = append(parts, "timer "+def.Timer.Key)
	}
	if def.Signal != nil {
		parts = append(parts, "signal "+def.Signal.Name)
	}
	if s.Error != nil && s.State != "completed" {
		parts = append(parts, clip(s.Error.Message, 60))
	}
	if len(s.Heartbeat) > 0 {
		parts = append(parts, clip(string(s.Heartbeat), 60))
	}
	if s.State == "completed" && len(s.Output) > 0 && string(s.Output) != "null" {
		parts = append(parts, clip(string(s.Output), 60))
	}
	return strings.Join(parts, ", ")
}

// draw gives, for each step in definition order, the line's piece of the graph: @ stands for the step itself, and lines run
// from each step down to those that depend on it. A wait's on_timeout is such a line, too.
func draw(def *flow.Definition) []string {
	index := map[string]int{}
	for i := range def.Steps {
		index[def.Steps[i].Name] = i
	}
	from := make([][]int, len(def.Steps)) // whose lines end at a step
	left := make([]int, len(def.Steps))   // lines that a step has still to give
	link := func(a, b int) {
		if a < b {
			from[b] = append(from[b], a)
			left[a]++
		}
	}
	for i := range def.Steps {
		for _, d := range def.Steps[i].Dependencies {
			link(index[d], i)
		}
	}
	for i := range def.Steps {
		if s := def.Steps[i].Signal; s != nil && s.OnTimeout != "" {
			link(i, index[s.OnTimeout])
		}
	}
	var lanes []int // step whose lines run there; -1: free
	out := make([]string, len(def.Steps))
	for i := range def.Steps {
		ends := map[int]bool{}   // lanes that end here
		passes := map[int]bool{} // lanes that give a line and run on
		for _, d := range from[i] {
			for l, owner := range lanes {
				if owner != d {
					continue
				}
				if left[d]--; left[d] == 0 {
					ends[l] = true
				} else {
					passes[l] = true
				}
			}
		}
		col := -1
		for l := range lanes {
			if ends[l] && col < 0 {
				col = l
			}
		}
		for l := 0; col < 0 && l < len(lanes); l++ {
			if lanes[l] == -1 {
				col = l
			}
		}
		if col < 0 {
			lanes = append(lanes, -1)
			col = len(lanes) - 1
		}
		out[i] = rail(lanes, col, ends, passes)
		for l := range ends {
			lanes[l] = -1
		}
		lanes[col] = -1
		if left[i] > 0 {
			lanes[col] = i
		}
		for len(lanes) > 0 && lanes[len(lanes)-1] == -1 {
			lanes = lanes[:len(lanes)-1]
		}
	}
	return out
}

// rail draws one line: the step at col, and the lines that reach it.
func rail(lanes []int, col int, ends, passes map[int]bool) string {
	lo, hi := col, col
	for _, m := range []map[int]bool{ends, passes} {
		for l := range m {
			lo, hi = min(lo, l), max(hi, l)
		}
	}
	var b strings.Builder
	for l := range max(len(lanes), hi+1) {
		inside := l > lo && l < hi
		switch {
		case l == col:
			b.WriteString("@")
		case ends[l] && l == lo:
			b.WriteString("└")
		case ends[l] && l == hi:
			b.WriteString("┘")
		case ends[l]:
			b.WriteString("┴")
		case passes[l] && l == lo:
			b.WriteString("├")
		case passes[l] && l == hi:
			b.WriteString("┤")
		case passes[l]:
			b.WriteString("┼")
		case lanes[l] >= 0:
			b.WriteString("│")
		case inside:
			b.WriteString("─")
		default:
			b.WriteString(" ")
		}
		if l >= lo && l < hi {
			b.WriteString("─")
		} else {
			b.WriteString(" ")
		}
	}
	return strings.TrimRight(b.String(), " ")
}
