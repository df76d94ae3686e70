package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
	"github.com/vmihailenco/msgpack/v5"
)

// grow adds a field to each object of an answer, and codes that no release has had, as a later daemon may.
func grow(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, in := range v {
			switch k {
			case "input", "output", "definition", "steps", "step_counts", "dependencies", "objects", "data":
			default:
				v[k] = grow(in)
			}
		}
		if v["code"] == "recorded" {
			v["code"] = "recorded_elsewhere"
		}
		v["server_time"] = map[string]any{"unix": 1, "zone": []any{"UTC", 1.5, nil}}
	case []any:
		for i := range v {
			v[i] = grow(v[i])
		}
	}
	return v
}

// newerDaemon stands before a daemon and says more than it does.
func newerDaemon(t *testing.T, at string) string {
	t.Helper()
	target, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	var polls atomic.Int64
	p := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Upgrade") // polls go over HTTP, where they can be changed
	}}
	p.ModifyResponse = func(resp *http.Response) error {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if strings.HasSuffix(resp.Request.URL.Path, "/poll") && polls.Add(1) == 1 { // a refusal with a code of its own
			resp.StatusCode = http.StatusServiceUnavailable
			resp.Header.Set("Content-Type", "application/problem+json")
			body = []byte(`{"code":"resting","status":503,"detail":"later","since":"now"}`)
		} else if len(body) > 0 {
			var v any
			read, write := json.Unmarshal, json.Marshal
			if strings.Contains(resp.Header.Get("Content-Type"), "msgpack") {
				read, write = msgpack.Unmarshal, func(v any) ([]byte, error) {
					var buf bytes.Buffer
					enc := msgpack.NewEncoder(&buf)
					enc.UseCompactInts(true)
					err := enc.Encode(v)
					return buf.Bytes(), err
				}
			}
			if err := read(body, &v); err != nil {
				return err
			}
			if body, err = write(grow(v)); err != nil {
				return err
			}
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return nil
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return srv.URL
}

// A daemon is brought up to date before its workers: what it says more than they know ends none of them.
func TestAWorkerServesANewerDaemon(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	c, err := client.New(newerDaemon(t, s.url), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w := client.NewWorker(c, "svc", client.WorkerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	client.HandleRaw(w, "h", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		return json.RawMessage(`"done"`), task.Heartbeat(1)
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		defer stop() // nobody waits for a worker that has ended
		ended <- w.Run(ctx)
	}()
	for _, id := range []string{"a", "b"} {
		if _, _, err := c.Start(ctx, "w", nil, client.StartOptions{ID: id}); err != nil {
			t.Fatal(err)
		}
		if st, err := c.Wait(ctx, id); err != nil || st.State != "completed" || st.Steps["a"].Attempt != 1 {
			t.Fatalf("%+v %v", st, err)
		}
	}
	if runs, _, err := c.List(ctx, client.Filter{}, 10, ""); err != nil || len(runs) != 2 {
		t.Errorf("%v %v", runs, err)
	}
	var kinds []string
	events, _, err := c.Events(ctx, "a", 0, 100)
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	if err != nil || !strings.Contains(strings.Join(kinds, " "), "StepCompleted RunCompleted") {
		t.Errorf("%v %v", kinds, err)
	}
	var p *model.Problem
	if err := c.Cancel(ctx, "a", ""); !errors.As(err, &p) || p.Code != "run_finished" {
		t.Errorf("%v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "recorded_elsewhere") {
		t.Errorf("an answer that is not known here was not told:\n%s", text)
	}
	s.want(400, "invalid_request", "POST", "/v1/workers", `{"service_name":"svc","handlers":["h"],"capacity":1,"region":"eu"}`)
}

// After a roll-back, what is asked of a run that a newer release wrote on is refused with a code of its own; a worker's outcome for
// it gets a result of its own, and the other outcomes of the poll are recorded.
func TestARunOfANewerReleaseOverHTTP(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w := s.join(`"h"`, "")
	tokens := map[string]string{}
	for i, id := range []string{"r", "well"} {
		s.start("w", id)
		tokens[id] = s.task(w, i+1)["token"].(string)
	}
	s.again(engine.Options{}, func(path string) {
		j, err := bolt.Open(path, bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		run, _, _, err := j.Lookup("r")
		if err != nil {
			t.Fatal(err)
		}
		var last journal.Record
		if err := j.Scan(0, 0, func(r journal.Record) error {
			if r.Run == run {
				last = r
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		j.Append(&journal.Batch{Records: []journal.Record{{Seq: j.NextSeq(), Count: 1, Run: run, Prev: last.Seq, N: last.N + uint64(last.Count), At: last.At, Body: []byte{0, 0x91, 100}}}},
			func(err error) { done <- err })
		if err := errors.Join(<-done, j.Close()); err != nil {
			t.Fatal(err)
		}
	})
	s.want(201, "", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":"svc","handlers":["h"],"capacity":10,"worker_id":%q,"tokens":[%q,%q]}`, w, tokens["r"], tokens["well"]))
	for id, want := range map[string]string{"r": "newer_release", "well": "recorded"} {
		if code := s.outcome(w, tokens[id], `"status":"completed","output":1`); code != want {
			t.Errorf("%s: %s", id, code)
		}
	}
	for _, call := range []string{"POST /signals/go", "POST /cancel", "POST /retry", "POST /timers/x/fire", "DELETE "} {
		method, path, _ := strings.Cut(call, " ")
		if r := s.want(409, "newer_release", method, "/v1/runs/r"+path, ""); !strings.Contains(r.text, "run r: ") && !strings.Contains(r.text, `run \"r\": `) {
			t.Errorf("%s: %s", call, r.text)
		}
	}
	if st := s.state("r"); st["state"] != "running" || st["reasons"].([]any)[0].(map[string]any)["code"] != "newer_release" {
		t.Errorf("%v", st)
	}
	if r := s.want(200, "", "GET", "/readyz", ""); !strings.Contains(r.text, `"newer_release"`) {
		t.Errorf("%s", r.text)
	}
	if r := s.want(200, "", "GET", "/v1/runs/r/events", ""); !strings.Contains(r.text, `"kind":"Kind(100)","newer_release":true`) {
		t.Errorf("%s", r.text)
	}
	if st := s.state("well"); st["state"] != "completed" {
		t.Errorf("%v", st)
	}
	// What is understood of its past is shown, and nothing is made up of the rest.
	events := s.want(200, "", "GET", "/v1/runs/r/events", "").json["events"].([]any)
	first := events[0].(map[string]any)["seq"].(float64)
	if st := s.want(200, "", "GET", fmt.Sprintf("/v1/runs/r?at=%.0f", first), "").json; st["as_of"] == nil || st["reasons"] != nil || st["events"] != 1.0 {
		t.Errorf("after its first event: %v", st)
	}
	if st := s.want(200, "", "GET", "/v1/runs/r?at=1000000", "").json; st["as_of"] != nil || st["reasons"].([]any)[0].(map[string]any)["code"] != "newer_release" {
		t.Errorf("after its last event: %v", st)
	}
	if spans := s.want(200, "", "GET", "/v1/runs/r/timeline", "").json["attempts"].([]any); len(spans) != 1 || spans[0].(map[string]any)["attempt"] != 1.0 {
		t.Errorf("timeline: %v", spans)
	}
	s.want(409, "step_not_completed", "GET", "/v1/runs/r/steps/a/output", "")
	s.want(409, "newer_release", "GET", "/v1/diff?a=well&b=r", "")
	for _, v := range s.want(200, "", "GET", "/v1/runs?include=reason", "").json["runs"].([]any) {
		if run := v.(map[string]any); run["workflow_id"] == "r" && run["reason"].(map[string]any)["code"] != "newer_release" {
			t.Errorf("in the list: %v", run)
		}
	}
}
