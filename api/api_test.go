package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/push"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

// site is a daemon's HTTP surface over a real engine on a real file, at a real socket.
type site struct {
	close func()
	t     *testing.T
	eng   *engine.Engine
	srv   *httptest.Server
	api   *api.Server
	url   string
}

func open(t *testing.T, o engine.Options) *site {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "runs.db"), o)
}

func openAt(t *testing.T, path string, o engine.Options) *site {
	t.Helper()
	eng, err := engine.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	pushes, err := push.Start(eng, push.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := access.Open(eng, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := api.New(eng, api.Options{Push: pushes, Access: tokens})
	s := &site{t: t, eng: eng, api: h, srv: httptest.NewServer(h)}
	s.url = s.srv.URL
	s.close = sync.OnceFunc(func() {
		h.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		pushes.Stop(ctx)
		s.srv.Close()
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.close)
	return s
}

// reply is an answer with its body as text and as JSON.
type reply struct {
	*http.Response
	text string
	json map[string]any
}

func (s *site) send(method, path, body string, header ...string) *reply {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &reply{Response: resp, text: string(b)}
	_ = json.Unmarshal(b, &r.json)
	conforms(s.t, req, resp, b)
	return r
}

// want sends a request and looks at the status, and at the code of an error.
func (s *site) want(status int, code, method, path, body string, header ...string) *reply {
	s.t.Helper()
	r := s.send(method, path, body, header...)
	got, _ := r.json["code"].(string)
	if r.StatusCode != status || r.StatusCode >= 400 && got != code {
		s.t.Fatalf("%s %s: %d %s, want %d %s\n%s", method, path, r.StatusCode, got, status, code, r.text)
	}
	if r.StatusCode >= 400 && r.Header.Get("Content-Type") != "application/problem+json" && method != "HEAD" {
		s.t.Fatalf("%s %s: an error as %s", method, path, r.Header.Get("Content-Type"))
	}
	return r
}

const oneTask = `{"steps":[{"name":"a","service_name":"svc","handler_name":"h"}]}`

func (s *site) join(handlers string, extra string) string {
	s.t.Helper()
	r := s.want(201, "", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":"svc","handlers":[%s],"capacity":10%s}`, handlers, extra))
	return r.json["worker_id"].(string)
}

// task polls until there is a task, and gives it.
func (s *site) task(worker string, seq int) map[string]any {
	s.t.Helper()
	r := s.want(200, "", "POST", "/v1/workers/"+worker+"/poll", fmt.Sprintf(`{"seq":%d,"max":1,"wait_ms":20000}`, seq))
	tasks := r.json["tasks"].([]any)
	if len(tasks) != 1 {
		s.t.Fatalf("%d tasks: %s", len(tasks), r.text)
	}
	return tasks[0].(map[string]any)
}

// outcome brings one outcome and gives its result code.
func (s *site) outcome(worker, token, rest string) string {
	s.t.Helper()
	r := s.want(200, "", "POST", "/v1/workers/"+worker+"/poll", fmt.Sprintf(`{"max":0,"wait_ms":0,"outcomes":[{"token":%q,%s}]}`, token, rest))
	results := r.json["results"].([]any)
	if len(results) != 1 || results[0].(map[string]any)["token"] != token {
		s.t.Fatalf("results: %s", r.text)
	}
	return results[0].(map[string]any)["code"].(string)
}

func TestARunOverHTTP(t *testing.T) {
	s := open(t, engine.Options{})
	yaml := "steps:\n  - name: a\n    service_name: svc\n    handler_name: h\n  - {name: ok, type: wait_signal, dependencies: [a], signal: {name: go}}\n" +
		"  - {name: nap, type: wait_timer, dependencies: [ok], timer: {key: nap, delay_ms: 3600000}}\n"
	// As curl sends it with --data-binary: with the type of a form, and without a page's headers.
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	r := s.want(201, "", "PUT", "/v1/workflows/w", yaml, form...)
	if r.json["version"] != 1.0 || !strings.HasPrefix(r.json["digest"].(string), "sha256:") {
		t.Errorf("got %s", r.text)
	}
	s.want(200, "", "PUT", "/v1/workflows/w", yaml)
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.want(200, "", "PUT", "/v1/workflows/w", yaml) // current again
	if r := s.want(200, "", "GET", "/v1/workflows/w", ""); r.json["version"] != 1.0 || r.json["versions"] != 2.0 || r.json["definition"] == nil {
		t.Errorf("got %s", r.text)
	}
	if r := s.want(200, "", "GET", "/v1/workflows/w?version=2", ""); r.json["version"] != 2.0 || r.json["current"] != 1.0 {
		t.Errorf("got %s", r.text)
	}
	s.want(404, "workflow_not_found", "GET", "/v1/workflows/w?version=3", "")
	s.want(404, "workflow_not_found", "GET", "/v1/workflows/x", "")

	input := `{ "n" : 12345678901234567890 , "n":1, "text":"<é>" }`
	r = s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r1","input_data":`+input+`}`, form...)
	if !strings.Contains(r.text, `"input":`+input) || r.json["state"] != "running" || r.Header.Get("Location") != "/v1/runs/r1" {
		t.Errorf("got %s", r.text)
	}
	s.want(200, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r1","input_data":`+input+`}`)
	s.want(409, "run_conflict", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r1","input_data":1}`)
	s.want(404, "workflow_not_found", "POST", "/v1/workflows/x/runs", `{}`)
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{}`, "Idempotency-Key", "r2")
	s.want(200, "", "POST", "/v1/workflows/w/runs", ``, "Idempotency-Key", "r2")
	if r := s.want(200, "", "GET", "/v1/runs/r1/explain", ""); !strings.Contains(r.text, `"no_worker"`) {
		t.Errorf("got %s", r.text)
	}

	w := s.join(`"h"`, "")
	task := s.task(w, 1)
	for _, key := range []string{"token", "lease_expires_at", "workflow_id", "workflow_name", "step", "service_name", "handler_name", "attempt", "idempotency_key",
		"workflow_input", "input_data", "dependencies", "object_keys", "objects"} {
		if _, ok := task[key]; !ok {
			t.Errorf("the task has no %s: %v", key, task)
		}
	}
	if code := s.outcome(w, task["token"].(string), `"status":"completed","output": { "big" : 98765432109876543210 }`); code != "recorded" {
		t.Errorf("got %s", code)
	}
	r = s.want(200, "", "GET", "/v1/runs/r1", "")
	if !strings.Contains(r.text, `"output": { "big" : 98765432109876543210 }`) && !strings.Contains(r.text, `"output":{ "big" : 98765432109876543210 }`) {
		t.Errorf("got %s", r.text)
	}
	s.want(304, "", "GET", "/v1/runs/r1", "", "If-None-Match", r.Header.Get("ETag"))
	r = s.want(202, "", "POST", "/v1/runs/r1/signals/go", `{"payload":[1, 2],"signal_id":"s1"}`)
	if r.json["consumed_by"] != "ok" {
		t.Errorf("got %s", r.text)
	}
	s.want(202, "", "POST", "/v1/runs/r1/signals/go", `{"payload":[1, 2],"signal_id":"s1"}`)
	s.want(409, "signal_conflict", "POST", "/v1/runs/r1/signals/go", `{"payload":[1,3],"signal_id":"s1"}`)
	s.want(404, "timer_not_found", "POST", "/v1/runs/r1/timers/x/fire", "")
	s.want(409, "run_open", "DELETE", "/v1/runs/r1", "")
	s.want(409, "run_not_failed", "POST", "/v1/runs/r1/retry", "")
	s.want(202, "", "POST", "/v1/runs/r1/timers/nap/fire", "{}")
	r = s.want(200, "", "GET", "/v1/runs/r1", "", "Prefer", "wait=20")
	if r.json["state"] != "completed" || r.json["completed_at"] == nil {
		t.Errorf("got %s", r.text)
	}
	s.want(202, "", "POST", "/v1/runs/r1/timers/nap/fire", "{}")
	s.want(202, "", "POST", "/v1/runs/r1/signals/go", `{"payload":[1, 2],"signal_id":"s1"}`)
	s.want(409, "run_finished", "POST", "/v1/runs/r1/signals/go", `{"signal_id":"s2"}`)
	s.want(409, "run_finished", "POST", "/v1/runs/r1/cancel", "")
	s.want(204, "", "DELETE", "/v1/runs/r1", "")
	s.want(410, "run_expired", "GET", "/v1/runs/r1", "")
	s.want(410, "run_expired", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r1"}`)

	s.want(409, "timer_not_waiting", "POST", "/v1/runs/r2/timers/nap/fire", "")
	s.want(202, "", "POST", "/v1/runs/r2/cancel", `{"reason":"enough"}`)
	s.want(202, "", "POST", "/v1/runs/r2/cancel", ``)
	s.want(202, "", "POST", "/v1/runs/r2/retry", ``)
	for _, path := range []string{"/v1/runs/nope", "/v1/runs/nope/events", "/v1/runs/nope/explain"} {
		s.want(404, "run_not_found", "GET", path, "")
	}
	for _, path := range []string{"/v1/runs/nope/cancel", "/v1/runs/nope/retry", "/v1/runs/nope/signals/x", "/v1/runs/nope/timers/x/fire"} {
		s.want(404, "run_not_found", "POST", path, "")
	}
	s.want(404, "run_not_found", "DELETE", "/v1/runs/nope", "")
}

func TestListsGoOnWhereTheyWere(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.want(201, "", "PUT", "/v1/workflows/other", oneTask)
	for i := range 25 {
		s.want(201, "", "POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":"run-%02d"}`, i))
	}
	s.want(201, "", "POST", "/v1/workflows/other/runs", `{"workflow_id":"x"}`)
	var seen []string
	for cursor := ""; ; {
		r := s.want(200, "", "GET", "/v1/runs?workflow=w&limit=10"+cursor, "")
		for _, run := range r.json["runs"].([]any) {
			seen = append(seen, run.(map[string]any)["workflow_id"].(string))
		}
		next, _ := r.json["next_cursor"].(string)
		if next == "" {
			break
		}
		cursor = "&cursor=" + next
	}
	if len(seen) != 25 || seen[0] != "run-24" || seen[24] != "run-00" {
		t.Errorf("got %v", seen)
	}
	for query, n := range map[string]int{"id_prefix=run-1": 10, "state=running": 26, "state=failed": 0, "since=2999-01-01T00:00:00Z": 0, "until=2999-01-01T00:00:00Z": 26} {
		if r := s.want(200, "", "GET", "/v1/runs?"+query, ""); len(r.json["runs"].([]any)) != n {
			t.Errorf("%s: %s", query, r.text)
		}
	}
	for _, query := range []string{"state=odd", "since=yesterday", "cursor=zzz", "cursor=", "limit=many", "limit=0", "limit=1001", "limit=", "until=", "what=1", "state=failed&state=running"} {
		s.want(400, "invalid_request", "GET", "/v1/runs?"+query, "")
	}
	r := s.want(200, "", "POST", "/v1/runs/cancel", `{"workflow":"w","id_prefix":"run-0"}`)
	if r.json["matched"] != 10.0 || r.json["done"] != 10.0 {
		t.Errorf("got %s", r.text)
	}
	r = s.want(200, "", "POST", "/v1/runs/retry?workflow=w&state=cancelled", ``)
	if r.json["matched"] != 10.0 || r.json["done"] != 10.0 {
		t.Errorf("got %s", r.text)
	}
	var at int
	for after := 0; ; {
		r := s.want(200, "", "GET", fmt.Sprintf("/v1/events?after=%d&limit=7", after), "")
		events := r.json["events"].([]any)
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			seq := int(e.(map[string]any)["seq"].(float64))
			if seq <= at {
				t.Fatalf("event %d after %d", seq, at)
			}
			at = seq
		}
		after = int(r.json["next_after"].(float64))
	}
	if at < 80 {
		t.Errorf("the feed ended at %d", at)
	}
}

// What other programs and pages may send, and must not get through.
func TestBadRequestsAreNamed(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w := s.join(`"h"`, "")
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	start, poll := "/v1/workflows/w/runs", "/v1/workers/"+w+"/poll"
	json := []string{"Content-Type", "application/json"}
	for name, c := range map[string]struct {
		status       int
		code         string
		method, path string
		body         string
		header       []string
		says         string
	}{
		"not JSON":             {400, "invalid_json", "POST", start, `{"workflow_id":`, json, "body"},
		"bad UTF-8":            {400, "invalid_json", "POST", start, "{\"input_data\":\"\xff\"}", json, "UTF-8"},
		"10,000 deep":          {400, "invalid_json", "POST", start, `{"input_data":` + deep + `}`, json, "nest"},
		"an unknown field":     {400, "invalid_request", "POST", start, `{"input":1}`, json, `unknown field "input"; did you mean "input_data"?`},
		"another parameter":    {400, "invalid_request", "GET", "/v1/runs?worklow=w", ``, nil, `unknown parameter "worklow"; did you mean "workflow"?`},
		"a number too large":   {400, "invalid_request", "POST", poll, `{"wait_ms":1e400}`, json, "wait_ms"},
		"a text for a number":  {400, "invalid_request", "POST", poll, `{"max":"many"}`, json, "max"},
		"NUL in an id":         {400, "invalid_request", "POST", start, `{"workflow_id":"a\u0000b"}`, json, "workflow_id"},
		"an id too long":       {400, "invalid_request", "POST", start, `{"workflow_id":"` + strings.Repeat("x", 513) + `"}`, json, "workflow_id"},
		"a payload too large":  {413, "payload_too_large", "POST", start, `{"input_data":"` + strings.Repeat("x", 1<<20) + `"}`, json, "input"},
		"a body too large":     {413, "payload_too_large", "POST", start, `{"input_data":"` + strings.Repeat("x", 64<<20) + `"}`, json, "limit"},
		"after the value":      {400, "invalid_json", "POST", start, `{} {}`, json, ""},
		"a compressed body":    {415, "unsupported_media_type", "POST", start, "\x1f\x8b", []string{"Content-Encoding", "gzip"}, "gzip"},
		"a bad definition":     {422, "invalid_definition", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"s"},{"name":"a","dependencies":["b"]}]}`, nil, "dependency_unknown"},
		"a definition's alias": {422, "invalid_definition", "PUT", "/v1/workflows/w", "a: &a [1]\nb: *a\n", nil, ""},
		"a workflow's name":    {422, "invalid_definition", "PUT", "/v1/workflows/a%20b", oneTask, nil, "name_invalid"},
		"both are bad":         {422, "invalid_definition", "PUT", "/v1/workflows/a%20b", `{"steps":[]}`, nil, "letters, digits, _ : . - (name_invalid); at least one step must be defined (no_steps)"},
		"another host":         {421, "host_refused", "POST", start, `{}`, []string{"Host", "evil.example"}, "evil.example"},
		"rebound":              {421, "host_refused", "GET", "/healthz", ``, []string{"Host", "evil.example:8080"}, ""},
		"another origin":       {403, "origin_refused", "POST", start, `{}`, append(json, "Origin", "http://evil.example"), "evil.example"},
		"no origin":            {403, "origin_refused", "POST", start, `{}`, append(json, "Origin", "null"), ""},
		"another site":         {403, "origin_refused", "POST", start, `{}`, append(json, "Sec-Fetch-Site", "cross-site"), ""},
		"a sibling's site":     {403, "origin_refused", "GET", "/v1/runs", ``, []string{"Sec-Fetch-Site", "same-site"}, ""},
		"a page's form":        {415, "unsupported_media_type", "POST", start, `{}`, []string{"Content-Type", "text/plain", "Sec-Fetch-Site", "same-origin"}, ""},
		"no such route":        {404, "not_found", "GET", "/v2/runs", ``, nil, "/v2/runs"},
		"no such method":       {405, "method_not_allowed", "PATCH", "/v1/runs", ``, nil, "GET"},
		"a poll without seq":   {400, "invalid_request", "POST", poll, `{"max":1,"wait_ms":0}`, json, "seq"},
		"no such worker":       {404, "worker_not_found", "POST", "/v1/workers/nobody/poll", `{"max":1,"seq":1}`, json, ""},
		"no handlers":          {400, "invalid_request", "POST", "/v1/workers", `{"service_name":"svc","handlers":[],"capacity":1}`, json, "handlers"},
		"no capacity":          {400, "invalid_request", "POST", "/v1/workers", `{"service_name":"svc","handlers":["h"]}`, json, "capacity"},
		"a push worker's id":   {400, "invalid_request", "POST", "/v1/workers", `{"service_name":"svc","handlers":["h"],"capacity":1,"worker_id":"push:x"}`, json, "push"},
		"a push url":           {400, "invalid_request", "PUT", "/v1/services/x", `{"url":"ftp://x","handlers":["h"]}`, json, "url"},
		"a key too long":       {400, "invalid_request", "GET", "/v1/objects/" + strings.Repeat("k", 300), ``, nil, "key"},
		"an unknown object":    {404, "object_not_found", "GET", "/v1/objects/user%3A1", ``, nil, "user:1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, eng: s.eng, srv: s.srv, url: s.url}
			r := s.want(c.status, c.code, c.method, c.path, c.body, c.header...)
			if !strings.Contains(r.text, strings.Trim(fmt.Sprintf("%q", c.says), `"`)) {
				t.Errorf("the answer does not name %q: %s", c.says, r.text)
			}
			page := s.send("GET", r.json["type"].(string), "")
			if page.StatusCode != 200 || !strings.Contains(page.text, c.code) {
				t.Errorf("no page at %s", r.json["type"])
			}
		})
	}
	if runs, err := s.eng.List(t.Context(), engine.ListFilter{}); err != nil || len(runs) != 0 {
		t.Errorf("something was started: %v %v", runs, err)
	}
	kept := `{"big":1e400,"nul":"a\u0000b"}`
	if r := s.want(201, "", "POST", start, `{"input_data":`+kept+`}`); !strings.Contains(r.text, kept) {
		t.Errorf("a payload was changed: %s", r.text)
	}
}

// A sender that stops in the middle, and connections that say nothing, do not keep others from their answers.
func TestSlowSendersDelayNobody(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	addr := strings.TrimPrefix(s.url, "http://")
	for range 50 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /v1/workflows/w/runs HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n{", addr)
	}
	for i := range 20 {
		s.want(201, "", "POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":"r%d"}`, i))
	}
}

func TestTheSpecIsTheOneInTheDocs(t *testing.T) {
	s := open(t, engine.Options{})
	got := s.want(200, "", "GET", "/openapi.json", "").text
	path := filepath.Join("..", "docs", "openapi.json")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("docs/openapi.json is not what the daemon serves (go test ./api -run Spec -update): %v", err)
	}
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(got), &doc); err != nil || len(doc.Paths) < 25 {
		t.Errorf("%d paths: %v", len(doc.Paths), err)
	}
}

func TestTheSchemaOfDefinitionsIsServed(t *testing.T) {
	s := open(t, engine.Options{})
	want, err := os.ReadFile(filepath.Join("..", "docs", "workflow.schema.json"))
	got := s.want(200, "", "GET", "/schema/workflow.json", "")
	if err != nil || got.text != string(want) || got.Header.Get("Content-Type") != "application/schema+json" {
		t.Errorf("%v, %s, %.200s", err, got.Header.Get("Content-Type"), got.text)
	}
}

func TestEachCodeHasItsPlaceInTheDocs(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range api.Codes {
		if !bytes.Contains(b, fmt.Appendf(nil, "## %s\n\nHTTP %d. %s\n\n%s\n", c.Name, c.Status, c.Title, c.Remedy)) {
			t.Errorf("docs/errors.md says something else of %s", c.Name)
		}
	}
}

func TestHealthAndFigures(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(200, "", "GET", "/healthz", "")
	s.want(200, "", "GET", "/", "")
	if r := s.want(200, "", "GET", "/version", ""); r.json["version"] == "" {
		t.Errorf("got %s", r.text)
	}
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{}`)
	r := s.send("GET", "/metrics", "")
	for _, line := range []string{"agnt5_runs_open 1", "agnt5_runs_started_total 1", "agnt5_steps_waiting_for_worker 1", "agnt5_disk_full 0", `agnt5_http_request_seconds_count{route="POST /v1/workflows/{name}/runs",status="201"} 1`} {
		if !strings.Contains(r.text, line+"\n") {
			t.Errorf("no line %q in\n%s", line, r.text)
		}
	}
	if r := s.want(200, "", "GET", "/readyz", ""); r.json["ready"] != true {
		t.Errorf("got %s", r.text)
	}
	s.api.Stop()
	if r := s.send("GET", "/readyz", ""); r.StatusCode != 503 || !strings.Contains(r.text, "shutting_down") {
		t.Errorf("got %d %s", r.StatusCode, r.text)
	}
	s.want(503, "shutting_down", "POST", "/v1/workflows/w/runs", `{}`)
}

func TestTheClockOfADaemonUnderTestMoves(t *testing.T) {
	s := open(t, engine.Options{Clock: engine.NewTestClock()})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"t","type":"wait_timer","timer":{"key":"k","delay":"48h"}}]}`)
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r"}`)
	s.want(200, "", "POST", "/v1/test-clock", `{"advance":"47h"}`)
	if r := s.want(200, "", "GET", "/v1/runs/r", ""); r.json["state"] != "running" {
		t.Errorf("after 47 hours: %s", r.text)
	}
	s.want(200, "", "POST", "/v1/test-clock", `{"advance":"1h1s"}`)
	if r := s.want(200, "", "GET", "/v1/runs/r", ""); r.json["state"] != "completed" {
		t.Errorf("after 48 hours: %s", r.text)
	}
	s.want(400, "invalid_request", "POST", "/v1/test-clock", `{"advance":"soon"}`)
	open(t, engine.Options{}).want(404, "no_test_clock", "POST", "/v1/test-clock", `{"advance":"1h"}`)
}
