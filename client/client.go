// Package client talks to an agnt5d daemon: it starts, watches and steers runs, and its Worker serves handlers with the same
// signature as an embedded engine. Errors of the daemon are *model.Problem with its stable code; a daemon that cannot be
// reached is an *Unreachable. An id or name that is empty, . or .. is refused before anything is sent, as a *model.Problem with
// the daemon's code for it, invalid_request. Redirects are not followed: each is an error that says where it leads.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/backoff"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
	"github.com/oklog/ulid/v2"
)

// DefaultURL is where a daemon answers when nobody says.
const DefaultURL = "http://127.0.0.1:8080"

// Options are a client's settings. The zero value means the defaults that each field names.
type Options struct {
	// Key is the access token, sent as "Authorization: Bearer KEY". "": that of TokenFile, else AGNT5_API_KEY, and nothing when that is
	// empty.
	Key string
	// TokenFile is a file that holds the access token and nothing else. It is read again when it changes.
	TokenFile string
	// Patience is how long a call is sent again while the daemon cannot be reached or is busy. 0: it is not. Every call is
	// safe to send again: starts and signals carry an id.
	Patience time.Duration
	// Transport carries the requests. nil: one of the client's own, which unix:PATH needs.
	Transport http.RoundTripper
}

// Client talks to one daemon, which may have several nodes. It is safe for concurrent use.
type Client struct {
	nodes []*node
	at    atomic.Int32 // the node that is asked first
	shown string       // to people: all addresses
	o     Options
	key   *credential
}

// Unreachable says that the daemon did not answer. Whether a call was recorded is unknown; the same call again, with the
// same id, gets its original answer.
type Unreachable struct {
	URL string // of the daemon
	Err error  // why no answer came
}

// Error names the daemon and says why no answer came.
func (e *Unreachable) Error() string {
	return fmt.Sprintf("no answer from the daemon at %s: %v", e.URL, e.Err)
}

// Unwrap gives why no answer came.
func (e *Unreachable) Unwrap() error { return e.Err }

// New gives a client for the daemon at base, http://HOST:PORT or HOST:PORT; "" is AGNT5_URL, else DefaultURL. Of a daemon with several
// nodes, base has the addresses of all, separated by commas: the client asks the one that is active, and while none is it waits for up
// to ten seconds, if Patience does not say otherwise.
func New(base string, o Options) (*Client, error) {
	if base == "" {
		base = os.Getenv("AGNT5_URL")
	}
	if base == "" {
		base = DefaultURL
	}
	nodes, shown, err := nodesOf(base, o.Transport)
	if err != nil {
		return nil, err
	}
	if o.Patience < 0 {
		return nil, fmt.Errorf("client: option Patience is %s, want 0 or more", o.Patience)
	}
	if o.Patience == 0 && len(nodes) > 1 {
		o.Patience = 10 * time.Second
	}
	key, err := o.credential()
	if err != nil {
		return nil, err
	}
	return &Client{nodes: nodes, shown: shown, o: o, key: key}, nil
}

// stay follows no redirect: a write would go elsewhere, or become a read on the way, and look done.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// URL is the daemon's address.
func (c *Client) URL() string { return c.shown }

// request is one call.
type request struct {
	method, path string
	header       map[string]string
	body         []byte
	into         any // JSON answer; nil: none wanted
	answered     func(*http.Response)
	raw          func(*http.Response) error
}

// do sends a call, again while the daemon does not answer and patience lasts.
func (c *Client) do(ctx context.Context, r *request) error {
	until := time.Now().Add(c.o.Patience)
	for wait := tries(); ; {
		err := c.once(ctx, r)
		if err == nil || ctx.Err() != nil || !again(err) || time.Now().Add(wait.Next()).After(until) {
			return err
		}
		if !wait.Wait(ctx) {
			return err
		}
	}
}

func tries() *backoff.Backoff {
	return &backoff.Backoff{First: 50 * time.Millisecond, Most: 2 * time.Second}
}

// again says whether the same call may succeed in a moment.
func again(err error) bool {
	var gone *Unreachable
	var p *model.Problem
	return errors.As(err, &gone) || errors.As(err, &p) && p.Status == http.StatusServiceUnavailable
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 256 << 20

// ask sends a call to a node; again when its access token is refused and the token's file has another one by now.
func (c *Client) ask(ctx context.Context, n *node, r *request) error {
	token := c.key.token()
	err := c.send(ctx, n, r, token)
	if p, is := err.(*model.Problem); is && p.Status == http.StatusUnauthorized {
		if newer := c.key.renew(token); newer != "" {
			err = c.send(ctx, n, r, newer)
		}
	}
	return err
}

func (c *Client) send(ctx context.Context, n *node, r *request, token string) error {
	if p, _, _ := strings.Cut(r.path, "?"); ids.CheckPath(p) != nil {
		return refuse(ids.CheckPath(p))
	}
	req, err := http.NewRequestWithContext(ctx, r.method, n.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := n.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return &Unreachable{n.shown, err}
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return problemOf(resp)
	}
	if r.answered != nil {
		r.answered(resp)
	}
	if r.raw != nil {
		return r.raw(resp)
	}
	b, err := whole(resp)
	if err != nil {
		return &Unreachable{n.shown, err}
	}
	if r.into == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, r.into); err != nil {
		return fmt.Errorf("%s gave an answer that is not agnt5d's: %w", n.shown, err)
	}
	return nil
}

// whole reads an answer's body.
func whole(resp *http.Response) ([]byte, error) {
	if n := resp.ContentLength; n >= 0 && n <= 16<<20 {
		b := make([]byte, n)
		_, err := io.ReadFull(resp.Body, b)
		return b, err
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

// problemOf reads an error's answer. One that is no problem+json comes from somebody in between.
func problemOf(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &model.Problem{}
	if err := json.Unmarshal(b, p); err != nil || p.Code == "" {
		p = &model.Problem{Title: resp.Status, Code: "unknown_answer", Detail: fmt.Sprintf("%s answered %s, not as agnt5d does", resp.Request.URL, resp.Status)}
		if to := resp.Header.Get("Location"); to != "" && resp.StatusCode < 400 {
			p.Detail = fmt.Sprintf("%s answered %s and points to %s: redirects are not followed, so nothing was done; use the daemon's own address", resp.Request.URL, resp.Status, to)
		}
	}
	p.Status = resp.StatusCode
	return p
}

// refuse is an error about what the caller gave; nothing was sent.
func refuse(err error) error {
	return &model.Problem{Title: "The request was not sent.", Status: http.StatusBadRequest, Code: "invalid_request", Detail: err.Error()}
}

// path escapes each part, so that an id may hold a slash. once refuses parts that no path can carry.
func path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, &request{method: http.MethodGet, path: path, into: into})
}

func (c *Client) post(ctx context.Context, path string, body, into any) error {
	b, err := model.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(ctx, &request{method: http.MethodPost, path: path, body: b, into: into})
}

// Register stores a definition, JSON or YAML, under a name and makes it current. created: it is a new version.
func (c *Client) Register(ctx context.Context, name string, definition []byte) (v model.Version, created bool, err error) {
	r := &request{method: http.MethodPut, path: path("v1", "workflows", name), body: definition, into: &v}
	r.answered = func(resp *http.Response) { created = resp.StatusCode == http.StatusCreated }
	return v, created, c.do(ctx, r)
}

// RegisterDefinition is Register for a definition built in Go.
func (c *Client) RegisterDefinition(ctx context.Context, name string, def flow.Definition) (model.Version, bool, error) {
	body, err := flow.Canonical(&def)
	if err != nil {
		return model.Version{}, false, err
	}
	return c.Register(ctx, name, body)
}

// Workflows lists workflows.
func (c *Client) Workflows(ctx context.Context) ([]model.Workflow, error) {
	var out struct{ Workflows []model.Workflow }
	err := c.get(ctx, "/v1/workflows", &out)
	return out.Workflows, err
}

// Workflow gives a version of a workflow with its definition; 0 is the current one.
func (c *Client) Workflow(ctx context.Context, name string, version uint32) (model.Workflow, error) {
	var out model.Workflow
	p := path("v1", "workflows", name)
	if version > 0 {
		p += "?version=" + strconv.Itoa(int(version))
	}
	err := c.get(ctx, p, &out)
	return out, err
}

// Graph gives the graph of a version of a workflow (0: the current one), with a place for each step. With more than fold steps those
// that are alike become one node; below 0: they never do.
func (c *Client) Graph(ctx context.Context, name string, version uint32, fold int) (model.Graph, error) {
	var out model.Graph
	v := url.Values{}
	if version > 0 {
		v.Set("version", strconv.Itoa(int(version)))
	}
	if fold >= 0 {
		v.Set("fold", strconv.Itoa(fold))
	}
	err := c.get(ctx, path("v1", "workflows", name, "graph")+"?"+v.Encode(), &out)
	return out, err
}

// UseWorkflow makes a version that a workflow has had current: new runs get it. Runs keep the version they started with.
func (c *Client) UseWorkflow(ctx context.Context, name string, version uint32) (v model.Version, err error) {
	body, err := model.Marshal(map[string]uint32{"version": version})
	if err != nil {
		return v, err
	}
	return v, c.do(ctx, &request{method: http.MethodPut, path: path("v1", "workflows", name, "current"), body: body, into: &v})
}

// DeleteWorkflow deletes a version of a workflow that no run uses and that is not the current one, or (0) the workflow with all of its
// versions.
func (c *Client) DeleteWorkflow(ctx context.Context, name string, version uint32) error {
	p := path("v1", "workflows", name)
	if version > 0 {
		p += "?version=" + strconv.Itoa(int(version))
	}
	return c.do(ctx, &request{method: http.MethodDelete, path: p})
}

// StartOptions are the wishes of one Start.
type StartOptions struct {
	// ID is the caller's own. "": one is made, so that sending the call again starts nothing twice.
	ID string
	// Version is the version of the workflow that a new run gets. 0: the current one.
	Version uint32
	// Signal is delivered together with the start, or to the run of that id when it exists. nil: none.
	Signal *StartSignal
	// Wait waits for the run's end, up to so long and at most 300 s; the answer may be of a run that is still open.
	Wait time.Duration
	// Steps is how much of the steps the answer shows: "all" (or ""), "open" or "none".
	Steps string
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
		InputData  json.RawMessage `json:"input_data"`
		WorkflowID string          `json:"workflow_id"`
		Version    uint32          `json:"version,omitempty"`
		Signal     any             `json:"signal,omitempty"`
	}{raw, o.ID, o.Version, signal})
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

func prefer(wait time.Duration) map[string]string {
	if wait <= 0 {
		return nil
	}
	return map[string]string{"Prefer": "wait=" + strconv.Itoa(int((wait+time.Second-1)/time.Second))}
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

// Filter says which runs List gives, and to which CancelMany, RetryMany and DeleteMany do something. Empty fields mean any; the
// many want one that is not empty, or ManyOptions.All.
type Filter struct {
	Workflow, IDPrefix     string
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

// Values is the filter as a query of the daemon has it.
func (f *Filter) Values() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"workflow": f.Workflow, "state": f.State, "id_prefix": f.IDPrefix, "since": f.Since, "until": f.Until,
		"ended_since": f.EndedSince, "ended_until": f.EndedUntil, "error_code": f.ErrorCode, "text": f.Text} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if f.StuckFor > 0 {
		v.Set("stuck_for", strconv.FormatInt(max(f.StuckFor.Milliseconds(), 1), 10)+"ms")
	}
	if f.Signals {
		v.Set("include", "signals")
	}
	if f.Sort != "" {
		v.Set("sort", f.Sort)
	}
	return v
}

// List gives a page of runs, newest first, and the cursor of the next one, "" after the last. Limit is at most 1,000; 0: 100. A
// page that is not the last may have fewer runs, or none: the daemon looks at no more than 10,000 runs for it.
func (c *Client) List(ctx context.Context, f Filter, limit int, cursor string) ([]model.RunHead, string, error) {
	v := f.Values()
	if f.Reasons {
		v.Set("include", strings.TrimPrefix(v.Get("include")+",reason", ","))
	}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
	var out struct {
		Runs       []model.RunHead `json:"runs"`
		NextCursor string          `json:"next_cursor"`
	}
	err := c.get(ctx, "/v1/runs?"+v.Encode(), &out)
	return out.Runs, out.NextCursor, err
}

// Events gives a page of a run's events after a sequence, and the sequence to go on from. Limit is at most 1,000; 0: 1.
func (c *Client) Events(ctx context.Context, run string, after uint64, limit int) ([]model.Event, uint64, error) {
	return c.events(ctx, path("v1", "runs", run, "events"), after, limit)
}

// Timeline gives a page of when each step of a run was attempted or waited, in the order in which that began, and the cursor of the
// next page, "" after the last. Limit is at most 10,000; 0: 1,000.
func (c *Client) Timeline(ctx context.Context, run string, limit int, cursor string) ([]model.Span, string, error) {
	v := url.Values{}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
	var out struct {
		Attempts   []model.Span `json:"attempts"`
		NextCursor string       `json:"next_cursor"`
	}
	err := c.get(ctx, path("v1", "runs", run, "timeline")+"?"+v.Encode(), &out)
	return out.Attempts, out.NextCursor, err
}

// StepOutput gives the output of a completed step, byte for byte.
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

// RunCounts counts the runs by state, and those that are stuck for so long (0: 10 minutes).
func (c *Client) RunCounts(ctx context.Context, stuckFor time.Duration) (model.RunCounts, error) {
	var out model.RunCounts
	f := Filter{StuckFor: stuckFor}
	err := c.get(ctx, "/v1/run-counts?"+f.Values().Encode(), &out)
	return out, err
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

// Retry reopens a failed or cancelled run: what was settled stays, the failed step and the cancelled ones begin anew.
func (c *Client) Retry(ctx context.Context, run string) error {
	return c.post(ctx, path("v1", "runs", run, "retry"), map[string]any{}, nil)
}

// FireTimer fires a timer of a run now.
func (c *Client) FireTimer(ctx context.Context, run, timer string) error {
	return c.post(ctx, path("v1", "runs", run, "timers", timer, "fire"), map[string]any{}, nil)
}

// Delete removes a finished run.
func (c *Client) Delete(ctx context.Context, run string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "runs", run)})
}

// Many is what was done to many runs.
type Many struct {
	Matched int `json:"matched"` // runs that the filter names, in a state in which it can be done
	Done    int `json:"done"`    // runs that were cancelled, retried or deleted
}

// ManyOptions are the wishes of CancelMany, RetryMany and DeleteMany.
type ManyOptions struct {
	// All means every run when the filter is empty. Without it an empty filter is refused.
	All bool
	// DryRun counts what matches and does nothing.
	DryRun bool
	// Reason is kept in the history of each run that is cancelled; at most 1,024 bytes.
	Reason string
}

// CancelMany cancels every open run that the filter names.
func (c *Client) CancelMany(ctx context.Context, f Filter, o ManyOptions) (Many, error) {
	return c.many(ctx, "cancel", f, o)
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
	if f.Sort, f.Reasons = "", false; f == (Filter{}) && !o.All {
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

// Objects gives a page of object keys, and the cursor of the next one.
func (c *Client) Objects(ctx context.Context, prefix string, limit int, cursor string) ([]model.Object, string, error) {
	v := url.Values{}
	for name, text := range map[string]string{"prefix": prefix, "cursor": cursor} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	var out struct {
		Objects    []model.Object `json:"objects"`
		NextCursor string         `json:"next_cursor"`
	}
	err := c.get(ctx, "/v1/objects?"+v.Encode(), &out)
	return out.Objects, out.NextCursor, err
}

// Object gives one object key.
func (c *Client) Object(ctx context.Context, key string) (model.Object, error) {
	var out model.Object
	err := c.get(ctx, path("v1", "objects", key), &out)
	return out, err
}

// DeleteObject removes an object's state.
func (c *Client) DeleteObject(ctx context.Context, key string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "objects", key)})
}

// Workers lists who works.
func (c *Client) Workers(ctx context.Context) ([]model.Worker, error) {
	var out struct{ Workers []model.Worker }
	err := c.get(ctx, "/v1/workers", &out)
	return out.Workers, err
}

// Services lists the push services.
func (c *Client) Services(ctx context.Context) ([]model.Service, error) {
	var out struct{ Services []model.Service }
	err := c.get(ctx, "/v1/services", &out)
	return out.Services, err
}

// PutService sets a push service up, or changes it. The answer carries its secret when that was made now.
func (c *Client) PutService(ctx context.Context, in model.Service) (out model.Service, created bool, err error) {
	for _, h := range in.Handlers {
		if err := ids.Check(h); err != nil {
			return out, false, refuse(fmt.Errorf("a handler's name %w", err))
		}
	}
	body, err := model.Marshal(struct {
		URL       string   `json:"url"`
		Handlers  []string `json:"handlers"`
		Capacity  int      `json:"capacity,omitempty"`
		TimeoutMS int64    `json:"timeout_ms,omitempty"`
		Secret    string   `json:"secret,omitempty"`
	}{in.URL, in.Handlers, in.Capacity, in.TimeoutMS, in.Secret})
	if err != nil {
		return out, false, err
	}
	r := &request{method: http.MethodPut, path: path("v1", "services", in.Name), body: body, into: &out}
	r.answered = func(resp *http.Response) { created = resp.StatusCode == http.StatusCreated }
	err = c.do(ctx, r)
	return out, created, err
}

// DeleteService removes a push service: what it works on is offered to others.
func (c *Client) DeleteService(ctx context.Context, name string) error {
	return c.do(ctx, &request{method: http.MethodDelete, path: path("v1", "services", name)})
}

// Journal writes a copy of the daemon's journal, as it is at one moment, to w. While another copy is being sent it waits its
// turn, as long as patience lasts.
func (c *Client) Journal(ctx context.Context, w io.Writer) error { return c.JournalAt(ctx, w, 0) }

// JournalAt is Journal that is made at most so many bytes a second, 65,536 or more; 0: as fast as it goes.
func (c *Client) JournalAt(ctx context.Context, w io.Writer, rate int64) error {
	where := "/v1/journal"
	if rate != 0 {
		where += "?rate=" + strconv.FormatInt(rate, 10)
	}
	return c.do(ctx, &request{method: http.MethodGet, path: where, raw: func(resp *http.Response) error {
		_, err := io.Copy(w, resp.Body)
		return err
	}})
}

// NoteBackup records that a copy of the journal, up to an event, is whole and in its place.
func (c *Client) NoteBackup(ctx context.Context, upTo uint64, bytes int64) error {
	return c.post(ctx, "/v1/backups", map[string]any{"up_to": upTo, "bytes": bytes}, nil)
}

// Compaction says what became of one.
type Compaction struct {
	BeforeBytes int64   `json:"before_bytes"`
	AfterBytes  int64   `json:"after_bytes"`
	PausedMS    float64 `json:"paused_ms"` // for so long nothing could be committed
}

// Compacting says how far a compaction is.
type Compacting struct {
	Running     bool  `json:"running"`
	CopiedBytes int64 `json:"copied_bytes"`
	TotalBytes  int64 `json:"total_bytes"`
}

// Compact rewrites the daemon's journal without its free pages, while the daemon works. It is ended when ctx is.
func (c *Client) Compact(ctx context.Context) (out Compaction, err error) {
	err = c.once(ctx, &request{method: http.MethodPost, path: "/v1/compaction", into: &out})
	return out, err
}

// Compacting says how far the daemon's compaction is.
func (c *Client) Compacting(ctx context.Context) (out Compacting, err error) {
	err = c.get(ctx, "/v1/compaction", &out)
	return out, err
}

// Version is what a daemon says of itself.
type Version struct {
	Version string `json:"version"` // release
	Commit  string `json:"commit"`  // of the source that it was built from; "unknown" when the build did not record it
	Go      string `json:"go"`      // that built it
	Format  int    `json:"format"`  // of its journal
	Durable uint64 `json:"durable"` // sequence of the last durable event
}

// Version asks what is running.
func (c *Client) Version(ctx context.Context) (Version, error) {
	var out Version
	err := c.get(ctx, "/version", &out)
	return out, err
}
