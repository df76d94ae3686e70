package archive

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/internal/cursor"
	"github.com/agnt5/agnt5d/internal/nearest"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// FilterError says what is wrong with a filter.
type FilterError struct{ Detail string }

func (e *FilterError) Error() string { return e.Detail }

func badFilter(format string, args ...any) error { return &FilterError{fmt.Sprintf(format, args...)} }

// List is what a list is made from.
type List interface {
	Heads(journal.HeadFilter) (journal.HeadPage, error)
	Definitions() ([]journal.Definition, error)
}

// How many runs are looked at for a page of a list, and of one for which each run's steps must be looked at.
const (
	lookMost      = 10_000
	lookMostStuck = 1_000
)

// Runs gives a page of the runs that a filter picks, newest first, and the cursor of the next page. moves leaves those of the heads
// that StuckFor picks; nil: they cannot be told.
func Runs(j List, f model.ListFilter, moves func([]journal.Head) ([]journal.Head, error)) (runs []model.RunHead, next string, err error) {
	jf, err := heads(&f)
	if err != nil {
		return nil, "", err
	}
	if f.StuckFor > 0 && moves == nil {
		return nil, "", badFilter("stuck_for: only an engine knows what moves; it cannot be asked of a file")
	}
	page, err := j.Heads(jf)
	if err == nil && f.StuckFor > 0 {
		page.Heads, err = moves(page.Heads)
	}
	if err == nil && len(page.Heads) == 0 && f.Cursor == "" && f.Workflow != "" {
		err = knowsWorkflow(j, f.Workflow)
	}
	if err != nil {
		return nil, "", err
	}
	runs = make([]model.RunHead, len(page.Heads))
	for i := range page.Heads {
		runs[i] = runHead(&page.Heads[i])
	}
	return runs, toCursor(f.ByEnd, page.Next), nil
}

// knowsWorkflow is the error of a name that was never registered.
func knowsWorkflow(j List, name string) error {
	all, err := j.Definitions()
	var damages journal.Damages
	if errors.As(err, &damages) {
		return nil // it may be one of those that cannot be read
	}
	if err != nil {
		return err
	}
	var known []string
	for _, d := range all {
		if d.Name == name {
			return nil
		}
		if d.Digest != "" {
			known = append(known, d.Name)
		}
	}
	return NoWorkflow(name, known)
}

// NoWorkflow is refusal.ErrWorkflowNotFound with the name that was meant.
func NoWorkflow(name string, known []string) error {
	return fmt.Errorf("%w: %q%s", refusal.ErrWorkflowNotFound, name, nearest.Did(name, known))
}

// heads is the filter as the journal takes it.
func heads(f *model.ListFilter) (journal.HeadFilter, error) {
	jf := journal.HeadFilter{Workflow: f.Workflow, IDPrefix: f.IDPrefix, Tags: f.Tags, Since: f.Since, Until: f.Until, EndedSince: f.EndedSince, EndedUntil: f.EndedUntil,
		ByEnd: f.ByEnd, Limit: f.Limit, Look: lookMost}
	if jf.Limit <= 0 {
		jf.Limit = 100
	}
	if f.State != "" {
		for name := range strings.SplitSeq(f.State, ",") {
			st, ok := replay.ParseRunState(name)
			if !ok {
				return jf, badFilter("state %q: want running, finishing, completed, failed, cancelled or quarantined, or several with commas between; a run that waits for something is running", name)
			}
			jf.States = append(jf.States, uint8(st))
		}
	}
	if f.ErrorCode != "" || f.Text != "" {
		jf.States = only(jf.States, replay.Failed)
		jf.Keep = func(h *journal.Head) bool { return failedSo(f, h) }
	}
	switch {
	case f.Parent != "":
		jf.Tags = append(slices.Clone(jf.Tags), ChildTag(f.Parent))
	case !f.Children && f.IDPrefix == "":
		more := jf.Keep
		jf.Keep = func(h *journal.Head) bool { return ParentOf(h) == "" && (more == nil || more(h)) }
	}
	switch {
	case f.Paused == nil:
	case *f.Paused:
		jf.States = only(jf.States, replay.Running, replay.Finishing)
		jf.Tags = append(slices.Clone(jf.Tags), PausedTag)
	default:
		more := jf.Keep
		jf.States = only(jf.States, replay.Running, replay.Finishing)
		jf.Keep = func(h *journal.Head) bool { return !IsPaused(h) && (more == nil || more(h)) }
	}
	if f.StuckFor > 0 {
		jf.States = only(jf.States, replay.Running, replay.Finishing)
		jf.Limit, jf.Look = min(jf.Limit, lookMostStuck), lookMostStuck
	}
	for _, r := range []struct {
		name         string
		since, until int64
	}{{"", f.Since, f.Until}, {"ended_", f.EndedSince, f.EndedUntil}} {
		if r.since != 0 && r.until != 0 && r.since >= r.until {
			return jf, badFilter("%[1]ssince %[2]s is not before %[1]suntil %[3]s: no run can be in between", r.name, rfc3339.Format(r.since), rfc3339.Format(r.until))
		}
	}
	var err error
	jf.After, err = fromCursor(f.ByEnd, f.Cursor)
	return jf, err
}

// noState is one that no run is in.
const noState = 255

// only leaves of the states that were asked for (none: all) those in which a run can be at all.
func only(states []uint8, possible ...replay.RunState) []uint8 {
	var left []uint8
	for _, state := range possible {
		if len(states) == 0 || slices.Contains(states, uint8(state)) {
			left = append(left, uint8(state))
		}
	}
	if left == nil {
		return []uint8{noState}
	}
	return left
}

func failedSo(f *model.ListFilter, h *journal.Head) bool {
	where, code, message := ReadFailed(h.Failed)
	if f.ErrorCode != "" && code != f.ErrorCode {
		return false
	}
	return f.Text == "" || strings.Contains(strings.ToLower(where+"\n"+message), strings.ToLower(f.Text))
}

func runHead(h *journal.Head) model.RunHead {
	where, _, message := ReadFailed(h.Failed)
	r := model.RunHead{WorkflowID: h.ID, WorkflowName: h.Workflow, Version: h.Version, State: replay.RunState(h.State).String(),
		CreatedAt: rfc3339.Format(h.CreatedAt), Skipped: h.Skipped, Error: where, ErrorMessage: message, Tags: headTags(h.Tags), Paused: IsPaused(h), Number: h.Run}
	if replay.RunState(h.State) == replay.Cancelled {
		r.CancelReason, r.Error, r.ErrorMessage = message, "", ""
	}
	if h.EndedAt != 0 {
		r.CompletedAt = rfc3339.Format(h.EndedAt)
	}
	return r
}

// toCursor gives the cursor from which a list in that order goes on: behind the last run that was looked at.
func toCursor(byEnd bool, m journal.HeadMark) string {
	switch {
	case m == (journal.HeadMark{}):
		return ""
	case byEnd:
		return cursor.To(cursor.Ends, strconv.FormatInt(m.Ended, 36)+"."+strconv.FormatUint(m.Run, 36))
	}
	return cursor.To(cursor.Runs, strconv.FormatUint(m.Run, 36))
}

func fromCursor(byEnd bool, given string) (m journal.HeadMark, err error) {
	if given == "" {
		return m, nil
	}
	run := ""
	if !byEnd {
		run = cursor.From(cursor.Runs, given)
	} else if ended, rest, ok := strings.Cut(cursor.From(cursor.Ends, given), "."); ok {
		m.Ended, err = strconv.ParseInt(ended, 36, 64)
		run = rest
	}
	if err == nil {
		m.Run, err = strconv.ParseUint(run, 36, 64)
	}
	if err != nil || m.Run == 0 || byEnd != (m.Ended != 0) {
		return m, badFilter("cursor: %.100q is not one that this list gave", given)
	}
	return m, nil
}
