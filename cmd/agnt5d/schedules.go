package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/spf13/cobra"
)

func newSchedulesCmd() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		all, err := c.Schedules(cmd.Context())
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"schedules": orEmpty(all)})
		}
		return listSchedules(cmd, all)
	}
	cmd := remoteVerb(&cobra.Command{
		Use:     "schedules",
		Aliases: []string{"schedule"},
		Short:   "Workflows that start by the clock: list, apply, pause, backfill, and what became of each due time",
		Example: "  agnt5d schedules\n  agnt5d schedules apply schedules.yaml\n  agnt5d schedules next nightly -n 5\n  agnt5d schedules ledger nightly --outcome missed",
		Args:    nargs(),
	}, list)
	cmd.AddCommand(newSchedulesApplyCmd(), remoteVerb(&cobra.Command{
		Use:     "list",
		Short:   "List schedules: their state, the last outcome, how late it was, the next time, and what was missed in seven days",
		Example: "  agnt5d schedules list -o json",
		Args:    nargs(),
	}, list), newSchedulesShowCmd(), newSchedulesNextCmd(), newSchedulesPauseCmd(), newSchedulesResumeCmd(), newSchedulesTriggerCmd(),
		newSchedulesBackfillCmd(), newSchedulesLedgerCmd(), newSchedulesExplainCmd(), newSchedulesDeleteCmd())
	return cmd
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// scheduleNames completes the names of schedules.
var scheduleNames = completer(func(ctx context.Context, c *client.Client, typed string) (names []string) {
	all, err := c.Schedules(ctx)
	if err != nil {
		return nil
	}
	for i := range all {
		if strings.HasPrefix(all[i].Name, typed) {
			names = append(names, all[i].Name)
		}
	}
	return names
})

func listSchedules(cmd *cobra.Command, all []model.Schedule) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "there is no schedule (\"agnt5d schedules apply FILE\" makes some)")
		return err
	}
	rows := [][]string{{"SCHEDULE", "STATE", "LAST", "LAG", "NEXT", "MISSED 7D"}}
	for i := range all {
		s := &all[i]
		last, lag, next := "-", "-", "-"
		if s.Last != nil {
			last = s.Last.Outcome
			if s.Last.Code != "" {
				last += " (" + s.Last.Code + ")"
			}
			lag = span(time.Duration(s.Last.LagMS) * time.Millisecond)
		}
		if s.Next != nil && s.State != "paused" {
			next = s.Next.Local
			if s.Next.Excluded {
				next += " (excluded)"
			}
			if s.Late() {
				next += " (overdue for " + span(time.Duration(s.OverdueMS)*time.Millisecond) + ")"
			}
		}
		rows = append(rows, []string{s.Name, s.State, last, lag, next, strconv.FormatInt(s.Missed7d, 10)})
	}
	return table(cmd.OutOrStdout(), rows)
}

// readSchedules reads a file of schedules.
func readSchedules(cmd *cobra.Command, file string) ([]*schedules.Definition, error) {
	b, err := readFile(cmd, file, schedules.MaxFile)
	if err != nil {
		return nil, exit(exitUsage, "%s: %w", file, err)
	}
	all, problems := schedules.ReadFile(b)
	if len(problems) > 0 {
		return nil, invalid(file, problems)
	}
	return all, nil
}

func newSchedulesApplyCmd() *cobra.Command {
	var prune, dry bool
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make the schedules of a file what the daemon has",
		Long: `Makes the schedules of a file (- is standard input) what the daemon has: an object with the key schedules, a list, or one
schedule, in YAML or JSON. What is so already is left alone. With --prune, schedules that are not in the file are deleted, but only those
that people put, not those of workers.`,
		Example: "  agnt5d schedules apply schedules.yaml\n  agnt5d schedules apply schedules.yaml --prune --dry-run",
		Args:    nargs("FILE"),
	}
	cmd.Flags().BoolVar(&prune, "prune", false, "delete the schedules that are not in the file, unless a worker owns them")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		want, err := readSchedules(cmd, args[0])
		if err != nil {
			return err
		}
		all, err := c.Schedules(cmd.Context())
		if err != nil {
			return err
		}
		has := map[string]*model.Schedule{}
		for i := range all {
			has[all[i].Name] = &all[i]
		}
		type done struct {
			Name   string `json:"name"`
			Action string `json:"action"` // created, changed, unchanged, deleted

			Warning string `json:"warning,omitempty"` // it would start no run
		}
		actions := []done{}
		for _, d := range want {
			is := has[d.Name]
			action := "unchanged"
			switch {
			case is == nil:
				action = "created"
			case !sameSchedule(d, is):
				action = "changed"
			}
			if action != "unchanged" && !dry {
				body, err := json.Marshal(d)
				if err != nil {
					return err
				}
				if _, _, err := c.PutSchedule(cmd.Context(), d.Name, body, 0); err != nil {
					return fmt.Errorf("schedule %s: %w", d.Name, err)
				}
			}
			delete(has, d.Name)
			actions = append(actions, done{Name: d.Name, Action: action, Warning: noWorkflow(cmd.Context(), c, d)})
		}
		for i := range all {
			if s := &all[i]; prune && has[s.Name] != nil && s.Owner == "api" {
				if !dry {
					if err := c.DeleteSchedule(cmd.Context(), s.Name, 0); err != nil {
						return err
					}
				}
				actions = append(actions, done{Name: s.Name, Action: "deleted"})
			}
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"schedules": actions, "dry_run": dry})
		}
		for _, a := range actions {
			verb := "is " + a.Action
			if dry && a.Action != "unchanged" {
				verb = "would be " + a.Action
			}
			fmt.Fprintf(cmd.OutOrStdout(), "schedule %s %s\n", a.Name, verb)
			if a.Warning != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "agnt5d: warning: schedule %s starts no run as it is: %s\n", a.Name, a.Warning)
			}
		}
		return nil
	})
}

// noWorkflow says that the workflow of a schedule, or the version that it names, is not there; "": it is. The workflow may be
// registered later, so that is no error.
func noWorkflow(ctx context.Context, c *client.Client, d *schedules.Definition) string {
	_, err := c.Workflow(ctx, d.Workflow, d.Version)
	if p := (*model.Problem)(nil); errors.As(err, &p) && p.Code == "workflow_not_found" {
		return p.Detail
	}
	return ""
}

// sameSchedule says whether a schedule is what the file says, and belongs to whoever applies files.
func sameSchedule(d *schedules.Definition, is *model.Schedule) bool {
	own, problems := schedules.Read(is.Definition)
	return len(problems) == 0 && is.Owner == "api" && string(own.Filled().JSON()) == string(d.Filled().JSON()) &&
		(d.Paused == nil || *d.Paused == (is.Paused != nil))
}

func newSchedulesShowCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:               "show NAME",
		Short:             "Show a schedule: its state, what it starts and when, and its runs",
		Example:           "  agnt5d schedules show nightly\n  agnt5d schedules show nightly -o json",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		s, err := c.Schedule(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), s)
		}
		return showSchedule(cmd, &s)
	})
}

func showSchedule(cmd *cobra.Command, s *model.Schedule) error {
	w, in := cmd.OutOrStdout(), zone(cmd)
	fmt.Fprintf(w, "schedule %s: %s, revision %d, of %s\n", s.Name, s.State, s.Revision, s.Owner)
	if p := s.Paused; p != nil {
		fmt.Fprintf(w, "  paused   since %s by %s%s\n", local(p.Since, in), p.By, note(p.Note))
	}
	if s.Next != nil {
		fmt.Fprintf(w, "  next     %s\n", timeText(s.Next))
	}
	if s.Late() {
		fmt.Fprintf(w, "  overdue  for %s\n", span(time.Duration(s.OverdueMS)*time.Millisecond))
	}
	if l := s.Last; l != nil {
		fmt.Fprintf(w, "  last     %s  %s%s\n", l.Local, l.Outcome, note(l.Detail))
	}
	for _, id := range s.Running[:min(len(s.Running), 10)] {
		fmt.Fprintf(w, "  running  %s\n", id)
	}
	if s.Waiting > 0 {
		fmt.Fprintf(w, "  waiting  %d due times wait for the end of a run\n", s.Waiting)
	}
	if b := s.Backfill; b != nil {
		fmt.Fprintf(w, "  backfill from %s to %s: at %s, %d started, %d there already, %d failed\n", local(b.From, in), local(b.To, in), local(b.At, in), b.Started, b.Exists, b.Failed)
	}
	fmt.Fprintf(w, "  runs     %d started, %d due times missed in 7 days\n", s.Runs, s.Missed7d)
	by := ""
	if s.ChangedBy != "" {
		by = " by " + s.ChangedBy
	}
	fmt.Fprintf(w, "  changed  %s%s\n", local(s.ChangedAt, in), by)
	var def map[string]json.RawMessage
	if err := json.Unmarshal(s.Definition, &def); err != nil {
		return err
	}
	for _, key := range []string{"workflow", "version", "cron", "every_ms", "at", "time_zone", "dst", "overlap", "catch_up", "jitter_ms", "exclude", "start_at", "end_at", "max_runs", "input", "note"} {
		if v := def[key]; v != nil {
			fmt.Fprintf(w, "  %-12s %s\n", key, v)
		}
	}
	return nil
}

func note(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// timeText is a due time with what is to be said of it.
func timeText(t *model.ScheduleTime) string {
	text := t.Local
	if t.DueAt != t.NominalAt {
		text += "  starts " + between(t.NominalAt, t.DueAt) + " later"
	}
	if t.Excluded {
		text += "  excluded"
	}
	if t.Note != "" {
		text += "  " + t.Note
	}
	return text
}

func newSchedulesNextCmd() *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use:   "next NAME",
		Short: "The next due times of a schedule, or of the schedules of a file",
		Long: `Prints the next due times with their offsets, and says where clocks that jump have to do with one. NAME is a schedule, or a file
of schedules, which need not be applied.`,
		Example:           "  agnt5d schedules next nightly -n 20\n  agnt5d schedules next ./schedules.yaml",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}
	cmd.Flags().IntVarP(&n, "number", "n", 20, "how many, 1 to 1000")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if n < 1 || n > 1000 {
			return exit(exitUsage, "-n %d: want 1 to 1000", n)
		}
		if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() || strings.ContainsAny(args[0], "/\\") {
			return nextOfFile(cmd, c, o, args[0], n)
		}
		times, err := c.NextTimes(cmd.Context(), args[0], n)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"times": times})
		}
		printTimes(cmd, times)
		return nil
	})
}

func nextOfFile(cmd *cobra.Command, c *client.Client, o *remote, file string, n int) error {
	all, err := readSchedules(cmd, file)
	if err != nil {
		return err
	}
	type one struct {
		Name  string               `json:"name"`
		Times []model.ScheduleTime `json:"times"`
	}
	out := []one{}
	for _, d := range all {
		body, err := json.Marshal(d)
		if err != nil {
			return err
		}
		times, err := c.PreviewSchedule(cmd.Context(), body, n)
		if err != nil {
			return err
		}
		out = append(out, one{d.Name, times})
	}
	if o.json() {
		return printJSON(cmd.OutOrStdout(), map[string]any{"schedules": out})
	}
	for i := range out {
		if len(out) > 1 {
			fmt.Fprintf(cmd.OutOrStdout(), "%s:\n", out[i].Name)
		}
		printTimes(cmd, out[i].Times)
	}
	return nil
}

func printTimes(cmd *cobra.Command, times []model.ScheduleTime) {
	if len(times) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "it is never due again")
	}
	for i := range times {
		fmt.Fprintln(cmd.OutOrStdout(), timeText(&times[i]))
	}
}

func newSchedulesPauseCmd() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use:               "pause NAME",
		Short:             "Pause a schedule: its due times are noted, and start nothing",
		Example:           "  agnt5d schedules pause nightly --note \"while the database moves\"",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}
	cmd.Flags().StringVar(&why, "note", "", "why, for those who look later")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		s, err := c.PauseSchedule(cmd.Context(), args[0], why)
		return toldSchedule(cmd, o, &s, err, "is paused")
	})
}

func toldSchedule(cmd *cobra.Command, o *remote, s *model.Schedule, err error, what string) error {
	if err != nil {
		return err
	}
	if o.json() {
		return printJSON(cmd.OutOrStdout(), s)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "schedule %s %s\n", s.Name, what)
	return err
}

func newSchedulesResumeCmd() *cobra.Command {
	var why string
	var catchUp bool
	cmd := &cobra.Command{
		Use:               "resume NAME",
		Short:             "Let a paused schedule go on from now",
		Example:           "  agnt5d schedules resume nightly\n  agnt5d schedules resume nightly --catch-up",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}
	cmd.Flags().StringVar(&why, "note", "", "why, for those who look later")
	cmd.Flags().BoolVar(&catchUp, "catch-up", false, "start the newest of the times that the pause took, as the schedule's catch_up allows")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		s, err := c.ResumeSchedule(cmd.Context(), args[0], why, catchUp)
		return toldSchedule(cmd, o, &s, err, "goes on")
	})
}

func newSchedulesTriggerCmd() *cobra.Command {
	var input, overlap string
	cmd := &cobra.Command{
		Use:               "trigger NAME",
		Short:             "Start a run of a schedule now, beside its due times",
		Example:           "  agnt5d schedules trigger nightly\n  agnt5d schedules trigger nightly --input '{\"day\":\"2026-11-25\"}' --overlap allow",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}
	cmd.Flags().StringVar(&input, "input", "", "JSON; default: the schedule's input")
	cmd.Flags().StringVar(&overlap, "overlap", "", strings.Join(schedules.Overlaps, ", ")+"; default: as the schedule has it")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		var raw json.RawMessage
		if input != "" {
			if raw = json.RawMessage(input); !json.Valid(raw) {
				return exit(exitUsage, "--input is not JSON: put a text in quotes, such as '\"text\"'")
			}
		}
		row, err := c.TriggerSchedule(cmd.Context(), args[0], raw, overlap)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), row)
		}
		if row.RunID == "" {
			return exit(exitConflict, "nothing was started: %s%s", row.Outcome, note(row.Detail))
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "run %s: %s%s\n", row.RunID, row.Outcome, note(row.Detail))
		return err
	})
}

func newSchedulesBackfillCmd() *cobra.Command {
	var from, to, overlap string
	var dry bool
	cmd := &cobra.Command{
		Use:   "backfill NAME",
		Short: "Start a run for each time of a period that is over",
		Long: `Starts a run for each time of a period that is over, at most 10,000: one after the other, or with --overlap allow ten at once. A
time that has its run is left alone. The schedule's next due time stays where it is.`,
		Example:           "  agnt5d schedules backfill nightly --from 2026-10-01 --to 2026-11-01 --dry-run",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}
	textFlag(cmd, &from, "from", "the first moment: "+timeForms)
	textFlag(cmd, &to, "to", "the last moment, in the same forms; default: now")
	cmd.Flags().StringVar(&overlap, "overlap", "", "buffer_all (one after the other, as when it is left out) or allow (ten at once)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only list the times")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if from == "" {
			return exit(exitUsage, "say from when with --from TIME")
		}
		if to == "" {
			to = "now"
		}
		var at [2]time.Time
		for i, given := range [][2]string{{"from", from}, {"to", to}} {
			var ok bool
			if at[i], ok = parseTime(given[1], time.Now(), zone(cmd)); !ok {
				return exit(exitUsage, "--%s %q: want %s", given[0], given[1], timeForms)
			}
		}
		plan, err := c.BackfillSchedule(cmd.Context(), args[0], at[0], at[1], overlap, dry)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), plan)
		}
		if !dry {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "schedule %s: %d times are backfilled (\"agnt5d schedules show %s\" says how far it has come)\n", args[0], plan.Times, args[0])
			return err
		}
		for i := range plan.Listed {
			t, has := &plan.Listed[i], ""
			if t.Exists {
				has = "  exists"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s%s\n", t.RunID, t.Local, has)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d times; nothing was started\n", plan.Times)
		return err
	})
}

func newSchedulesLedgerCmd() *cobra.Command {
	var outcome, since string
	var limit int
	cmd := &cobra.Command{
		Use:               "ledger NAME",
		Short:             "What became of each due time of a schedule, the newest first",
		Example:           "  agnt5d schedules ledger nightly\n  agnt5d schedules ledger nightly --outcome missed",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}
	textFlag(cmd, &outcome, "outcome", "only rows with this outcome, such as missed or start_failed")
	textFlag(cmd, &since, "since", "only due times at or after this time: "+timeForms)
	cmd.Flags().IntVarP(&limit, "number", "n", 100, "at most so many rows; 0: all")
	return remoteVerb(cmd, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		var from time.Time
		if since != "" {
			var ok bool
			if from, ok = parseTime(since, time.Now(), zone(cmd)); !ok {
				return exit(exitUsage, "--since %q: want %s", since, timeForms)
			}
		}
		rows, _, err := gather(limit, "", func(n int, cursor string) ([]model.ScheduleRow, string, error) {
			return c.ScheduleLedger(cmd.Context(), args[0], outcome, from, n, cursor)
		})
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"rows": rows})
		}
		return printLedger(cmd, rows)
	})
}

func printLedger(cmd *cobra.Command, rows []model.ScheduleRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "no due time has such a row")
		return err
	}
	out := [][]string{{"DUE", "OUTCOME", "LAG", "RUN", "DETAIL"}}
	for i := range rows {
		r := &rows[i]
		due, outcome, detail := r.Local, r.Outcome, r.Detail
		if r.Count > 0 {
			due, outcome = r.Local+" … "+r.LastLocal, fmt.Sprintf("%s ×%d", r.Outcome, r.Count)
		}
		if r.Code != "" {
			outcome += " (" + r.Code + ")"
		}
		for _, more := range []string{r.Note, r.By} {
			if more == r.By && more != "" {
				more = "by " + more
			}
			if more != "" && detail != "" {
				detail += "; "
			}
			detail += more
		}
		lag := "-"
		if r.RunID != "" && r.StartedAt != "" {
			lag = span(time.Duration(r.LagMS) * time.Millisecond)
		}
		out = append(out, []string{due, outcome, lag, r.RunID, detail})
	}
	return table(cmd.OutOrStdout(), out)
}

func newSchedulesExplainCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:               "explain NAME",
		Short:             "Say why a schedule does not fire, or did not",
		Example:           "  agnt5d schedules explain nightly",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		why, err := c.ExplainSchedule(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), why)
		}
		w := cmd.OutOrStdout()
		fmt.Fprintf(w, "schedule %s: %s\n", why.Name, why.State)
		if why.Next != nil {
			fmt.Fprintf(w, "  next due %s\n", timeText(why.Next))
		}
		for _, r := range why.Reasons {
			fmt.Fprintf(w, "  %s\n", localTimes(r.Detail, zone(cmd)))
			if r.Help != "" {
				fmt.Fprintf(w, "    %s\n", r.Help)
			}
		}
		if len(why.Reasons) == 0 {
			fmt.Fprintln(w, "  nothing stands in its way")
		}
		return nil
	})
}

func newSchedulesDeleteCmd() *cobra.Command {
	return remoteVerb(&cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete a schedule; its runs go on, and its ledger is kept for a while",
		Example:           "  agnt5d schedules delete nightly",
		Args:              nargs("NAME"),
		ValidArgsFunction: scheduleNames,
	}, func(cmd *cobra.Command, args []string, c *client.Client, o *remote) error {
		if err := c.DeleteSchedule(cmd.Context(), args[0], 0); err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), map[string]any{"name": args[0]})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "schedule %s is deleted\n", args[0])
		return err
	})
}
