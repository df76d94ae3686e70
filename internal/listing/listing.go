// Package listing has the one table of the filters of lists, and reads them as they are written in queries: those of a request, and
// those that the Go client would send.
package listing

import (
	"fmt"
	"net/url"
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
	set   func(f *model.ListFilter, text string) error
}

// Filters are all of them, in the order in which they are shown.
var Filters = []Filter{
	{"workflow", "string", "only runs of this workflow", text(func(f *model.ListFilter) *string { return &f.Workflow })},
	{"state", "states", "only runs in this state, or in one of several with commas between: running, completed, failed, cancelled, quarantined", text(func(f *model.ListFilter) *string { return &f.State })},
	{"id_prefix", "string", "only runs whose id has this prefix", text(func(f *model.ListFilter) *string { return &f.IDPrefix })},
	{"since", "date-time", "only runs started at or after this time", instant(func(f *model.ListFilter) *int64 { return &f.Since })},
	{"until", "date-time", "only runs started before this time", instant(func(f *model.ListFilter) *int64 { return &f.Until })},
	{"ended_since", "date-time", "only runs that ended at or after this time", instant(func(f *model.ListFilter) *int64 { return &f.EndedSince })},
	{"ended_until", "date-time", "only runs that ended before this time", instant(func(f *model.ListFilter) *int64 { return &f.EndedUntil })},
	{"error_code", "string", "only runs that failed with this code", text(func(f *model.ListFilter) *string { return &f.ErrorCode })},
	{"text", "string", "only runs that failed with this in the error: its step, its code, or the first 300 bytes of its message; case does not count", text(func(f *model.ListFilter) *string { return &f.Text })},
	{"stuck_for", "duration", "only open runs that nothing has moved for so long (30s, 10m, 2h) and that nothing will move by itself: no attempt runs and no clock is set", stuckFor},
}

// Read gives the filter that a query says, but for its page. What is given for sort and include counts, too.
func Read(q url.Values) (f model.ListFilter, err error) {
	for i := range Filters {
		if given := q.Get(Filters[i].Name); given != "" {
			if err := Filters[i].set(&f, given); err != nil {
				return f, fmt.Errorf("%s: %w", Filters[i].Name, err)
			}
		}
	}
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
