package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/diagram"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
	"github.com/spf13/cobra"
)

func newShowCmd() *cobra.Command {
	var path string
	var how drawing
	var items string
	cmd := &cobra.Command{
		Use:               "show RUN",
		Short:             "Draw a run as a graph, with the state of each step",
		Example:           "  agnt5d show order-17\n  agnt5d show order-17 -o json",
		Args:              nargs("RUN"),
		ValidArgsFunction: runIDs(),
	}
	addFile(cmd, &path)
	cmd.Flags().BoolVar(&how.all, "all", false, fmt.Sprintf("draw every step by itself; else steps that are alike are folded when there are more than %d", foldOver))
	cmd.Flags().StringSliceVar(&how.only, "only", nil, `draw only steps in these states, "failed,running" say`)
	cmd.Flags().StringVar(&items, "items", "", "list the items of this step, which has for_each; --only picks by their state")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		how.in = zone(cmd)
		if items != "" && path != "" {
			return exit(exitUsage, "--items asks a daemon, and --file reads a file: give one of them")
		}
		if items != "" {
			return showItems(cmd, c, o, args[0], items, how.only)
		}
		for _, state := range how.only {
			if marks[state] == "" {
				return exit(exitUsage, "--only %q: want a state of a step: %s", state, strings.Join(slices.Sorted(maps.Keys(marks)), ", "))
			}
		}
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
		if how.took, err = durations(cmd, c, st, path); err != nil {
			return err
		}
		if path != "" {
			c = nil
		}
		how.help = helpRetry(cmd.Context(), c, st)
		return drawRun(cmd.OutOrStdout(), st, def, how)
	})
}

// statusOf reads a run from the daemon, or from a file.
func statusOf(cmd *cobra.Command, c *client.Client, run, path string) (*model.Status, error) {
	if path == "" {
		return c.Status(cmd.Context(), run, "")
	}
	f, err := openFile(path, leaveOut)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.status(run)
}

// timedMost is how many events a run may have for show to read them all and say how long its steps took.
const timedMost = 10_000

// durations says how long the steps of a run took that have ended, by its history. A run that is too long for that gives none.
func durations(cmd *cobra.Command, c *client.Client, st *model.Status, path string) (map[string]string, error) {
	if st.Events > timedMost {
		return nil, nil
	}
	took, l := map[string]string{}, timeline{}
	each := func(e model.Event) error {
		if _, d := l.add(&e); d != "" && e.Step != "" && !strings.HasPrefix(e.Kind, "Run") { // RunFailed names a step, too
			took[e.Step] = d
		}
		return nil
	}
	if path != "" {
		return took, fileHistory(path, st.WorkflowID, each)
	}
	return took, history(cmd, c, st.WorkflowID, each)
}

func definitionOf(cmd *cobra.Command, c *client.Client, st *model.Status, path string) (*flow.Definition, error) {
	var body json.RawMessage
	if path == "" {
		w, err := c.Workflow(cmd.Context(), st.WorkflowName, st.Version)
		if err != nil {
			return nil, err
		}
		body = w.Definition
	} else {
		f, err := openFile(path, leaveOut)
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

// foldOver is how many lines a drawing may have before steps that are alike are folded, and apartMost how many of those that
// somebody may look for (failed, running, blocked) keep a line of their own then.
const (
	foldOver  = 200
	apartMost = 40
)

// drawing is how a run is drawn.
type drawing struct {
	in   *time.Location
	took map[string]string // how long the last attempt of a step took that has ended; nil: not known
	all  bool              // fold nothing
	only []string          // draw the steps in these states alone; nil: all
	help string            // the command that reopens a run that failed; "": none does
	over bool              // the run has ended
}

func drawRun(out io.Writer, st *model.Status, def *flow.Definition, how drawing) error {
	fmt.Fprintf(out, "run %s  %s version %d  %s", st.WorkflowID, st.WorkflowName, st.Version, st.State)
	if st.Paused {
		fmt.Fprint(out, ", paused")
	}
	if st.State == "finishing" {
		fmt.Fprintf(out, ", its fate: %s", st.Fate)
	}
	fmt.Fprintf(out, "\nstarted %s", local(st.CreatedAt, how.in))
	if st.CompletedAt != "" {
		fmt.Fprintf(out, ", took %s", between(st.CreatedAt, st.CompletedAt))
	}
	if st.StartAt != "" {
		fmt.Fprintf(out, ", first steps at %s", local(st.StartAt, how.in))
	}
	if st.Deadline != "" {
		fmt.Fprintf(out, ", its time is over %s", local(st.Deadline, how.in))
	}
	if f := st.ForkedFrom; f != nil {
		fmt.Fprintf(out, "\na fork of run %s from %s", visible(f.WorkflowID), visible(f.Step))
	}
	if p := st.Parent; p != nil {
		fmt.Fprintf(out, "\na child of run %s for step %s", visible(p.WorkflowID), visible(p.Step))
		if p.Index != nil {
			fmt.Fprintf(out, "[%d]", *p.Index)
		}
	}
	if len(st.Tags) > 0 {
		fmt.Fprintf(out, "\ntags %s", visible(shownTags(st.Tags)))
	}
	fmt.Fprint(out, "\n\n")
	if err := drawSteps(out, st, def, how); err != nil {
		return err
	}
	drawCompensation(out, st)
	if e := st.Error; e != nil {
		fmt.Fprintf(out, "\nfailed%s%s (%s)\n", cmp.Or(failedAt(" at ", e), ": "), visible(e.Message), visible(e.Code))
		if s := st.Steps[e.Step]; s.Error != nil && s.Error.Stack != "" {
			fmt.Fprintf(out, "%s\n", indent(s.Error.Stack))
		}
		printHelp(out, how.help)
	}
	if st.State == "cancelled" || st.State == "quarantined" {
		fmt.Fprintf(out, "\n%s: %s\n", st.State, visible(orDash(st.Reason)))
	}
	if st.State == "completed" {
		fmt.Fprintf(out, "\noutput %s\n", clip(string(st.Output), 400))
	}
	if len(st.Reasons) > 0 {
		fmt.Fprintf(out, "\n%s:\n", reasonsTitle(st.Reasons))
		printReasons(out, st.Reasons, "  ", "      ", how.in)
	}
	return nil
}

// drawCompensation says what was taken back.
func drawCompensation(out io.Writer, st *model.Status) {
	c := st.Compensation
	if c == nil {
		return
	}
	fmt.Fprintf(out, "\ncompensated %d of %d", c.Done, c.Total)
	if c.Now != nil {
		fmt.Fprintf(out, ", now %s (%s, attempt %d)", c.Now.Step, c.Now.State, c.Now.Attempt)
	}
	if st.CompletedAt != "" && c.Done+len(c.Failed) < c.Total {
		fmt.Fprint(out, "; the run was ended before the others were")
	}
	fmt.Fprintln(out)
	for _, f := range c.Failed {
		fmt.Fprintf(out, "  %s was not: %s (%s)\n", f.Step, visible(f.Message), f.Code)
	}
}

// failedAt names the step by which a run failed, in front of why, and the attempt if there was one: a wait that timed out had none. "": no
// step failed.
func failedAt(before string, e *model.RunError) string {
	switch {
	case e.Step == "":
		return ""
	case e.Attempt == 0:
		return before + e.Step + ": "
	}
	return fmt.Sprintf("%s%s, attempt %d: ", before, e.Step, e.Attempt)
}

func reasonsTitle(reasons []model.Reason) string {
	runs := func(r model.Reason) bool { return r.Code == "running" }
	switch {
	case !slices.ContainsFunc(reasons, runs):
		return "why it does not move"
	case slices.ContainsFunc(reasons, func(r model.Reason) bool { return !runs(r) }):
		return "what runs now, and what the others wait for"
	}
	return "what runs now"
}

// printReasons prints why each open step does not move, and the command that would help.
func printReasons(out io.Writer, reasons []model.Reason, before, deeper string, in *time.Location) {
	for _, r := range reasons {
		step := r.Step
		if step == "" {
			step = "the run"
		}
		if r.Count > 1 {
			step += fmt.Sprintf(" and %d more (%s)", r.Count-1, alike(r))
		}
		fmt.Fprintf(out, "%s%s: %s (%s)\n", before, step, visible(localTimes(r.Detail, in)), r.Code)
		if r.Command != "" {
			fmt.Fprintf(out, "%s%s\n", deeper, r.Command)
		}
	}
}

// alike names a few of the steps that share a reason.
func alike(r model.Reason) string {
	names := r.Steps[min(1, len(r.Steps)):min(4, len(r.Steps))]
	text := strings.Join(names, ", ")
	if len(names)+1 < r.Count {
		text += ", …"
	}
	return text
}

// drawSteps draws a line for each step, or for a group of steps that are alike when there are many.
func drawSteps(out io.Writer, st *model.Status, def *flow.Definition, how drawing) error {
	how.over = st.CompletedAt != ""
	g, err := flow.RecordedGraph(def, true)
	if err != nil {
		return err
	}
	index := make(map[string]int, len(g.Def.Steps))
	for i := range g.Def.Steps {
		index[g.Def.Steps[i].Name] = i
	}
	d := diagram.Of(g)
	if !how.all && how.only == nil {
		d = d.Fold(foldOver, apartIn(st))
	}
	rails, tangled := d.Rails(60)
	var before [][]string
	if tangled {
		before = d.Before()
	}
	width, names := 0, 0
	for i := range rails {
		width = max(width, utf8.RuneCountInString(rails[i]))
		names = max(names, min(utf8.RuneCountInString(d.Nodes[i].Name), 60))
	}
	shown := 0
	for i, node := range d.Nodes {
		if node.Steps != nil {
			fmt.Fprintf(out, "  %s%s %-*s  %s\n", strings.Replace(rails[i], diagram.Here, "≡", 1), strings.Repeat(" ", width-utf8.RuneCountInString(rails[i])), names, node.Name, tally(st, node.Steps))
			continue
		}
		step := st.Steps[node.Name]
		if how.only != nil && !slices.Contains(how.only, step.State) {
			continue
		}
		shown++
		rail := strings.Replace(rails[i], diagram.Here, marks[step.State], 1)
		line := fmt.Sprintf("  %s%s %-*s  %-10s%s", rail, strings.Repeat(" ", width-utf8.RuneCountInString(rails[i])), names, node.Name, step.State, about(&g.Def.Steps[index[node.Name]], &step, how))
		if tangled && len(before[i]) > 0 {
			line += "  after " + few(before[i])
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	switch {
	case how.only != nil && shown == 0:
		fmt.Fprintf(out, "  no step is %s\n", strings.Join(how.only, " or "))
	case len(d.Nodes) < len(g.Def.Steps):
		fmt.Fprintf(out, "\n  %d steps: %s. --all draws each, --only failed those that failed\n", len(g.Def.Steps), tally(st, st.Order))
	}
	return nil
}

// apartIn says which steps are drawn by themselves although others like them are folded: those that somebody looks for, while
// they are few.
func apartIn(st *model.Status) func(string) bool {
	left := map[string]int{}
	for _, state := range []string{"failed", "running", "blocked", "retrying", "waiting", "deferred"} {
		if st.StepCounts[state] <= apartMost {
			left[state] = apartMost
		} else if state == "failed" || state == "running" {
			left[state] = 10
		}
	}
	return func(step string) bool {
		state := st.Steps[step].State
		if left[state] == 0 {
			return false
		}
		left[state]--
		return true
	}
}

// tally counts the states of steps: "1,237 completed, 3 failed".
func tally(st *model.Status, steps []string) string {
	counts := map[string]int{}
	if steps == nil {
		counts = st.StepCounts
	}
	for _, s := range steps {
		counts[st.Steps[s].State]++
	}
	var parts []string
	for _, state := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) }) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
	}
	return strings.Join(parts, ", ")
}

// few names the first of many.
func few(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n    ")
}

// earlier says of which attempt an error is that is not of this one, or that it is of a wait before the run was retried.
func earlier(state string, failed, now uint32) string {
	switch {
	case failed < now:
		return fmt.Sprintf("attempt %d: ", failed)
	case state == replay.StepWaiting.String():
		return "before: "
	}
	return ""
}

// about is what stands behind a step's state.
func about(def *flow.Step, s *model.StepStatus, how drawing) string {
	var parts []string
	switch s.Kept {
	case "set":
		parts = append(parts, "set, with the output given to the fork")
	case "kept":
		parts = append(parts, "kept")
	}
	if took := how.took[def.Name]; took != "" && s.State != "running" && s.State != "pending" { // of an attempt before
		parts = append(parts, took)
	}
	if s.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", s.Attempt))
	}
	if s.Worker != "" && s.State == "running" {
		parts = append(parts, "on "+s.Worker+" for "+age(s.Since))
	}
	if s.Due != "" {
		parts = append(parts, "until "+local(s.Due, how.in))
	}
	if def.Timer != nil {
		parts = append(parts, "timer "+def.Timer.Key)
	}
	if def.Signal != nil {
		parts = append(parts, "signal "+def.Signal.Name)
	}
	switch {
	case s.SkipReason == "when" && s.Condition != nil:
		parts = append(parts, clip(s.Condition.When, 60)+" is false")
	case s.SkipReason != "":
		parts = append(parts, whySkipped(s))
	}
	if s.Items != nil {
		parts = append(parts, howMany(s.Items))
	}
	if s.Round != nil && *s.Round > 0 {
		parts = append(parts, fmt.Sprintf("round %d", *s.Round+1))
	}
	if s.Compensation != "" {
		says := map[string]string{"done": "compensated", "failed": "compensation failed", "running": "is compensated", "waiting": "will be compensated"}
		if how.over {
			says["running"], says["waiting"] = "its compensation was cut off", "not compensated"
		}
		parts = append(parts, says[s.Compensation])
	}
	if s.Caught {
		parts = append(parts, def.OnFailure+" took over")
	}
	if s.Error != nil && s.State != "completed" {
		parts = append(parts, clip(earlier(s.State, s.Error.Attempt, s.Attempt)+s.Error.Message, 60))
	}
	if len(s.Heartbeat) > 0 {
		parts = append(parts, clip(string(s.Heartbeat), 60))
	}
	if s.State == "completed" && len(s.Output) > 0 && string(s.Output) != "null" {
		parts = append(parts, clip(string(s.Output), 60))
	}
	return strings.Join(parts, ", ")
}
