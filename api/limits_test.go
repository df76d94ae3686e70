package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/worker"
)

// A worker whose handler ends its goroutine reports a failed attempt and serves on.
func TestAWorkersHandlerThatEndsItsGoroutine(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h","retry":{"initial_interval_ms":1}}]}`)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := client.NewWorker(c, "svc", client.WorkerOptions{Capacity: 1})
	client.HandleRaw(w, "h", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		if task.Attempt == 1 {
			runtime.Goexit()
		}
		return nil, nil
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	s.start("w", "r")
	st, err := c.Wait(t.Context(), "r")
	if err != nil || st.State != "completed" || st.Steps["a"].Attempt != 2 || st.Steps["a"].Error.Code != "panic" {
		t.Errorf("%+v %v", st, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Whatever a worker says of a failure, what is kept and shown of it has a stated size.
func TestTextsOfARemoteFailureAreCut(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w := s.join(`"h"`, "")
	long := strings.Repeat("x", 4<<20)
	for i, rest := range []string{
		fmt.Sprintf(`"status":"failed","error":{"code":%q,"type":%q,"message":%q,"stack":%q,"retryable":false}`, long, long, long, long),
		fmt.Sprintf(`"status":%q`, long),
		fmt.Sprintf(`"status":"completed","objects":{%q:1}`, long),
	} {
		id := fmt.Sprint("r", i)
		s.start("w", id)
		s.outcome(w, s.task(w, i+1)["token"].(string), rest)
		if st := s.state(id); st["state"] != "failed" {
			t.Errorf("%s: %v", id, st["state"])
		}
		for _, path := range []string{"/v1/runs/" + id, "/v1/runs/" + id + "/events", "/v1/runs?id_prefix=" + id} {
			if n := len(s.want(200, "", "GET", path, "").text); n > 200_000 {
				t.Errorf("GET %s: %d bytes", path, n)
			}
		}
	}
	if head := s.want(200, "", "GET", "/v1/runs?id_prefix=r0", ""); len(head.text) > 1000 {
		t.Errorf("a list of one run: %d bytes", len(head.text))
	}
}

// On every route that takes JSON, a key in another spelling, or given twice, is an error that names it; so is null as the body.
func TestKeysAreWrittenOnceAndAsTheyAre(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.start("w", "r")
	w := s.join(`"h"`, "")
	doc := s.want(200, "", "GET", "/openapi.json", "").json
	look := func(v any, path ...string) any {
		for _, p := range path {
			m, _ := v.(map[string]any)
			v = m[p]
		}
		return v
	}
	values := map[any]string{"string": `"a"`, "integer": "1", "array": "[]", "object": "{}"}
	routes := 0
	for path, ops := range look(doc, "paths").(map[string]any) {
		for method, op := range ops.(map[string]any) {
			ref, _ := look(op, "requestBody", "content", "application/json", "schema", "$ref").(string)
			if ref == "" || strings.HasSuffix(ref, "Definition") { // packages flow and schedules read those
				continue
			}
			routes++
			method, path := strings.ToUpper(method), path
			if strings.Contains(path, "/workers/") {
				path = strings.ReplaceAll(path, "{id}", w)
			}
			path = strings.NewReplacer("{id}", "r", "{name}", "w", "{key}", "k").Replace(path)
			s.want(400, "invalid_request", method, path, "null")
			for key, schema := range mapOf(look(doc, "components", "schemas", ref[strings.LastIndex(ref, "/")+1:], "properties")) {
				value := values[look(schema, "type")]
				if value == "" {
					value = "1"
				}
				upper := strings.ToUpper(key)
				for body, named := range map[string]string{
					fmt.Sprintf(`{%q:%s}`, upper, value):                             upper,
					fmt.Sprintf(`{%q:%s, %q:%s}`, key, value, key, value):            key,
					fmt.Sprintf(`{%q:%s,"\u%04x%s":1}`, key, value, key[0], key[1:]): key,
				} {
					got := s.want(400, "invalid_request", method, path, body)
					if !strings.Contains(got.json["detail"].(string), `"`+named+`"`) {
						t.Errorf("%s %s %s: %v", method, path, body, got.json["detail"])
					}
				}
			}
		}
	}
	if routes < 9 {
		t.Errorf("looked at %d routes", routes)
	}
	for _, body := range []string{`{"outcomes":[{"token":"a","Status":"failed"}],"max":0}`, `{"outcomes":[{"token":"a","status":"failed","error":{"code":"a","code":"b"}}],"max":0}`,
		`{"outcomes":[{"token":"a","status":"completed","objects":{"k":1,"k":2}}],"max":0}`} {
		s.want(400, "invalid_request", "POST", "/v1/workers/"+w+"/poll", body)
	}
	// A payload's own keys are the caller's business.
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"input_data":{"A":1,"a":2,"a":3}}`)
}

func mapOf(v any) map[string]any { m, _ := v.(map[string]any); return m }

// held opens a connection to the site, sends a request and reads nothing.
func (s *site) held(request string, body ...string) net.Conn {
	s.t.Helper()
	host := strings.TrimPrefix(s.url, "http://")
	c, err := net.Dial("tcp", host)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: %s\r\n%s", request, host, strings.Join(body, ""))
	return c
}

// with is the same engine behind another server.
func (s *site) with(o api.Options) *site {
	h := api.New(s.eng, o)
	srv := httptest.NewServer(h)
	s.t.Cleanup(func() { h.Stop(); srv.Close() })
	return &site{t: s.t, eng: s.eng, api: h, srv: srv, url: srv.URL}
}

// Every request counts among those under way, a start too, but for the time in which it only waits.
func TestRequestsUnderWayAreBounded(t *testing.T) {
	s := open(t, engine.Options{}).with(api.Options{InFlight: 4})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"stop"}}]}`)
	s.want(201, "", "PUT", "/v1/workflows/task", oneTask)
	s.start("w", "r")
	w := s.join(`"h"`, "")
	s.held("POST /v1/workflows/w/runs", "Prefer: wait=60\r\nContent-Length: 0\r\n\r\n")
	s.held("GET /v1/runs/r", "Prefer: wait=60\r\n\r\n")
	s.held("GET /v1/events", "Accept: text/event-stream\r\n\r\n")
	s.held("POST /v1/workers/"+w+"/poll", "Content-Length: 36\r\n\r\n", `{"seq":1,"max":1,"wait_ms":  30000}`+" ")
	until(t, func() bool { return strings.Contains(s.send("GET", "/v1/workers", "").text, `"waiting":true`) })
	for range 20 { // those that wait are in nobody's way
		s.want(200, "", "GET", "/v1/runs", "")
	}
	for _, request := range []string{"POST /v1/workflows/w/runs", "GET /v1/runs/r", "POST /v1/workers/" + w + "/poll"} {
		method, path, _ := strings.Cut(request, " ")
		body := ""
		if strings.HasSuffix(path, "/poll") {
			body = `{"max":0,"outcomes":[{"token":"nobody's","status":"completed"}]}`
		}
		until(t, func() bool { // of many at once some are too many
			busy := make(chan bool, 64)
			for range cap(busy) {
				go func() {
					got := s.send(method, path, body)
					busy <- got.StatusCode == 503 && got.json["code"] == "busy" && got.Header.Get("Retry-After") != ""
				}()
			}
			some := false
			for range cap(busy) {
				some = <-busy || some
			}
			return some
		})
	}
	s.want(201, "", "POST", "/v1/workflows/w/runs", "")
}

// The bodies of all requests together have a budget. What does not fit is refused, and small requests go on.
func TestBodiesUnderWayHaveABudget(t *testing.T) {
	// The lease is long, for a slow machine takes its time with such bodies, and the worker is silent.
	s := open(t, engine.Options{Lease: 10 * time.Minute}).with(api.Options{MaxBodies: 1}) // one body of the largest kind: 32 MiB
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w := s.join(`"h"`, "")
	poll := "POST /v1/workers/" + w + "/poll"
	half := s.held(poll, "Content-Length: 33000000\r\n\r\n", strings.Repeat(" ", 17<<20))
	large := strings.Repeat(" ", 20<<20)
	until(t, func() bool { return s.send("POST", strings.TrimPrefix(poll, "POST "), large+"{}").StatusCode == 503 })
	got := s.want(503, "busy", "POST", strings.TrimPrefix(poll, "POST "), large+"{}")
	if got.Header.Get("Retry-After") == "" || !strings.Contains(got.json["detail"].(string), "33554432") {
		t.Errorf("%v %v", got.Header, got.json)
	}
	s.start("w", "r")
	half.Close()
	until(t, func() bool {
		return s.send("POST", strings.TrimPrefix(poll, "POST "), large+`{"max":0}`).StatusCode == 204
	})
	for range 5 { // what was held is given back
		s.want(204, "", "POST", strings.TrimPrefix(poll, "POST "), large+`{"max":0}`)
		s.want(404, "worker_not_found", "POST", "/v1/workers/nobody/poll", large+`{"max":0}`)
	}
	// A stranger is told so before the body has come.
	for _, path := range []string{"nobody/poll", "nobody/heartbeat", "push:web/poll"} {
		c := s.held("POST /v1/workers/"+path, "Content-Length: 30000000\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "404") {
			t.Errorf("%s: %q %v", path, line, err)
		}
	}
}

// A preference that is not understood is passed over, as RFC 7240 wants.
func TestAPreferenceThatIsNotUnderstood(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	for _, prefer := range []string{"wait=abc", "wait=-1", "wait=", "respond-async, wait=1.5"} {
		got := s.want(201, "", "POST", "/v1/workflows/w/runs", "", "Prefer", prefer)
		if got.Header.Get("Preference-Applied") != "" {
			t.Errorf("%s: %s", prefer, got.Header.Get("Preference-Applied"))
		}
	}
}
