package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/model"
)

// PutSchedule makes a definition, JSON or YAML, the schedule of that name. revision: only when the schedule has that one; 0: whatever it
// has. created: there was none.
func (c *Client) PutSchedule(ctx context.Context, name string, definition []byte, revision uint32) (s model.Schedule, created bool, err error) {
	r := &request{method: http.MethodPut, path: path("v1", "schedules", name), body: definition, into: &s, header: ifMatch(revision)}
	r.answered = func(resp *http.Response) { created = resp.StatusCode == http.StatusCreated }
	return s, created, c.do(ctx, r)
}

func ifMatch(revision uint32) map[string]string {
	if revision == 0 {
		return nil
	}
	return map[string]string{"If-Match": strconv.FormatUint(uint64(revision), 10)}
}

// Schedule gives a schedule.
func (c *Client) Schedule(ctx context.Context, name string) (s model.Schedule, err error) {
	return s, c.get(ctx, path("v1", "schedules", name), &s)
}

// Schedules gives every schedule, by name.
func (c *Client) Schedules(ctx context.Context) (all []model.Schedule, err error) {
	for cursor := ""; ; {
		var page struct {
			Schedules  []model.Schedule `json:"schedules"`
			NextCursor string           `json:"next_cursor"`
		}
		v := url.Values{}
		paged(v, 500, cursor)
		if err := c.get(ctx, "/v1/schedules?"+v.Encode(), &page); err != nil {
			return all, err
		}
		all = append(all, page.Schedules...)
		if cursor = page.NextCursor; cursor == "" {
			return all, nil
		}
	}
}

// DeleteSchedule ends a schedule, if it has that revision; 0: whatever it has. Its ledger is kept for a while.
func (c *Client) DeleteSchedule(ctx context.Context, name string, revision uint32) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "schedules", name), header: ifMatch(revision)})
}

// PauseSchedule pauses a schedule.
func (c *Client) PauseSchedule(ctx context.Context, name, note string) (s model.Schedule, err error) {
	return s, c.post(ctx, path("v1", "schedules", name, "pause"), map[string]any{"note": note}, &s)
}

// ResumeSchedule lets a paused schedule go on from now; catchUp: with the newest of the times that the pause took.
func (c *Client) ResumeSchedule(ctx context.Context, name, note string, catchUp bool) (s model.Schedule, err error) {
	return s, c.post(ctx, path("v1", "schedules", name, "resume"), map[string]any{"note": note, "catch_up": catchUp}, &s)
}

// TriggerSchedule starts a run of a schedule now. input nil: the schedule's; overlap "": as the schedule has it.
func (c *Client) TriggerSchedule(ctx context.Context, name string, input json.RawMessage, overlap string) (row model.ScheduleRow, err error) {
	body := map[string]any{}
	if input != nil {
		body["input"] = input
	}
	if overlap != "" {
		body["overlap"] = overlap
	}
	return row, c.post(ctx, path("v1", "schedules", name, "trigger"), body, &row)
}

// BackfillSchedule starts a run for each time of a period that is over. overlap "": buffer_all, one after the other; or allow.
func (c *Client) BackfillSchedule(ctx context.Context, name string, from, to time.Time, overlap string, dryRun bool) (plan model.BackfillPlan, err error) {
	body := map[string]any{"from": from.Format(time.RFC3339Nano), "to": to.Format(time.RFC3339Nano), "dry_run": dryRun}
	if overlap != "" {
		body["overlap"] = overlap
	}
	return plan, c.post(ctx, path("v1", "schedules", name, "backfill"), body, &plan)
}

// NextTimes gives the next n due times of a schedule.
func (c *Client) NextTimes(ctx context.Context, name string, n int) ([]model.ScheduleTime, error) {
	var out struct{ Times []model.ScheduleTime }
	err := c.get(ctx, path("v1", "schedules", name, "next")+"?n="+strconv.Itoa(n), &out)
	return out.Times, err
}

// PreviewSchedule gives the due times that a definition would have.
func (c *Client) PreviewSchedule(ctx context.Context, definition []byte, n int) ([]model.ScheduleTime, error) {
	var out struct{ Times []model.ScheduleTime }
	err := c.do(ctx, &request{method: http.MethodPost, path: "/v1/schedules/preview?n=" + strconv.Itoa(n), body: definition, into: &out})
	return out.Times, err
}

// ScheduleLedger gives a page of what became of a schedule's due times, the newest first. outcome "", since zero: all; cursor: next of
// the page before.
func (c *Client) ScheduleLedger(ctx context.Context, name, outcome string, since time.Time, limit int, cursor string) (rows []model.ScheduleRow, next string, err error) {
	v := url.Values{}
	paged(v, limit, cursor)
	if outcome != "" {
		v.Set("outcome", outcome)
	}
	if !since.IsZero() {
		v.Set("since", since.Format(time.RFC3339Nano))
	}
	var out struct {
		Rows       []model.ScheduleRow `json:"rows"`
		NextCursor string              `json:"next_cursor"`
	}
	err = c.get(ctx, path("v1", "schedules", name, "ledger")+"?"+v.Encode(), &out)
	return out.Rows, out.NextCursor, err
}

// ExplainSchedule says why a schedule does not fire, or did not.
func (c *Client) ExplainSchedule(ctx context.Context, name string) (why model.ScheduleReasons, err error) {
	return why, c.get(ctx, path("v1", "schedules", name, "explain"), &why)
}
