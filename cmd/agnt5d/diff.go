package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// Exit codes of verbs that compare, as diff(1) has them.
const (
	exitDiffer  = 1
	exitTrouble = 2
)

func newDiffCmd() *cobra.Command {
	var path string
	var all bool
	cmd := &cobra.Command{
		Use:   "diff RUN RUN",
		Short: "Compare two runs: where they first did not do the same, and what differs",
		Long: `Compares two runs by their histories: where they first did not do the same, and what differs of their steps, attempts, outputs, errors and
definitions. When things happened, where and under which ids does not count.

The exit code is that of diff(1): 0 they did the same, 1 they differ, 2 or more they could not be compared.`,
		Example:           "  agnt5d diff order-17 order-18\n  agnt5d diff order-17 order-18 -o json",
		Args:              nargs("RUN", "RUN"),
		ValidArgsFunction: twoRuns,
	}
	addFile(cmd, &path)
	cmd.Flags().BoolVar(&all, "all", false, "with -o json: also the steps that do not differ")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		d, err := diffOf(cmd.Context(), c, args[0], args[1], all, path)
		if err != nil {
			return trouble(err)
		}
		if o.json() {
			err = printJSON(cmd.OutOrStdout(), d)
		} else {
			err = printDiff(cmd.OutOrStdout(), d, zone(cmd))
		}
		if err != nil {
			return trouble(err)
		}
		if differ(d) {
			return exit(exitDiffer, "")
		}
		return nil
	})
}

// trouble keeps an error apart from "they differ".
func trouble(err error) error {
	err = told(err)
	var x *exitErr
	if errors.As(err, &x) && x.code == exitDiffer {
		return &exitErr{exitTrouble, x.err}
	}
	return err
}

// twoRuns completes two ids of runs.
func twoRuns(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return runIDs()(cmd, nil, typed)
}

func diffOf(ctx context.Context, c *client.Client, a, b string, all bool, path string) (*model.Diff, error) {
	if path == "" {
		return c.Diff(ctx, a, b, all)
	}
	f, err := openFile(path, leaveOut)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.diff(ctx, a, b, all)
}

// diff compares two runs of the file.
func (f *file) diff(ctx context.Context, a, b string, all bool) (*model.Diff, error) {
	first, lastFirst, err := f.lastOf(a)
	if err != nil {
		return nil, err
	}
	second, lastSecond, err := f.lastOf(b)
	if err != nil {
		return nil, err
	}
	d, _, err := f.Diff(ctx, first, second, lastFirst, lastSecond, all)
	if err != nil {
		return nil, f.broken(err)
	}
	return d, nil
}

// differ says whether there is anything that two runs did not do the same.
func differ(d *model.Diff) bool {
	if len(d.Differs) > 0 || d.Divergence != nil {
		return true
	}
	for i := range d.Steps {
		if len(d.Steps[i].Differs) > 0 {
			return true
		}
	}
	return false
}

func printDiff(out io.Writer, d *model.Diff, in *time.Location) error {
	var rows [][]string
	for _, r := range []*model.DiffRun{&d.A, &d.B} {
		rows = append(rows, []string{"run " + r.WorkflowID, fmt.Sprintf("%s version %d", r.WorkflowName, r.Version), r.State, local(r.CreatedAt, in),
			"took " + span(time.Duration(r.DurationMS)*time.Millisecond), count(r.Attempts, "attempt")})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	if !differ(d) {
		_, err := fmt.Fprintln(out, "\nthey did the same")
		return err
	}
	if len(d.Differs) > 0 {
		fmt.Fprintf(out, "\nthe runs differ in: %s\n", strings.Join(d.Differs, ", "))
	}
	if v := d.Divergence; v != nil {
		of := "the run itself"
		switch {
		case v.Step != "":
			of = "step " + v.Step
		case v.Signal != "":
			of = "signal " + v.Signal
		}
		fmt.Fprintf(out, "\nthey first differ at %s:\n", of)
		if err := table(out, [][]string{diffEvent(d.A.WorkflowID, v.A, in), diffEvent(d.B.WorkflowID, v.B, in)}); err != nil {
			return err
		}
	}
	if rows = stepRows(d); len(rows) > 1 {
		fmt.Fprintln(out)
		if err := table(out, rows); err != nil {
			return err
		}
	}
	return nil
}

func diffEvent(run string, e *model.DiffEvent, in *time.Location) []string {
	if e == nil {
		return []string{"  " + run, "nothing more"}
	}
	what := e.Kind
	if e.Attempt > 0 {
		what += fmt.Sprintf(" attempt %d", e.Attempt)
	}
	if e.Code != "" {
		what += fmt.Sprintf(": %s (%s)", clip(e.Message, 80), e.Code)
	}
	return []string{"  " + run, fmt.Sprintf("event %d", e.Seq), inZone(e.At, in, toMilli), what}
}

// stepRows is a table of the steps that differ.
func stepRows(d *model.Diff) [][]string {
	rows := [][]string{{"STEP", "DIFFERS IN", "RUN " + d.A.WorkflowID, "RUN " + d.B.WorkflowID}}
	defined := map[string]bool{}
	for _, name := range d.Definition.Changed {
		defined[name] = true
	}
	for i := range d.Steps {
		s := &d.Steps[i]
		differs := s.Differs
		if defined[s.Step] {
			differs = append(differs[:len(differs):len(differs)], "definition")
		}
		delete(defined, s.Step)
		if len(differs) > 0 {
			rows = append(rows, []string{s.Step, strings.Join(differs, ", "), side(s.A), side(s.B)})
		}
	}
	for _, name := range d.Definition.Changed {
		if defined[name] {
			rows = append(rows, []string{name, "definition", "", ""})
		}
	}
	return rows
}

// side is a step in one of two runs.
func side(s *model.DiffSide) string {
	if s == nil {
		return "none"
	}
	text := s.State
	if s.Attempts > 1 {
		text += fmt.Sprintf(", %d attempts", s.Attempts)
	}
	if s.OutputBytes > 0 {
		text += ", output of " + count(s.OutputBytes, "byte")
	}
	if s.Code != "" {
		text += ", " + s.Code
	}
	return text
}
