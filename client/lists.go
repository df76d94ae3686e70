package client

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/model"
)

// Filter says which runs List gives, and to which CancelMany, PauseMany, ResumeMany, RetryMany and DeleteMany do something. Empty fields mean any; the
// many want one that is not empty, or ManyOptions.All.
type Filter struct {
	Workflow, IDPrefix     string
	Parent                 string        // children of the run with this id
	Paused                 *bool         // true: only open runs that are paused themselves; false: only open runs that are not
	Children               bool          // of a list: children are there, too; without it only when Parent or IDPrefix asks for them
	Tags                   []string      // name:value; a run has all of them
	State                  string        // running, completed, failed, cancelled or quarantined; or several, with commas between
	Since, Until           string        // RFC 3339, of the start
	EndedSince, EndedUntil string        // RFC 3339, of the end: only runs that have ended
	ErrorCode              string        // by which a run failed
	Text                   string        // in the error of a failed run; case does not count
	StuckFor               time.Duration // open runs that nothing has moved for so long, and that nothing will move by itself
	Signals                bool          // with StuckFor: those that only wait for signals are stuck, too
	Reasons                bool          // of a list: RunHead.Reason and StepCounts are there; a page has 100 runs at most
	Sort                   string        // of a list: "start" (or "") or "end", the newest first. With EndedSince or EndedUntil: by end
}

// Empty says that the filter names no runs in particular.
func (f *Filter) Empty() bool { return reflect.ValueOf(*f).IsZero() }

// Values is the filter as a query of the daemon has it.
func (f *Filter) Values() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"workflow": f.Workflow, "state": f.State, "id_prefix": f.IDPrefix, "parent": f.Parent, "since": f.Since, "until": f.Until,
		"ended_since": f.EndedSince, "ended_until": f.EndedUntil, "error_code": f.ErrorCode, "text": f.Text} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if len(f.Tags) > 0 {
		v["tag"] = f.Tags
	}
	if f.StuckFor > 0 {
		v.Set("stuck_for", strconv.FormatInt(max(f.StuckFor.Milliseconds(), 1), 10)+"ms")
	}
	if f.Paused != nil {
		v.Set("paused", strconv.FormatBool(*f.Paused))
	}
	if f.Children {
		v.Set("children", "true")
	}
	if f.Signals {
		v.Set("include", "signals")
	}
	if f.Sort != "" {
		v.Set("sort", f.Sort)
	}
	return v
}

// paged adds how many things a page may have (0: the daemon's number) and where it begins ("": with the first).
func paged(v url.Values, limit int, cursor string) {
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
}

// List gives a page of runs, newest first, and the cursor of the next one, "" after the last. Limit is at most 1,000; 0: 100. A
// page that is not the last may have fewer runs, or none: the daemon looks at no more than 10,000 runs for it.
func (c *Client) List(ctx context.Context, f Filter, limit int, cursor string) ([]model.RunHead, string, error) {
	v := f.Values()
	if f.Reasons {
		v.Set("include", strings.TrimPrefix(v.Get("include")+",reason", ","))
	}
	paged(v, limit, cursor)
	var out struct {
		Runs       []model.RunHead `json:"runs"`
		NextCursor string          `json:"next_cursor"`
	}
	err := c.get(ctx, "/v1/runs?"+v.Encode(), &out)
	return out.Runs, out.NextCursor, err
}

// RunCounts counts the runs by state, and those that are stuck for so long (0: 10 minutes).
func (c *Client) RunCounts(ctx context.Context, stuckFor time.Duration) (model.RunCounts, error) {
	var out model.RunCounts
	f := Filter{StuckFor: stuckFor}
	err := c.get(ctx, "/v1/run-counts?"+f.Values().Encode(), &out)
	return out, err
}

// Many is what was done to many runs.
type Many struct {
	Matched int `json:"matched"` // runs that the filter names, in a state in which it can be done
	Done    int `json:"done"`    // runs that were cancelled, paused, resumed, retried or deleted

	Refused  int          `json:"refused,omitempty"`  // of those that match, how many refused it, or with DryRun of CancelMany and RetryMany would refuse it
	Refusals []RunRefused `json:"refusals,omitempty"` // the first 100 of those
}

// RunRefused is a run to which something was not done, and why.
type RunRefused struct {
	WorkflowID string `json:"workflow_id"`
	Code       string `json:"code"`
	Detail     string `json:"detail"`
}

// ManyOptions are the wishes of CancelMany, PauseMany, ResumeMany, RetryMany and DeleteMany.
type ManyOptions struct {
	// All means every run when the filter is empty. Without it an empty filter is refused.
	All bool
	// DryRun counts what matches and does nothing.
	DryRun bool
	// Reason is kept in the history of each run that is cancelled, paused, resumed or retried; at most 1,024 bytes.
	Reason string
}

// CancelMany cancels every open run that the filter names.
func (c *Client) CancelMany(ctx context.Context, f Filter, o ManyOptions) (Many, error) {
	return c.many(ctx, "cancel", f, o)
}

// PauseMany pauses every open run that the filter names and that is not paused.
func (c *Client) PauseMany(ctx context.Context, f Filter, o ManyOptions) (Many, error) {
	return c.many(ctx, "pause", f, o)
}

// ResumeMany ends the pause of every paused run that the filter names.
func (c *Client) ResumeMany(ctx context.Context, f Filter, o ManyOptions) (Many, error) {
	return c.many(ctx, "resume", f, o)
}

// RetryMany retries every failed or cancelled run that the filter names.
func (c *Client) RetryMany(ctx context.Context, f Filter, o ManyOptions) (Many, error) {
	return c.many(ctx, "retry", f, o)
}

// DeleteMany deletes every finished run that the filter names, and its history.
func (c *Client) DeleteMany(ctx context.Context, f Filter, o ManyOptions) (Many, error) {
	return c.many(ctx, "delete", f, o)
}

func (c *Client) many(ctx context.Context, what string, f Filter, o ManyOptions) (Many, error) {
	var out Many
	if f.Sort, f.Reasons = "", false; f.Empty() && !o.All {
		return out, refuse(errors.New("the filter is empty: name the runs you mean, or set ManyOptions.All for every run"))
	}
	v := f.Values()
	if o.All {
		v.Set("all", "true")
	}
	if o.DryRun {
		v.Set("dry_run", "true")
	}
	body := map[string]any{}
	if o.Reason != "" {
		body["reason"] = o.Reason
	}
	err := c.post(ctx, path("v1", "runs", what)+"?"+v.Encode(), body, &out)
	return out, err
}
