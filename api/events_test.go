package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// done makes the engine run every step in process, at once.
func (s *site) done(handler string) {
	s.t.Helper()
	if err := engine.HandleRaw(s.eng, "svc", handler, func(context.Context, *worker.Task) (json.RawMessage, error) {
		return json.RawMessage("{\n\"a\":\n1}"), nil
	}); err != nil {
		s.t.Fatal(err)
	}
}

type stream struct {
	resp *http.Response
	in   *bufio.Scanner
}

func (s *site) stream(path string, header ...string) *stream {
	s.t.Helper()
	req, _ := http.NewRequestWithContext(s.t.Context(), "GET", s.url+path, nil)
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return &stream{resp, bufio.NewScanner(resp.Body)}
}

// next gives the fields of the next event; nil at the end of the stream.
func (st *stream) next() map[string]string {
	got := map[string]string{}
	for st.in.Scan() {
		line := st.in.Text()
		if line == "" && got["id"] != "" {
			return got
		}
		if name, value, ok := strings.Cut(line, ": "); ok && name != "" {
			got[name] += value
		}
	}
	return nil
}

func TestAnEventStreamGoesOnWhereItWas(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h"},{"name":"go","type":"wait_signal","dependencies":["a"],"signal":{"name":"go"}}]}`)
	s.start("w", "r")
	live := s.stream("/v1/runs/r/events?named=true")
	if ct := live.resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatal(ct)
	}
	var kinds, ids []string
	take := func(from *stream, until string) {
		t.Helper()
		for {
			e := from.next()
			if e == nil {
				t.Fatalf("the stream ended before %s: %v", until, kinds)
			}
			var full model.Event
			if err := json.Unmarshal([]byte(e["data"]), &full); err != nil || full.Seq == 0 || e["id"] == "" || full.Kind != e["event"] {
				t.Fatalf("%v: %v", e, err)
			}
			kinds, ids = append(kinds, e["event"]), append(ids, e["id"])
			if e["event"] == until {
				return
			}
		}
	}
	take(live, "StepScheduled")
	s.done("h")
	take(live, "SignalAwaited")
	live.resp.Body.Close()
	s.want(202, "", "POST", "/v1/runs/r/signals/go", `{}`)
	again := s.stream("/v1/runs/r/events?named=true", "Last-Event-ID", ids[len(ids)-1])
	take(again, "RunCompleted")
	if e := again.next(); e != nil {
		t.Errorf("after the end: %v", e)
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("event %s came twice", id)
		}
		seen[id] = true
	}
	r := s.want(200, "", "GET", "/v1/runs/r/events", "")
	if n := len(r.json["events"].([]any)); n != len(ids) {
		t.Errorf("%d events in the history, %d in the streams: %v", n, len(ids), kinds)
	}
	over := s.stream("/v1/runs/r/events", "Last-Event-ID", ids[len(ids)-1])
	if over.resp.StatusCode != http.StatusNoContent {
		t.Errorf("a browser would ask for ever: %s", over.resp.Status)
	}
	if plain := s.stream("/v1/runs/r/events").next(); plain["event"] != "" || !strings.Contains(plain["data"], `"kind":"RunStarted"`) || plain["id"] != ids[0] {
		t.Errorf("a browser does not hand this to onmessage: %v", plain)
	}
	numbered := s.want(200, "", "GET", "/v1/runs/r/events?limit=3", "") // a stream that a daemon of before gave went on by a number
	old := s.stream("/v1/runs/r/events", "Last-Event-ID", fmt.Sprint(numbered.json["next_after"]))
	if e := old.next(); e["id"] != ids[3] {
		t.Errorf("got %v, want %s", e, ids[3])
	}
	s.want(400, "invalid_request", "GET", "/v1/events", "", "Accept", "text/event-stream", "Last-Event-ID", "what is this")
	s.want(400, "invalid_request", "GET", "/v1/events?named=perhaps", "", "Accept", "text/event-stream")
}

// Pages and streams go on by the same cursor, of one run and of all; one that was made for another list is refused.
func TestEventsGoOnByTheirCursor(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	for i := range 4 {
		s.start("w", fmt.Sprint("r", i))
	}
	for _, path := range []string{"/v1/events", "/v1/runs/r1/events"} {
		var whole, pages []any
		whole = s.want(200, "", "GET", path+"?limit=1000", "").json["events"].([]any)
		query := ""
		for {
			r := s.want(200, "", "GET", path+"?limit=1"+query, "")
			page := r.json["events"].([]any)
			pages = append(pages, page...)
			query = "&cursor=" + r.json["next_cursor"].(string)
			if len(page) == 0 {
				break
			}
		}
		if len(whole) == 0 || !reflect.DeepEqual(whole, pages) {
			t.Errorf("%s: %d events at once, %d by pages", path, len(whole), len(pages))
		}
		first := s.stream(path).next()
		r := s.want(200, "", "GET", path+"?cursor="+first["id"], "")
		if got := r.json["events"].([]any); len(got) != len(whole)-1 {
			t.Errorf("%s: after the first event of a stream come %d of %d", path, len(got), len(whole))
		}
	}
	runs := s.want(200, "", "GET", "/v1/runs?limit=1", "").json["next_cursor"].(string)
	s.want(400, "invalid_request", "GET", "/v1/events?cursor="+runs, "")
	s.want(400, "invalid_request", "GET", "/v1/objects?cursor="+runs, "")
	s.want(400, "invalid_request", "GET", "/v1/events?after=1&cursor="+s.want(200, "", "GET", "/v1/events", "").json["next_cursor"].(string), "")
}

// Readers of a stream who take nothing do not delay a commit.
func TestASlowReaderDelaysNobody(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.done("h")
	addr := strings.TrimPrefix(s.url, "http://")
	for range 20 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.(*net.TCPConn).SetReadBuffer(1024); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /v1/events HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", addr)
	}
	big := strings.Repeat("x", 10_000)
	for i := range 300 { // more than every buffer in between holds
		id := fmt.Sprint("r", i)
		if _, err := s.eng.Start(t.Context(), "w", big, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
		if st, err := s.eng.Wait(t.Context(), id); err != nil || st.State != "completed" {
			t.Fatalf("%+v %v", st, err)
		}
	}
}

func TestFollowSurvivesARestartOfTheServer(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"go","type":"wait_signal","signal":{"name":"go"}},{"name":"a","service_name":"svc","handler_name":"h","dependencies":["go"]}]}`)
	s.done("h")
	c, err := client.New(s.url, client.Options{Patience: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Start(t.Context(), "w", nil, client.StartOptions{ID: "r"}); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	waits := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- c.Follow(t.Context(), "r", 0, func(e model.Event) error {
			if kinds = append(kinds, e.Kind); e.Kind == "SignalAwaited" {
				close(waits)
			}
			return nil
		})
	}()
	<-waits
	s.srv.CloseClientConnections()
	if got, err := c.Signal(t.Context(), "r", "go", json.RawMessage(`[ 1 ]`), ""); err != nil || got.ConsumedBy != "go" {
		t.Fatalf("%+v %v", got, err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(kinds, " "); got != "RunStarted SignalAwaited SignalReceived StepCompleted StepScheduled AttemptStarted StepCompleted RunCompleted" &&
		got != "RunStarted SignalAwaited SignalReceived StepCompleted StepScheduled StepCompleted RunCompleted" {
		t.Errorf("got %s", got)
	}
	events, _, err := c.Events(t.Context(), "r", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == "SignalReceived" && string(e.Data["payload"].(json.RawMessage)) != "[ 1 ]" {
			t.Errorf("the payload is %s", e.Data["payload"])
		}
	}
}

func TestTheClientSaysWhatIsWrong(t *testing.T) {
	if _, err := client.New("ftp://localhost:8080", client.Options{}); err == nil || !strings.Contains(err.Error(), "http://") {
		t.Errorf("got %v", err)
	}
	s := open(t, engine.Options{})
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p *model.Problem
	if _, err := c.Status(t.Context(), "nope", ""); !errors.As(err, &p) || p.Code != "run_not_found" || p.Status != 404 {
		t.Errorf("got %v", err)
	}
	if _, _, err := c.Register(t.Context(), "w", []byte(`{"steps":[]}`)); !errors.As(err, &p) || len(p.Errors) != 1 || p.Errors[0].Code != "no_steps" {
		t.Errorf("got %v", err)
	}
	text := "steps:\n  - name: a\n    service: s\n    handler_name: h\n"
	want := model.Fault{Code: "unknown_key", Step: "a", Detail: `the step has an unknown key "service"; did you mean "service_name"?`, Line: 3, Column: 5}
	if _, _, err := c.Register(t.Context(), "w", []byte(text)); !errors.As(err, &p) || !slices.Contains(p.Errors, want) {
		t.Errorf("a misspelt key: %v", err)
	}
	s.srv.Close()
	var gone *client.Unreachable
	if _, err := c.Workers(t.Context()); !errors.As(err, &gone) {
		t.Errorf("got %v", err)
	}
}
