// Package listing has the one table of the filters of lists, and reads them as they are written in queries: those of a request, and
// those that the Go client would send.
package listing

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
)

// Filter is one way to say which runs are meant.
type Filter struct {
	Name  string // in a query and in a body; a flag has - for _
	Kind  string // of its value, as the API's table of kinds names it
	About string
	Many  bool // it may be given more than once: a run fits them all
	set   func(f *model.ListFilter, text string) error
}

// Filters are all of them, in the order in which they are shown.
var Filters = []Filter{
	{Name: "workflow", Kind: "string", About: "only runs of this workflow", set: text(func(f *model.ListFilter) *string { return &f.Workflow })},
	{Name: "state", Kind: "states", About: "only runs in this state, or in one of several with commas between: running, finishing, completed, failed, cancelled, quarantined", set: text(func(f *model.ListFilter) *string { return &f.State })},
	{Name: "id_prefix", Kind: "string", About: "only runs whose id has this prefix", set: text(func(f *model.ListFilter) *string { return &f.IDPrefix })},
	{Name: "tag", Kind: "tag", Many: true, About: "only runs with this tag, name:value; more than one: with all of them", set: tag},
	{Name: "paused", Kind: "boolean", About: "true: only open runs that are paused themselves; false: only open runs that are not", set: paused},
	{Name: "parent", Kind: "string", About: "only the children of the run with this id", set: text(func(f *model.ListFilter) *string { return &f.Parent })},
	{Name: "since", Kind: "date-time", About: "only runs started at or after this time", set: instant(func(f *model.ListFilter) *int64 { return &f.Since })},
	{Name: "until", Kind: "date-time", About: "only runs started before this time", set: instant(func(f *model.ListFilter) *int64 { return &f.Until })},
	{Name: "ended_since", Kind: "date-time", About: "only runs that ended at or after this time", set: instant(func(f *model.ListFilter) *int64 { return &f.EndedSince })},
	{Name: "ended_until", Kind: "date-time", About: "only runs that ended before this time", set: instant(func(f *model.ListFilter) *int64 { return &f.EndedUntil })},
	{Name: "error_code", Kind: "string", About: "only runs that failed with this code", set: text(func(f *model.ListFilter) *string { return &f.ErrorCode })},
	{Name: "text", Kind: "string", About: "only runs that failed with this in the error: its step, its code, or the first 300 bytes of its message; case does not count", set: text(func(f *model.ListFilter) *string { return &f.Text })},
	{Name: "stuck_for", Kind: "duration", About: "only open runs that nothing has moved for so long (30s, 10m, 2h) and that nothing will move by itself: no attempt runs and no clock is set", set: stuckFor},
}

// Read gives the filter that a query says, but for its page. What is given for sort and include counts, too.
func Read(q url.Values) (f model.ListFilter, err error) {
	for i := range Filters {
		for k, given := range q[Filters[i].Name] {
			if k > 0 && !Filters[i].Many || given == "" && !Filters[i].Many {
				break
			}
			if err := Filters[i].set(&f, given); err != nil {
				return f, fmt.Errorf("%s: %w", Filters[i].Name, err)
			}
		}
	}
	f.Children = q.Get("children") == "true"
	f.Signals = strings.Contains(","+q.Get("include")+",", ",signals,")
	switch q.Get("sort") {
	case "":
		f.ByEnd = f.EndedSince != 0 || f.EndedUntil != 0
	case "end":
		f.ByEnd = true
	}
	return f, nil
}

func text(of func(*model.ListFilter) *string) func(*model.ListFilter, string) error {
	return func(f *model.ListFilter, given string) error {
		*of(f) = given
		return nil
	}
}

func tag(f *model.ListFilter, given string) error {
	name, value, err := flow.ParseTag(given)
	if tag := name + ":" + value; err == nil && !slices.Contains(f.Tags, tag) {
		f.Tags = append(f.Tags, tag)
	}
	return err
}

func instant(of func(*model.ListFilter) *int64) func(*model.ListFilter, string) error {
	return func(f *model.ListFilter, given string) error {
		t, err := time.Parse(time.RFC3339, given)
		if err != nil {
			return fmt.Errorf("%q is not a time like 2026-11-23T08:00:00Z", given)
		}
		*of(f) = t.UnixMilli()
		return nil
	}
}

func paused(f *model.ListFilter, given string) error {
	if given != "true" && given != "false" {
		return fmt.Errorf("%q, want true or false", given)
	}
	f.Paused = new(given == "true")
	return nil
}

func stuckFor(f *model.ListFilter, given string) error {
	var err error
	f.StuckFor, err = StuckFor(given)
	return err
}

// StuckFor reads how long a run must not have moved.
func StuckFor(given string) (time.Duration, error) {
	ms, err := flow.ParseDuration(given)
	if err != nil || ms <= 0 {
		return 0, fmt.Errorf("%q is not a duration like 30s, 10m or 2h", given)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
