package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
	"github.com/oklog/ulid/v2"
)

// StartOptions are the wishes of one Start.
type StartOptions struct {
	// ID is the caller's own. "": one is made, so that sending the call again starts nothing twice.
	ID string
	// Version is the version of the workflow that a new run gets. 0: the current one.
	Version uint32
	// Signal is delivered together with the start, or to the run of that id when it exists. nil: none.
	Signal *StartSignal
	// StartAt lets the run's first steps wait until a time; Delay does so for that long from the start. The run is there at once. Zero: they
	// start at once.
	StartAt time.Time
	Delay   time.Duration
	// Tags are names and values by which lists find the run. nil: none.
	Tags map[string]string
	// Wait waits for the run's end, up to so long and at most 300 s; the answer may be of a run that is still open.
	Wait time.Duration
	// Steps is how much of the steps the answer shows: "all" (or ""), "open" or "none".
	Steps string
}

// startAt is a time as it is sent; "": there is none.
func startAt(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// StartSignal is a signal that is delivered together with a start.
type StartSignal struct {
	Name    string
	ID      string // of the signal; "": one is made, so that sending the call again delivers nothing twice
	Payload any
}

// body is the signal as it is sent.
func (s *StartSignal) body() (any, error) {
	if s == nil {
		return nil, nil
	}
	id := s.ID
	if id == "" {
		id = ulid.Make().String()
	}
	raw, err := payload(s.Payload)
	return map[string]any{"name": s.Name, "signal_id": id, "payload": raw}, err
}

// BatchStart is one start of a batch.
type BatchStart struct {
	Workflow string
	Input    any
	// ID is the caller's own. "": one is made, so that sending the call again starts nothing twice.
	ID string
	// Version is the version of the workflow that a new run gets. 0: the current one.
	Version uint32
	// Signal is delivered together with the start. nil: none.
	Signal *StartSignal
	// StartAt and Delay are those of StartOptions.
	StartAt time.Time
	Delay   time.Duration
	// Tags are names and values by which lists find the run. nil: none.
	Tags map[string]string
}

// StartMany starts up to 1,000 runs at once. Each has its own answer, in the order given: those that can be started are.
func (c *Client) StartMany(ctx context.Context, starts []BatchStart) ([]model.BatchStarted, error) {
	runs := make([]map[string]any, len(starts))
	for i, s := range starts {
		if s.ID == "" {
			s.ID = ulid.Make().String()
		}
		raw, err := payload(s.Input)
		if err != nil {
			return nil, err
		}
		runs[i] = map[string]any{"workflow_name": s.Workflow, "workflow_id": s.ID, "input_data": raw}
		if s.Version != 0 {
			runs[i]["version"] = s.Version
		}
		signal, err := s.Signal.body()
		if err != nil {
			return nil, err
		}
		if at := startAt(s.StartAt); at != "" {
			runs[i]["start_at"] = at
		}
		if s.Delay != 0 {
			runs[i]["delay_ms"] = s.Delay.Milliseconds()
		}
		if len(s.Tags) > 0 {
			runs[i]["tags"] = s.Tags
		}
		if signal != nil {
			runs[i]["signal"] = signal
		}
	}
	var out struct {
		Runs []model.BatchStarted `json:"runs"`
	}
	err := c.post(ctx, path("v1", "runs", "batch"), map[string]any{"runs": runs}, &out)
	return out.Runs, err
}

// Start starts a run and gives its status. created is false when a run of that id existed, with this workflow and input.
func (c *Client) Start(ctx context.Context, workflow string, input any, o StartOptions) (st *model.Status, created bool, err error) {
	if o.ID == "" {
		o.ID = ulid.Make().String()
	}
	if err := ids.Check(o.ID); err != nil {
		return nil, false, refuse(fmt.Errorf("the run id %w", err))
	}
	raw, err := payload(input)
	if err != nil {
		return nil, false, err
	}
	signal, err := o.Signal.body()
	if err != nil {
		return nil, false, err
	}
	body, err := model.Marshal(struct {
		InputData  json.RawMessage   `json:"input_data"`
		WorkflowID string            `json:"workflow_id"`
		Version    uint32            `json:"version,omitempty"`
		Signal     any               `json:"signal,omitempty"`
		StartAt    string            `json:"start_at,omitempty"`
		DelayMS    int64             `json:"delay_ms,omitempty"`
		Tags       map[string]string `json:"tags,omitempty"`
	}{raw, o.ID, o.Version, signal, startAt(o.StartAt), o.Delay.Milliseconds(), o.Tags})
	if err != nil {
		return nil, false, err
	}
	st = &model.Status{}
	r := &request{method: http.MethodPost, path: path("v1", "workflows", workflow, "runs") + stepsQuery(o.Steps), body: body, header: prefer(o.Wait), into: st}
	r.answered = func(resp *http.Response) { created = resp.StatusCode == http.StatusCreated }
	if err = c.do(ctx, r); err != nil {
		return nil, false, err
	}
	return st, created, nil
}

func stepsQuery(steps string) string {
	if steps == "" {
		return ""
	}
	return "?steps=" + url.QueryEscape(steps)
}

func payload(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case nil:
		return json.RawMessage("null"), nil
	case json.RawMessage:
		if len(v) == 0 {
			return json.RawMessage("null"), nil
		}
		return v, nil
	}
	return json.Marshal(v)
}

// Status gives a run. Steps is "all" (or ""), "open" or "none".
func (c *Client) Status(ctx context.Context, run, steps string) (*model.Status, error) {
	return c.status(ctx, run, steps, 0)
}

// StatusAt gives a run as it was after its last event at or before a sequence of the journal; Status.AsOf says which one that is.
func (c *Client) StatusAt(ctx context.Context, run string, at uint64, steps string) (*model.Status, error) {
	v := url.Values{"at": {strconv.FormatUint(at, 10)}}
	if steps != "" {
		v.Set("steps", steps)
	}
	st := &model.Status{}
	if err := c.get(ctx, path("v1", "runs", run)+"?"+v.Encode(), st); err != nil {
		return nil, err
	}
	return st, nil
}

func (c *Client) status(ctx context.Context, run, steps string, wait time.Duration) (*model.Status, error) {
	st := &model.Status{}
	err := c.do(ctx, &request{method: http.MethodGet, path: path("v1", "runs", run) + stepsQuery(steps), header: prefer(wait), into: st})
	if err != nil {
		return nil, err
	}
	return st, nil
}

// Wait waits until the run has ended, however long that takes; a daemon that restarts meanwhile is waited for.
func (c *Client) Wait(ctx context.Context, run string) (*model.Status, error) {
	return c.WaitSteps(ctx, run, "")
}

// WaitSteps is Wait with as much of the steps as Status takes: "all" (or ""), "open" or "none".
func (c *Client) WaitSteps(ctx context.Context, run, steps string) (*model.Status, error) {
	for wait := tries(); ; {
		st, err := c.status(ctx, run, steps, time.Minute)
		switch {
		case err == nil && st.CompletedAt != "":
			return st, nil
		case err == nil:
			wait.Reset()
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !again(err):
			return nil, err
		default:
			wait.Wait(ctx)
		}
	}
}

// Events gives a page of a run's events after a sequence, and the sequence to go on from. Limit is at most 1,000; 0: 1.
func (c *Client) Events(ctx context.Context, run string, after uint64, limit int) ([]model.Event, uint64, error) {
	return c.events(ctx, path("v1", "runs", run, "events"), after, limit)
}

// Timeline gives a page of when each step of a run was attempted or waited, in the order in which that began, and the cursor of the
// next page, "" after the last. Limit is at most 10,000; 0: 1,000.
func (c *Client) Timeline(ctx context.Context, run string, limit int, cursor string) ([]model.Span, string, error) {
	return c.TimelineAt(ctx, run, 0, limit, cursor)
}

// TimelineAt is Timeline as it was after the run's last event at or before a sequence of the journal; 0: as it is now.
func (c *Client) TimelineAt(ctx context.Context, run string, at uint64, limit int, cursor string) ([]model.Span, string, error) {
	v := url.Values{}
	if at > 0 {
		v.Set("at", strconv.FormatUint(at, 10))
	}
	paged(v, limit, cursor)
	var out struct {
		Attempts   []model.Span `json:"attempts"`
		NextCursor string       `json:"next_cursor"`
	}
	err := c.get(ctx, path("v1", "runs", run, "timeline")+"?"+v.Encode(), &out)
	return out.Attempts, out.NextCursor, err
}

// Items gives a page of the items of a step with for_each, in the order of the list: those in a state ("": all), up to limit (0: 100), from a
// cursor on ("": the first). ItemPage.NextCursor is that of the next page; "": there are no more.
func (c *Client) Items(ctx context.Context, run, step, state, cursor string, limit int) (*model.ItemPage, error) {
	if err := ids.Check(step); err != nil {
		return nil, refuse(fmt.Errorf("the step %w", err))
	}
	v := url.Values{"steps": {"none"}, "items": {step}}
	if state != "" {
		v.Set("state", state)
	}
	paged(v, limit, cursor)
	st := &model.Status{}
	if err := c.get(ctx, path("v1", "runs", run)+"?"+v.Encode(), st); err != nil {
		return nil, err
	}
	return st.Items, nil
}

// StepOutput gives the output of a completed step, or of an item such as fetch[3], byte for byte.
func (c *Client) StepOutput(ctx context.Context, run, step string) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.get(ctx, path("v1", "runs", run, "steps", step, "output"), &out)
	return out, err
}

// Diff compares two runs: where they first did not do the same, and what is different. With all, steps that do not differ are there, too.
func (c *Client) Diff(ctx context.Context, a, b string, all bool) (*model.Diff, error) {
	for _, id := range []string{a, b} {
		if err := ids.Check(id); err != nil {
			return nil, refuse(fmt.Errorf("the run id %w", err))
		}
	}
	v := url.Values{"a": {a}, "b": {b}}
	if all {
		v.Set("steps", "all")
	}
	out := &model.Diff{}
	if err := c.get(ctx, "/v1/diff?"+v.Encode(), out); err != nil {
		return nil, err
	}
	return out, nil
}

// AllEvents is Events of all runs, in the order of the journal.
func (c *Client) AllEvents(ctx context.Context, after uint64, limit int) ([]model.Event, uint64, error) {
	return c.events(ctx, "/v1/events", after, limit)
}

func (c *Client) events(ctx context.Context, path string, after uint64, limit int) ([]model.Event, uint64, error) {
	var out struct {
		Events    []model.Event `json:"events"`
		NextAfter uint64        `json:"next_after"`
	}
	err := c.get(ctx, fmt.Sprintf("%s?after=%d&limit=%d", path, after, limit), &out)
	return out.Events, out.NextAfter, err
}

// Logs gives what the attempts of a run wrote to their logs, of one step or ("") of all, by step and attempt: the last 64 KiB of each.
func (c *Client) Logs(ctx context.Context, run, step string) ([]model.AttemptLog, error) {
	at := path("v1", "runs", run, "logs")
	if step != "" {
		at = path("v1", "runs", run, "steps", step, "logs")
	}
	all := []model.AttemptLog{}
	for query := ""; ; {
		var out struct {
			Logs       []model.AttemptLog `json:"logs"`
			NextCursor string             `json:"next_cursor"`
		}
		if err := c.get(ctx, at+query, &out); err != nil {
			return nil, err
		}
		all = append(all, out.Logs...)
		if out.NextCursor == "" {
			return all, nil
		}
		query = "?cursor=" + url.QueryEscape(out.NextCursor)
	}
}

// Explain says why a run does not move.
func (c *Client) Explain(ctx context.Context, run string) ([]model.Reason, error) {
	var out struct{ Reasons []model.Reason }
	err := c.get(ctx, path("v1", "runs", run, "explain"), &out)
	return out.Reasons, err
}

// Signal sends a signal, with JSON as its payload. id names it; "": one is made here. It gives the id and the step that took it,
// "" if none has: it is kept for a wait that comes later, or there is a hint why none will. The same id again gives the first answer.
func (c *Client) Signal(ctx context.Context, run, name string, value any, id string) (model.Signalled, error) {
	var out model.Signalled
	if id == "" {
		id = ulid.Make().String()
	}
	if err := ids.Check(id); err != nil {
		return out, refuse(fmt.Errorf("the signal id %w", err))
	}
	raw, err := payload(value)
	if err != nil {
		return out, err
	}
	err = c.post(ctx, path("v1", "runs", run, "signals", name), map[string]any{"payload": raw, "signal_id": id}, &out)
	return out, err
}

// Cancel ends a run: nothing new starts, and handlers under way are told. One that is cancelled already stays so.
func (c *Client) Cancel(ctx context.Context, run, reason string) error {
	return c.post(ctx, path("v1", "runs", run, "cancel"), map[string]any{"reason": reason}, nil)
}

// CancelNow ends a run at once, whatever it has left to do: what is not compensated stays so, and finally steps that have not ended are
// cancelled. One whose fate was to complete is cancelled, one whose fate was to fail has failed.
func (c *Client) CancelNow(ctx context.Context, run, reason string) error {
	return c.post(ctx, path("v1", "runs", run, "cancel"), map[string]any{"reason": reason, "force": true}, nil)
}

// Retry reopens a failed or cancelled run: what was settled stays, the failed step and the cancelled ones begin anew. History keeps the reason.
func (c *Client) Retry(ctx context.Context, run, reason string) error {
	body := map[string]any{}
	if reason != "" {
		body["reason"] = reason
	}
	return c.post(ctx, path("v1", "runs", run, "retry"), body, nil)
}

// Pause pauses a run: no task of it is handed out, and no time of it comes, until it is resumed. History keeps the reason.
func (c *Client) Pause(ctx context.Context, run, reason string) error {
	return c.post(ctx, path("v1", "runs", run, "pause"), map[string]any{"reason": reason}, nil)
}

// Resume ends the pause of a run: what is overdue comes at once.
func (c *Client) Resume(ctx context.Context, run, reason string) error {
	return c.post(ctx, path("v1", "runs", run, "resume"), map[string]any{"reason": reason}, nil)
}

// Tag gives a run tags, or those that it has other values, and takes those of some names away. It may have ended. The answer has all its tags.
func (c *Client) Tag(ctx context.Context, run string, set map[string]string, remove ...string) (map[string]string, error) {
	changes := map[string]any{}
	for _, name := range remove {
		if _, both := set[name]; both {
			return nil, refuse(fmt.Errorf("tag %q is both set and taken away", name))
		}
		changes[name] = nil
	}
	for name, value := range set {
		changes[name] = value
	}
	body, err := model.Marshal(map[string]any{"tags": changes})
	if err != nil {
		return nil, err
	}
	var out struct {
		Tags map[string]string `json:"tags"`
	}
	err = c.do(ctx, &request{method: http.MethodPatch, path: path("v1", "runs", run), body: body, into: &out})
	return out.Tags, err
}

// CompleteStep completes a step by hand, with JSON as its output: one that is open, or whose failure nothing caught. Of a run that has failed it
// is the step that failed it, and the run goes on. An item of a step with for_each, such as fetch[3], must not have settled. History keeps the reason.
func (c *Client) CompleteStep(ctx context.Context, run, step string, output any, reason string) error {
	raw, err := payload(output)
	if err != nil {
		return err
	}
	return c.post(ctx, path("v1", "runs", run, "steps", step, "complete"), map[string]any{"output": raw, "reason": reason}, nil)
}

// SkipStep skips a step by hand, under the rules of CompleteStep. What depends on it by join all is skipped, too.
func (c *Client) SkipStep(ctx context.Context, run, step, reason string) error {
	return c.post(ctx, path("v1", "runs", run, "steps", step, "skip"), map[string]any{"reason": reason}, nil)
}

// FailStep fails an open step for good by hand.
func (c *Client) FailStep(ctx context.Context, run, step, reason string) error {
	return c.post(ctx, path("v1", "runs", run, "steps", step, "fail"), map[string]any{"reason": reason}, nil)
}

// FireTimer fires a timer of a run now.
func (c *Client) FireTimer(ctx context.Context, run, timer string) error {
	return c.post(ctx, path("v1", "runs", run, "timers", timer, "fire"), map[string]any{}, nil)
}

// Delete removes a finished run.
func (c *Client) Delete(ctx context.Context, run string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "runs", run)})
}
