package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/spf13/cobra"
)

// runFilter is the flags that say which runs are meant.
type runFilter struct {
	client.Filter
	stuck string
}

// addFilter gives a verb the flags that say which runs are meant.
func addFilter(cmd *cobra.Command, f *runFilter) {
	idFlag(cmd, &f.Workflow, "workflow", "only runs of this workflow")
	cmd.Flags().VarP(&commaText{&f.State}, "state", "s", "only runs in this state, or in one of several: failed,cancelled")
	textFlag(cmd, &f.IDPrefix, "id-prefix", "only runs whose id has this prefix")
	idFlag(cmd, &f.Parent, "parent", "only the children of this run")
	cmd.Flags().Var(&tagFlag{&f.Tags}, "tag", "only runs with this tag, name=value; more than one: with all of them")
	textFlag(cmd, &f.Since, "since", "only runs started at or after this time: "+timeForms)
	textFlag(cmd, &f.Until, "until", "only runs started before this time")
	textFlag(cmd, &f.EndedSince, "ended-since", "only runs that ended at or after this time")
	textFlag(cmd, &f.EndedUntil, "ended-until", "only runs that ended before this time")
	textFlag(cmd, &f.ErrorCode, "error-code", "only runs that failed with this code")
	textFlag(cmd, &f.Text, "text", "only runs that failed with this text in the error")
	cmd.Flags().Var(&boolFlag{&f.Paused}, "paused", "only open runs that are paused themselves; --paused=false: only open runs that are not")
	cmd.Flags().Lookup("paused").NoOptDefVal = "true"
	textFlag(cmd, &f.stuck, "stuck-for", "only open runs without progress for this long (10m, 2h) that nothing will move by itself")
	_ = cmd.RegisterFlagCompletionFunc("workflow", workflowNames)
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"running", "finishing", "completed", "failed", "cancelled", "quarantined"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *runFilter) empty() bool { return f.Filter.Empty() && f.stuck == "" }

// resolve is the filter with its times as the daemon takes them.
func (f *runFilter) resolve(cmd *cobra.Command) (client.Filter, error) {
	out := f.Filter
	for _, t := range []struct {
		flag string
		into *string
	}{{"since", &out.Since}, {"until", &out.Until}, {"ended-since", &out.EndedSince}, {"ended-until", &out.EndedUntil}} {
		if err := resolveTime(cmd, t.flag, t.into); err != nil {
			return out, err
		}
	}
	if f.stuck != "" {
		ms, err := flow.ParseDuration(f.stuck)
		if err != nil || ms <= 0 {
			return out, exit(exitUsage, "--stuck-for %q: want a duration like 30s, 10m or 2h", f.stuck)
		}
		out.StuckFor = time.Duration(ms) * time.Millisecond
	}
	return out, nil
}

// boolFlag is a flag that may be true, false or not given.
type boolFlag struct{ into **bool }

func (b *boolFlag) String() string {
	if b.into == nil || *b.into == nil {
		return ""
	}
	return strconv.FormatBool(**b.into)
}

func (b *boolFlag) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("want true or false")
	}
	*b.into = &v
	return nil
}

func (b *boolFlag) Type() string { return "bool" }

// commaText is a flag that may be given more than once: its values are joined with commas.
type commaText struct{ into *string }

func (c *commaText) String() string {
	if c.into == nil {
		return ""
	}
	return *c.into
}

func (c *commaText) Set(s string) error {
	if s == "" {
		return fmt.Errorf("it is empty: give it a value, or leave the flag out")
	}
	if *c.into != "" {
		s = *c.into + "," + s
	}
	*c.into = s
	return nil
}

func (c *commaText) Type() string { return "string" }

func newListCmd() *cobra.Command {
	var f runFilter
	var limit uint32
	var path, cursor string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runs, newest first",
		Long: `Lists runs, the newest start first, or with --sort end or a filter by end the newest end first.

Of a run that failed NOTE has the step, the code and the message, of one that is open the step that needs somebody most, and why (not with --limit 0 or
over 1,000, and not of a file). At a terminal it is cut to the terminal's width, or to COLUMNS; into a file or a pipe it is written whole.

Times are ` + timeForms + `, in your zone or with --utc in UTC.`,
		Example: "  agnt5d list --state failed,quarantined --ended-since 1h\n  agnt5d list --since yesterday --until today --workflow nightly\n  agnt5d list --text \"no such customer\"\n  agnt5d list --workflow nightly --limit 500 -o json",
		Args:    nargs(),
	}
	addFilter(cmd, &f)
	cmd.Flags().BoolVar(&f.Children, "children", false, "children, too; without it they are listed only with --parent or --id-prefix")
	cmd.Flags().StringVar(&f.Sort, "sort", "", `"start" or "end": the newest start first, or the newest end of runs that have ended`)
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions([]string{"start", "end"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().Uint32Var(&limit, "limit", 50, "at most this many; 0: all")
	textFlag(cmd, &cursor, "cursor", "continue from the cursor that the last page printed")
	addFile(cmd, &path)
	return remoteVerb(cmd, func(cmd *cobra.Command, _ []string, c *client.Client, o *remote) error {
		if f.Sort != "" && f.Sort != "start" && f.Sort != "end" {
			return exit(exitUsage, "--sort %q: want start or end", f.Sort)
		}
		want, err := f.resolve(cmd)
		if err != nil {
			return err
		}
		want.Reasons = path == "" && limit > 0 && limit <= reasonsMost
		runs, next, err := listRuns(cmd, c, want, int(limit), path, cursor)
		if err != nil {
			return err
		}
		if o.json() {
			return printJSON(cmd.OutOrStdout(), struct {
				Runs []model.RunHead `json:"runs"`
				Next string          `json:"next_cursor,omitempty"`
			}{runs, next})
		}
		if err := table(cmd.OutOrStdout(), fit(runRows(cmd, runs, want), columns(cmd.OutOrStdout()))); err != nil {
			return err
		}
		if next != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "there are more: --limit 0 shows all, --cursor %s continues\n", next)
		}
		return nil
	})
}

// reasonsMost is the longest list that says of each open run why it does not move: the daemon looks into each of them.
const reasonsMost = 1_000

// runRows is a table of runs; with the time of the end where it is the order.
func runRows(cmd *cobra.Command, runs []model.RunHead, f client.Filter) [][]string {
	ends := f.Sort == "end" || f.Sort == "" && f.EndedSince+f.EndedUntil != ""
	when := "STARTED"
	if ends {
		when = "ENDED"
	}
	rows := [][]string{{"RUN", "WORKFLOW", "VERSION", "STATE", when, "TOOK", "NOTE"}}
	tagged := slices.ContainsFunc(runs, func(r model.RunHead) bool { return len(r.Tags) > 0 })
	if tagged {
		rows[0] = slices.Insert(rows[0], 6, "TAGS")
	}
	for _, r := range runs {
		took, note, at := age(r.CreatedAt), cmp.Or(r.Error, r.CancelReason), r.CreatedAt
		if r.CompletedAt != "" {
			took = between(r.CreatedAt, r.CompletedAt)
		}
		if ends {
			at = r.CompletedAt
		}
		if r.ErrorMessage != "" {
			note += ": " + r.ErrorMessage
		}
		if why := r.Reason; why != nil && note == "" {
			note = strings.TrimPrefix(why.Step+": "+why.Code+": ", ": ") + localTimes(why.Detail, zone(cmd))
		}
		if r.Skipped > 0 && note == "" {
			note = fmt.Sprintf("%d skipped", r.Skipped)
		}
		row := []string{r.WorkflowID, r.WorkflowName, fmt.Sprint(r.Version), r.State, local(at, zone(cmd)), took, strings.Join(strings.Fields(note), " ")}
		if tagged {
			row = slices.Insert(row, 6, shownTags(r.Tags))
		}
		rows = append(rows, row)
	}
	return rows
}

// leastNote is to how many characters a narrow terminal cuts the last column of a table, and no further.
const leastNote = 20

// fit cuts the last column of a table so that its lines fit into a terminal of that width; 0: nothing is cut.
func fit(rows [][]string, width int) [][]string {
	if width == 0 {
		return rows
	}
	last := len(rows[0]) - 1
	room := width
	for c := range last {
		widest := 0
		for _, r := range rows {
			widest = max(widest, utf8.RuneCountInString(visible(r[c])))
		}
		room -= widest + 2
	}
	for _, r := range rows {
		r[last] = clip(visible(r[last]), max(room, leastNote))
	}
	return rows
}

// columns is how wide the terminal is that w leads to; 0: it leads to none, or nobody knows.
func columns(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	f, _ := unwrap(w).(*os.File)
	return widthOf(f)
}

// listRuns reads page after page, from the daemon or from a file, and gives the cursor of what is left.
func listRuns(cmd *cobra.Command, c *client.Client, f client.Filter, limit int, path, cursor string) (runs []model.RunHead, next string, err error) {
	page := c.List
	if path != "" {
		file, err := openFile(path, leaveOut)
		if err != nil {
			return nil, "", err
		}
		defer file.Close()
		page = file.page
	}
	return gather(limit, cursor, func(n int, cursor string) ([]model.RunHead, string, error) { return page(cmd.Context(), f, n, cursor) })
}

const timeForms = `"1h" (ago), "today", "yesterday", "2026-11-25", "2026-11-25 21:14:00" or RFC 3339`

// resolveTime makes a time that a person wrote one that the daemon takes. A text that is empty stays so.
func resolveTime(cmd *cobra.Command, flag string, text *string) error {
	if *text == "" {
		return nil
	}
	t, ok := parseTime(*text, time.Now(), zone(cmd))
	if !ok {
		return exit(exitUsage, "--%s %q: want %s", flag, *text, timeForms)
	}
	*text = t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	return nil
}

// parseTime reads a time: how long ago, a day, or a date with or without a time of day and a zone. in is the zone of those that
// name none.
func parseTime(text string, now time.Time, in *time.Location) (time.Time, bool) {
	if ms, err := flow.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(ms) * time.Millisecond), true
	}
	y, m, d := now.In(in).Date()
	switch text {
	case "now":
		return now, true
	case "today":
		return time.Date(y, m, d, 0, 0, 0, 0, in), true
	case "yesterday":
		return time.Date(y, m, d-1, 0, 0, 0, 0, in), true
	}
	if strings.HasPrefix(text[min(len(text), 10):], "T") {
		text = text[:10] + " " + text[11:]
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02 15:04Z07:00", "2006-01-02 15:04:05Z07:00",
		"2006-01-02 15:04 Z07:00", "2006-01-02 15:04:05 Z07:00"} { // fractions of a second are taken, too
		if t, err := time.ParseInLocation(layout, text, in); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
