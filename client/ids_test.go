package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// call is one call of a client, with texts for its ids and names.
type call struct {
	texts int
	do    func(ctx context.Context, c *client.Client, text []string) error
}

func fn(model.Event) error { return nil }

var def = flow.Definition{Steps: []flow.Step{flow.Task("a", "s", "h")}}

// calls is each method of a client that talks to the daemon.
var calls = map[string]call{
	"AllEvents": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.AllEvents(ctx, 0, 1)
		return err
	}},
	"Cancel":    {1, func(ctx context.Context, c *client.Client, s []string) error { return c.Cancel(ctx, s[0], "") }},
	"CancelNow": {1, func(ctx context.Context, c *client.Client, s []string) error { return c.CancelNow(ctx, s[0], "") }},
	"CancelMany": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.CancelMany(ctx, client.Filter{}, client.ManyOptions{All: true})
		return err
	}},
	"Delete":        {1, func(ctx context.Context, c *client.Client, s []string) error { return c.Delete(ctx, s[0]) }},
	"DeleteObject":  {1, func(ctx context.Context, c *client.Client, s []string) error { return c.DeleteObject(ctx, s[0]) }},
	"DeleteService": {1, func(ctx context.Context, c *client.Client, s []string) error { return c.DeleteService(ctx, s[0]) }},
	"Events": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.Events(ctx, s[0], 0, 1)
		return err
	}},
	"Explain": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Explain(ctx, s[0])
		return err
	}},
	"FireTimer": {2, func(ctx context.Context, c *client.Client, s []string) error { return c.FireTimer(ctx, s[0], s[1]) }},
	"Follow":    {1, func(ctx context.Context, c *client.Client, s []string) error { return c.Follow(ctx, s[0], 0, fn) }},
	"FollowAll": {0, func(ctx context.Context, c *client.Client, s []string) error { return c.FollowAll(ctx, 0, fn) }},
	"Graph": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Graph(ctx, s[0], 0, 300)
		return err
	}},
	"Diff": {2, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Diff(ctx, s[0], s[1], true)
		return err
	}},
	"Journal": {0, func(ctx context.Context, c *client.Client, s []string) error { return c.Journal(ctx, io.Discard) }},
	"List": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.List(ctx, client.Filter{}, 1, "")
		return err
	}},
	"Logs": {1, func(ctx context.Context, c *client.Client, s []string) error { // no step means all of them
		_, err := c.Logs(ctx, s[0], "")
		return err
	}},
	"Object": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Object(ctx, s[0])
		return err
	}},
	"Objects": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.Objects(ctx, "", 1, "")
		return err
	}},
	"PutSchedule": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.PutSchedule(ctx, s[0], []byte("{}"), 0)
		return err
	}},
	"Schedule": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Schedule(ctx, s[0])
		return err
	}},
	"Schedules": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Schedules(ctx)
		return err
	}},
	"DeleteSchedule": {1, func(ctx context.Context, c *client.Client, s []string) error {
		return c.DeleteSchedule(ctx, s[0], 0)
	}},
	"PauseSchedule": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.PauseSchedule(ctx, s[0], "")
		return err
	}},
	"ResumeSchedule": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.ResumeSchedule(ctx, s[0], "", false)
		return err
	}},
	"TriggerSchedule": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.TriggerSchedule(ctx, s[0], nil, "")
		return err
	}},
	"BackfillSchedule": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.BackfillSchedule(ctx, s[0], time.Now(), time.Now(), "", true)
		return err
	}},
	"NextTimes": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.NextTimes(ctx, s[0], 1)
		return err
	}},
	"PreviewSchedule": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.PreviewSchedule(ctx, []byte("{}"), 1)
		return err
	}},
	"ScheduleLedger": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.ScheduleLedger(ctx, s[0], "", time.Time{}, 1, "")
		return err
	}},
	"ExplainSchedule": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.ExplainSchedule(ctx, s[0])
		return err
	}},
	"PutService": {2, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.PutService(ctx, model.Service{Name: s[0], URL: "http://127.0.0.1:9/x", Handlers: []string{s[1]}})
		return err
	}},
	"Register": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.Register(ctx, s[0], []byte("{}"))
		return err
	}},
	"RegisterDefinition": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.RegisterDefinition(ctx, s[0], def)
		return err
	}},
	"CompleteStep": {2, func(ctx context.Context, c *client.Client, s []string) error {
		return c.CompleteStep(ctx, s[0], s[1], nil, "")
	}},
	"Fork": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Fork(ctx, s[0], client.Fork{From: "a"})
		return err
	}},
	"PlanFork": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.PlanFork(ctx, s[0], client.Fork{From: "a"})
		return err
	}},
	"Plan": {2, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Plan(ctx, s[0], client.Deed{Do: "skip", Step: s[1]})
		return err
	}},
	"SkipStep": {2, func(ctx context.Context, c *client.Client, s []string) error { return c.SkipStep(ctx, s[0], s[1], "") }},
	"FailStep": {2, func(ctx context.Context, c *client.Client, s []string) error { return c.FailStep(ctx, s[0], s[1], "") }},
	"PauseMany": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.PauseMany(ctx, client.Filter{}, client.ManyOptions{All: true})
		return err
	}},
	"ResumeMany": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.ResumeMany(ctx, client.Filter{}, client.ManyOptions{All: true})
		return err
	}},
	"Holding": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Holding(ctx)
		return err
	}},
	"ResumeAll": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.ResumeAll(ctx, 3, "")
		return err
	}},
	"PauseService":  {1, func(ctx context.Context, c *client.Client, s []string) error { return c.PauseService(ctx, s[0], "") }},
	"ResumeService": {1, func(ctx context.Context, c *client.Client, s []string) error { return c.ResumeService(ctx, s[0], "") }},
	"Pause":         {1, func(ctx context.Context, c *client.Client, s []string) error { return c.Pause(ctx, s[0], "") }},
	"Resume":        {1, func(ctx context.Context, c *client.Client, s []string) error { return c.Resume(ctx, s[0], "") }},
	"Retry":         {1, func(ctx context.Context, c *client.Client, s []string) error { return c.Retry(ctx, s[0], "") }},
	"DeleteMany": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.DeleteMany(ctx, client.Filter{}, client.ManyOptions{All: true})
		return err
	}},
	"RetryMany": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.RetryMany(ctx, client.Filter{}, client.ManyOptions{All: true})
		return err
	}},
	"Services": {0, func(ctx context.Context, c *client.Client, s []string) error { _, err := c.Services(ctx); return err }},
	"Signal": {2, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Signal(ctx, s[0], s[1], nil, "id")
		return err
	}},
	"Start": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.Start(ctx, s[0], nil, client.StartOptions{ID: "id"})
		return err
	}},
	"Status": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Status(ctx, s[0], "")
		return err
	}},
	"StatusAt": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.StatusAt(ctx, s[0], 1, "")
		return err
	}},
	"Tokens": {0, func(ctx context.Context, c *client.Client, s []string) error { _, err := c.Tokens(ctx); return err }},
	"RevokeToken": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.RevokeToken(ctx, s[0])
		return err
	}},
	"CreateToken": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.CreateToken(ctx, s[0], "read", 0)
		return err
	}},
	"Version": {0, func(ctx context.Context, c *client.Client, s []string) error { _, err := c.Version(ctx); return err }},
	"RunCounts": {0, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.RunCounts(ctx, 0)
		return err
	}},
	"Items": {2, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Items(ctx, s[0], s[1], "", "", 1)
		return err
	}},
	"StepOutput": {2, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.StepOutput(ctx, s[0], s[1])
		return err
	}},
	"Timeline": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.Timeline(ctx, s[0], 1, "")
		return err
	}},
	"TimelineAt": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, _, err := c.TimelineAt(ctx, s[0], 1, 1, "")
		return err
	}},
	"Settings": {0, func(ctx context.Context, c *client.Client, _ []string) error { _, err := c.Settings(ctx); return err }},
	"StartMany": {0, func(ctx context.Context, c *client.Client, _ []string) error {
		_, err := c.StartMany(ctx, nil)
		return err
	}},
	"JournalAt": {0, func(ctx context.Context, c *client.Client, _ []string) error { return c.JournalAt(ctx, io.Discard, 0) }},
	"JournalSince": {0, func(ctx context.Context, c *client.Client, _ []string) error {
		return c.JournalSince(ctx, io.Discard, 1, 0)
	}},
	"NoteBackup":     {0, func(ctx context.Context, c *client.Client, _ []string) error { return c.NoteBackup(ctx, 1, 1) }},
	"Compact":        {0, func(ctx context.Context, c *client.Client, _ []string) error { _, err := c.Compact(ctx); return err }},
	"Compacting":     {0, func(ctx context.Context, c *client.Client, _ []string) error { _, err := c.Compacting(ctx); return err }},
	"DeleteWorkflow": {1, func(ctx context.Context, c *client.Client, s []string) error { return c.DeleteWorkflow(ctx, s[0], 1) }},
	"UseWorkflow": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.UseWorkflow(ctx, s[0], 1)
		return err
	}},
	"Tag": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Tag(ctx, s[0], map[string]string{"team": "data"}, "env")
		return err
	}},
	"WaitSteps": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.WaitSteps(ctx, s[0], "none")
		return err
	}},
	"Wait":    {1, func(ctx context.Context, c *client.Client, s []string) error { _, err := c.Wait(ctx, s[0]); return err }},
	"Workers": {0, func(ctx context.Context, c *client.Client, s []string) error { _, err := c.Workers(ctx); return err }},
	"Workflow": {1, func(ctx context.Context, c *client.Client, s []string) error {
		_, err := c.Workflow(ctx, s[0], 0)
		return err
	}},
	"Workflows": {0, func(ctx context.Context, c *client.Client, s []string) error { _, err := c.Workflows(ctx); return err }},
}

// The table has every method, so that a new one is tested, too.
func TestTheTableHasEveryCall(t *testing.T) {
	typ := reflect.TypeFor[*client.Client]()
	for i := range typ.NumMethod() {
		if name := typ.Method(i).Name; name != "URL" && calls[name].do == nil {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// answering is a daemon's stand-in that answers everything in one way and counts.
func answering(t *testing.T, answer http.HandlerFunc) (*client.Client, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		answer(w, r)
	}))
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c, &n
}

// An id or name that is empty, . or .. is an error before anything is sent.
func TestNoCallSendsAPlaceInAPath(t *testing.T) {
	c, sent := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	refused := func(what, bad string, err error) {
		t.Helper()
		var p *model.Problem
		if !errors.As(err, &p) || p.Code != "invalid_request" || p.Status != 400 || !strings.Contains(p.Detail, "is empty") && !strings.Contains(p.Detail, "a place in a path") {
			t.Errorf("%s with %q: %v", what, bad, err)
		}
	}
	for _, bad := range []string{"", ".", ".."} {
		for name, call := range calls {
			for i := range call.texts {
				texts := []string{"x", "x"}
				texts[i] = bad
				refused(fmt.Sprintf("%s, text %d,", name, i), bad, call.do(t.Context(), c, texts))
			}
		}
		if bad != "" { // an empty one means that the client makes one
			_, _, err := c.Start(t.Context(), "w", nil, client.StartOptions{ID: bad})
			refused("a run id", bad, err)
			_, err = c.Signal(t.Context(), "r", "s", nil, bad)
			refused("a signal id", bad, err)
		}
		none := func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }
		service, handler, workflow := client.NewWorker(c, bad, client.WorkerOptions{}), client.NewWorker(c, "s", client.WorkerOptions{}), client.NewWorker(c, "s", client.WorkerOptions{})
		client.HandleRaw(service, "h", none)
		client.HandleRaw(handler, bad, none)
		client.HandleRaw(workflow, "h", none)
		workflow.Publish(bad, def)
		for what, w := range map[string]*client.Worker{"service": service, "handler": handler, "workflow": workflow} {
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			if err := w.Run(ctx); err == nil || ctx.Err() != nil {
				t.Errorf("a worker with a %s of %q ran: %v", what, bad, err)
			}
			stop()
		}
	}
	_, err := c.CancelMany(t.Context(), client.Filter{}, client.ManyOptions{Reason: "x"})
	_, err2 := c.RetryMany(t.Context(), client.Filter{}, client.ManyOptions{DryRun: true})
	for _, err := range []error{err, err2} {
		if err == nil || !strings.Contains(err.Error(), "ManyOptions.All") {
			t.Errorf("an empty filter: %v", err)
		}
	}
	if n := sent.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A redirect is an error that says where it leads, and is not followed; so is every other answer that is not 2xx.
func TestEveryOtherAnswerIsAnError(t *testing.T) {
	elsewhere, followed := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	for _, status := range []int{300, 301, 302, 303, 304, 305, 307, 308, 399, 400, 404, 500, 502} {
		c, sent := answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere.URL()+r.URL.Path)
			w.WriteHeader(status)
		})
		for name, call := range calls {
			before := sent.Load()
			err := call.do(t.Context(), c, []string{"x", "x"})
			var p *model.Problem
			if !errors.As(err, &p) || p.Status != status || status < 400 && !strings.Contains(p.Detail, elsewhere.URL()) {
				t.Errorf("%s answered with %d: %v", name, status, err)
			}
			if n := sent.Load() - before; n != 1 {
				t.Errorf("%s answered with %d: %d requests", name, status, n)
			}
		}
		if status >= 500 {
			continue // a worker waits until the daemon is well again
		}
		w := client.NewWorker(c, "s", client.WorkerOptions{})
		client.HandleRaw(w, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		if err := w.Run(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("a worker that is answered with %d: %v", status, err)
		}
		stop()
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}
