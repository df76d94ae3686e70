package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/worker"
)

// What cannot be understood must not count as not said: "cancel these" would become "cancel everything".
func TestAFilterThatCannotBeReadIsAnError(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.start("w", "r")
	for _, query := range []string{"workflow=a;b", "id_prefix=50%", "workflow=%zz", "state=failed;limit=2", "workflow=", "state=", "workflow=w&workflow=x", "flow=w"} {
		for _, path := range []string{"/v1/runs/cancel?", "/v1/runs/retry?"} {
			s.want(400, "invalid_request", "POST", path+query, "")
		}
	}
	if st := s.state("r"); st["state"] != "running" {
		t.Errorf("the run is %v", st["state"])
	}
	for _, bad := range [][2]string{{"PUT", "/v1/workflows/x?dry_run=true"}, {"POST", "/v1/workflows/w/runs?x=1"}, {"POST", "/v1/runs/r/signals/go?x=1"}, {"POST", "/v1/runs/r/cancel?reason=x"},
		{"POST", "/v1/runs/r/retry?x"}, {"DELETE", "/v1/runs/r?x=1"}, {"GET", "/v1/objects?x=1"}, {"GET", "/v1/workers?x=1"}, {"GET", "/v1/services?x=1"}, {"GET", "/v1/runs?x=1"}, {"GET", "/v1/workflows?x=1"}} {
		s.want(400, "invalid_request", bad[0], bad[1], "")
	}
	s.want(404, "workflow_not_found", "GET", "/v1/workflows/x", "")
}

// Clients that announce a body and do not send it hold connections, and nothing that others need.
func TestSendersThatStopHoldNoSlot(t *testing.T) {
	s := open(t, engine.Options{})
	few := httptest.NewServer(api.New(s.eng, api.Options{InFlight: 8}))
	defer few.Close()
	addr := few.Listener.Addr().String()
	for i := range 60 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		what := []string{"GET /metrics", "POST /v1/workers/w/heartbeat", "POST /v1/runs/r/signals/go", "GET /v1/nothing"}[i%4]
		fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n{", what, addr)
	}
	s.url = few.URL
	for range 20 {
		s.want(200, "", "GET", "/v1/runs", "")
	}
	s.want(400, "invalid_request", "GET", "/metrics", "x")
	s.want(400, "invalid_request", "DELETE", "/v1/runs/r", "x")
}

// An answer for which no body is needed does not wait for one, on a daemon at work and on a node that waits.
func TestAnEarlyAnswerWaitsForNoBody(t *testing.T) {
	s := open(t, engine.Options{})
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	full, waits := httptest.NewServer(api.New(s.eng, api.Options{Page: page})), httptest.NewServer(api.NewStandby("127.0.0.1:1", nil))
	defer full.Close()
	defer waits.Close()
	for what, c := range map[string]struct {
		to      *httptest.Server
		request string
		status  string
	}{
		"another host":   {full, "POST /v1/runs HTTP/1.1\r\nHost: evil.example\r\n", "421"},
		"the page":       {full, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n", "200"},
		"a waiting node": {waits, "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\n", "503"},
	} {
		conn, err := net.Dial("tcp", c.to.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "%sContent-Length: 10\r\n\r\n", c.request)
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 "+c.status) {
			t.Errorf("%s: %v, %.60s", what, err, got)
		}
	}
}

// One handler's outcome that no daemon takes, or heartbeats that say too much, cost the worker's other attempts nothing.
func TestOneHandlersFaultsAreItsOwn(t *testing.T) {
	s := open(t, engine.Options{Lease: 2 * time.Second})
	for _, h := range []string{"large", "over", "loud", "quiet"} {
		s.want(201, "", "PUT", "/v1/workflows/"+h, strings.ReplaceAll(oneTask, `"h"`, `"`+h+`"`))
	}
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := client.NewWorker(c, "svc", client.WorkerOptions{})
	text := func(n int) func(context.Context, *worker.Task) (json.RawMessage, error) {
		return func(context.Context, *worker.Task) (json.RawMessage, error) {
			return json.Marshal(strings.Repeat("x", n))
		}
	}
	client.HandleRaw(w, "large", text(33<<20))
	client.HandleRaw(w, "over", text(2<<20))
	told := make(chan error, 1)
	client.HandleRaw(w, "loud", func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
		told <- t.Heartbeat(strings.Repeat("x", 5000))
		return nil, nil
	})
	release := make(chan struct{})
	client.HandleRaw(w, "quiet", func(context.Context, *worker.Task) (json.RawMessage, error) {
		<-release
		return json.RawMessage(`1`), nil
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for _, h := range []string{"quiet", "large", "over", "loud"} {
		s.start(h, h)
	}
	if err := <-told; err == nil || !strings.Contains(err.Error(), "4096") {
		t.Errorf("the loud handler heard %v", err)
	}
	for h, code := range map[string]string{"large": "outcome_too_large", "over": "outcome_invalid"} {
		st, err := c.Wait(t.Context(), h)
		if err != nil || st.Error == nil || st.Error.Code != code {
			t.Errorf("%s: %+v %v", h, st, err)
		}
	}
	time.Sleep(2500 * time.Millisecond) // longer than a lease
	close(release)
	if st, err := c.Wait(t.Context(), "quiet"); err != nil || st.State != "completed" || st.Steps["a"].Attempt != 1 {
		t.Errorf("quiet: %+v %v", st, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Details that a daemon does not keep are passed over; the lease is renewed.
func TestBadDetailsRenewTheLease(t *testing.T) {
	s := open(t, engine.Options{Lease: 2 * time.Second})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w := s.join(`"h"`, "")
	s.start("w", "r")
	token := s.task(w, 1)["token"].(string)
	for range 4 {
		time.Sleep(700 * time.Millisecond)
		s.want(200, "", "POST", "/v1/workers/"+w+"/heartbeat", fmt.Sprintf(`{"tokens":[{"token":%q,"details":%q}]}`, token, strings.Repeat("x", 5000)))
	}
	if code := s.outcome(w, token, `"status":"completed"`); code != "recorded" {
		t.Errorf("got %s", code)
	}
}

// Polls that cross each other: each outcome has its own true result, and a task goes to the poll that waits for it.
func TestPollsThatCross(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w := s.join(`"h"`, "")
	poll := "/v1/workers/" + w + "/poll"
	seq := 1
	for i := range 30 {
		s.start("w", fmt.Sprint("r", i))
		token := s.task(w, seq)["token"].(string)
		answer := make(chan *reply, 1)
		go func(seq int) { // brings an outcome and waits for a task
			answer <- s.send("POST", poll, fmt.Sprintf(`{"seq":%d,"max":1,"wait_ms":20000,"outcomes":[{"token":%q,"status":"completed"}]}`, seq, token))
		}(seq + 1)
		s.send("POST", poll, fmt.Sprintf(`{"seq":%d,"max":1,"wait_ms":0}`, seq+2)) // takes its place
		if got := <-answer; !strings.Contains(got.text, `"code":"recorded"`) {
			t.Fatalf("round %d: %d %s", i, got.StatusCode, got.text)
		}
		seq += 3
	}
	// A late copy of an older poll takes no task from the one that waits.
	waiting := make(chan *reply, 1)
	go func() { waiting <- s.send("POST", poll, fmt.Sprintf(`{"seq":%d,"max":1,"wait_ms":20000}`, seq+1)) }()
	until(t, func() bool { return strings.Contains(s.send("GET", "/v1/workers", "").text, `"waiting":true`) })
	s.want(204, "", "POST", poll, fmt.Sprintf(`{"seq":%d,"max":1,"wait_ms":0}`, seq))
	s.start("w", "last")
	if got := <-waiting; !strings.Contains(got.text, `"workflow_id":"last"`) {
		t.Errorf("the poll that waits got %d %s", got.StatusCode, got.text)
	}
	// With outcomes a poll waits for nothing else, whatever becomes of them.
	began := make(chan struct{})
	go func() {
		s.want(200, "", "POST", poll, fmt.Sprintf(`{"seq":%d,"max":1,"wait_ms":600000,"outcomes":[{"token":"nonsense","status":"completed"}]}`, seq+2))
		close(began)
	}()
	select {
	case <-began:
	case <-time.After(20 * time.Second):
		t.Error("a poll with a bad token waits for tasks")
	}
}

// again is the same daemon after a restart; meanwhile is what others do with the file before it.
func (s *site) again(o engine.Options, meanwhile ...func(path string)) {
	s.t.Helper()
	path := s.eng.Path()
	s.api.Stop()
	s.srv.Close()
	if err := s.eng.Close(); err != nil {
		s.t.Fatal(err)
	}
	for _, fn := range meanwhile {
		fn(path)
	}
	eng, err := engine.Open(path, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { eng.Close() })
	s.eng, s.api = eng, api.New(eng, api.Options{})
	s.srv = httptest.NewServer(s.api)
	s.url = s.srv.URL
}

// Many outcomes of one run, sent again: each has its result, before and after a restart.
func TestOutcomesSentAgain(t *testing.T) {
	s := open(t, engine.Options{})
	var steps []string
	for i := range 300 {
		steps = append(steps, fmt.Sprintf(`{"name":"s%d","service_name":"svc","handler_name":"h"}`, i))
	}
	s.want(201, "", "PUT", "/v1/workflows/wide", `{"steps":[`+strings.Join(steps, ",")+`]}`)
	w := s.want(201, "", "POST", "/v1/workers", `{"service_name":"svc","handlers":["h"],"capacity":1000}`).json["worker_id"].(string)
	s.start("wide", "r")
	tasks := s.want(200, "", "POST", "/v1/workers/"+w+"/poll", `{"seq":1,"max":1000,"wait_ms":20000}`).json["tasks"].([]any)
	if len(tasks) != 300 {
		t.Fatalf("%d tasks", len(tasks))
	}
	bring := func(output func(i int) int) map[string]int {
		var all []string
		for i, task := range tasks {
			all = append(all, fmt.Sprintf(`{"token":%q,"status":"completed","output":%d}`, task.(map[string]any)["token"], output(i)))
		}
		codes := map[string]int{}
		for _, r := range s.want(200, "", "POST", "/v1/workers/"+w+"/poll", `{"max":0,"wait_ms":0,"outcomes":[`+strings.Join(all, ",")+`]}`).json["results"].([]any) {
			codes[r.(map[string]any)["code"].(string)]++
		}
		return codes
	}
	same := func(i int) int { return i }
	if got := bring(same); got["recorded"] != 300 {
		t.Errorf("first: %v", got)
	}
	for _, when := range []string{"again", "after a restart"} {
		if got := bring(same); got["duplicate"] != 300 {
			t.Errorf("%s: %v", when, got)
		}
		if got := bring(func(i int) int { return i - i%2 }); got["duplicate"] != 150 || got["conflict"] != 150 {
			t.Errorf("%s, half of them others: %v", when, got)
		}
		if when == "again" {
			s.again(engine.Options{})
			s.want(201, "", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":"svc","handlers":["h"],"capacity":1000,"worker_id":%q}`, w))
		}
	}
}

// A session names so many handlers, and what it leaves behind does not stand in the way of those that a definition names.
func TestHandlersOfAStranger(t *testing.T) {
	s := open(t, engine.Options{})
	names := func(n, from int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"h%d"`, from+i))
		}
		return strings.Join(all, ",")
	}
	s.want(400, "invalid_request", "POST", "/v1/workers", `{"service_name":"svc","handlers":[`+names(1001, 0)+`],"capacity":1}`)
	s.want(400, "invalid_request", "POST", "/v1/workers", `{"service_name":"svc","handlers":["a","a"],"capacity":1}`)
	s.want(400, "invalid_request", "POST", "/v1/workers", `{"service_name":"svc","service_version":"`+strings.Repeat("v", 300)+`","handlers":["a"],"capacity":1}`)
	for i := range 5 {
		w := s.join(names(1000, 1000*i), "")
		s.want(204, "", "DELETE", "/v1/workers/"+w, "")
	}
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.start("w", "r")
	w := s.join(`"h"`, "")
	if task := s.task(w, 1); task["workflow_id"] != "r" { // a handler that a definition names was kept, or made anew, and works
		t.Errorf("got %v", task)
	}
	s.want(404, "worker_not_found", "POST", "/v1/workers/push:web/poll", `{"max":0}`)
	s.want(404, "worker_not_found", "DELETE", "/v1/workers/push:web", "")
}

// A stream of one run: white space in payloads does not break it, and it ends when the run is deleted.
func TestAStreamOfOneRun(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}}]}`)
	s.want(201, "", "POST", "/v1/workflows/w/runs", "{\"workflow_id\":\"r\",\"input_data\":{\"a\":\r1,\r\n\"b\":\n2}}")
	st := s.stream("/v1/runs/r/events?named=true")
	first := st.next()
	var e map[string]any
	if err := json.Unmarshal([]byte(first["data"]), &e); err != nil || e["kind"] != "RunStarted" {
		t.Errorf("%q: %v", first["data"], err)
	}
	s.want(202, "", "POST", "/v1/runs/r/signals/go", "")
	for got := st.next(); got["event"] != "RunCompleted"; got = st.next() {
		if got == nil {
			t.Fatal("the stream ended before the run")
		}
	}
	other := s.stream("/v1/runs/r/events") // of a run that has ended, begun before it is deleted
	s.want(204, "", "DELETE", "/v1/runs/r", "")
	for other.next() != nil {
	}
	if head := s.send("HEAD", "/v1/events", "", "Accept", "text/event-stream"); head.StatusCode != 200 {
		t.Errorf("HEAD: %d", head.StatusCode)
	}
	s.want(200, "", "GET", "/v1/runs", "")
}

// There is one copy of the journal at a time, and nothing is left of it.
func TestOneCopyOfTheJournalAtATime(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	for i := range 60 {
		s.want(201, "", "POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":"r%d","input_data":%q}`, i, strings.Repeat("x", 500_000)))
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /v1/journal HTTP/1.1\r\nHost: %s\r\n\r\n", strings.TrimPrefix(s.url, "http://"))
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil { // it has begun, and is not read any further
		t.Fatal(err)
	}
	s.want(503, "busy", "GET", "/v1/journal", "")
	c.Close()
	until(t, func() bool {
		resp, err := http.Get(s.url + "/v1/journal")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == 200
	})
	dir := filepath.Dir(s.eng.Path())
	if err := os.WriteFile(filepath.Join(dir, ".copy-1"), nil, 0o600); err != nil { // of a daemon that was killed
		t.Fatal(err)
	}
	s.again(engine.Options{})
	if left, _ := filepath.Glob(filepath.Join(dir, ".copy-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
