package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/worker"
)

var recordSessions = flag.Bool("record-sessions", false, "record what today's workers say to today's daemon in testdata/sessions")

// exchanged is one request of a worker and its answer, byte for byte.
type exchanged struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Type   string `json:"content_type,omitempty"`
	Accept string `json:"accept,omitempty"`
	Body   []byte `json:"body,omitempty"`
	Status int    `json:"status"` // 0: the worker did not wait for the answer
	Media  string `json:"answer_type,omitempty"`
	Answer []byte `json:"answer,omitempty"`
}

// sessionFlow asks a worker for an output, a second attempt, the state of an object, a heartbeat and a failure for good.
const sessionFlow = `steps:
  - {name: echo, service_name: svc, handler_name: echo, input_data: {n: 12345678901234567890}}
  - {name: again, service_name: svc, handler_name: again, dependencies: [echo], retry: {max_attempts: 2, initial_interval: 300ms}}
  - {name: count, service_name: svc, handler_name: count, object_keys: [acct/1], dependencies: [again]}
  - {name: slow, service_name: svc, handler_name: slow, dependencies: [count]}
  - {name: fails, service_name: svc, handler_name: fails, dependencies: [slow], on_failure: mended}
  - {name: mended, service_name: svc, handler_name: echo}
`

const pythonWorker = `
import logging, time
from agnt5 import *

@function
def echo(ctx):
    ctx.logger.info("echo %s", ctx.step_name)
    return {"step": ctx.step_name, "of": sorted(ctx.dependencies)}

@function
def again(ctx):
    if ctx.attempt == 1:
        raise ValueError("not yet")
    return "\u00e9"

@function
def count(ctx):
    ctx.objects["acct/1"] = {"n": 1}
    return None

@function
def slow(ctx):
    time.sleep(1)
    return 1.5

@function
def fails(ctx):
    raise NonRetryableError("never")

Worker("svc", capacity=1).run_sync()
`

func sessionHandlers() map[string]worker.Func {
	return map[string]worker.Func{
		"echo": func(ctx context.Context, t *worker.Task) (json.RawMessage, error) {
			worker.Log(ctx).Info("echo", "step", t.Step)
			return json.Marshal(map[string]any{"step": t.Step})
		},
		"again": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
			if t.Attempt == 1 {
				return nil, errors.New("not yet")
			}
			return json.RawMessage(`"\u00e9"`), nil
		},
		"count": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
			return nil, t.SetObject("acct/1", map[string]int{"n": 1})
		},
		"slow": func(context.Context, *worker.Task) (json.RawMessage, error) {
			time.Sleep(time.Second) // longer than between two heartbeats
			return json.RawMessage("1.5"), nil
		},
		"fails": func(context.Context, *worker.Task) (json.RawMessage, error) {
			no := false
			return nil, &worker.Error{Code: "not_retryable", Message: "never", Retryable: &no}
		},
	}
}

// sessionDaemon is a daemon with the one run that a session is about.
func sessionDaemon(t *testing.T) *daemon {
	d := startDaemon(t, t.TempDir(), "--lease", "1s")
	d.say(t, 0, "", "register", "session", fileIn(t, d.dir, "session.yaml", sessionFlow))
	d.say(t, 0, "", "start", "session", "--id", "s1")
	return d
}

// recorder passes on what a worker says, and writes it down.
type recorder struct {
	to   string
	mu   sync.Mutex
	said []*exchanged
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	e := &exchanged{Method: req.Method, Path: req.URL.RequestURI(), Type: req.Header.Get("Content-Type"), Accept: req.Header.Get("Accept"), Body: body}
	r.mu.Lock()
	r.said = append(r.said, e)
	r.mu.Unlock()
	on, _ := http.NewRequestWithContext(req.Context(), req.Method, r.to+e.Path, bytes.NewReader(body))
	on.Header = req.Header.Clone()
	resp, err := http.DefaultTransport.RoundTrip(on)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	r.mu.Lock()
	e.Status, e.Media, e.Answer = resp.StatusCode, resp.Header.Get("Content-Type"), answer
	r.mu.Unlock()
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
}

func recordSession(t *testing.T, name, path string) {
	d := sessionDaemon(t)
	r := &recorder{to: d.url}
	proxy := httptest.NewServer(r)
	defer proxy.Close()
	if name == "go" {
		c, err := client.New(proxy.URL, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := client.NewWorker(c, "svc", client.WorkerOptions{Capacity: 1})
		for name, fn := range sessionHandlers() {
			client.HandleRaw(w, name, fn)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		d.say(t, 0, "completed", "wait", "s1")
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	} else {
		cmd := exec.Command("python3", "-")
		cmd.Stdin, cmd.Stderr = strings.NewReader(pythonWorker), os.Stderr
		cmd.Env = append(os.Environ(), "AGNT5_URL="+proxy.URL) // PYTHONPATH says where the SDK is
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, "completed", "wait", "s1")
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	var out bytes.Buffer
	for _, e := range r.said {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(b, '\n'))
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What workers of earlier releases said, byte for byte, is said to this daemon: it gives them the same tasks, takes what they bring, and the run
// ends as it did. Their session and their lease tokens are those of now, put in the place of those that were recorded.
func TestRecordedWorkersAreServed(t *testing.T) {
	for _, name := range []string{"go", "python"} {
		path := filepath.Join("../../testdata/sessions", name+".jsonl")
		if *recordSessions {
			recordSession(t, name, path)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		d := sessionDaemon(t)
		r := &resaid{t: t, d: d, now: map[string]string{}}
		lines := bufio.NewScanner(f)
		for lines.Buffer(nil, 1<<20); lines.Scan(); {
			var e exchanged
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			r.say(name, &e)
		}
		d.say(t, 0, "completed", "wait", "s1")
		if r.tasks != 7 || r.beats == 0 {
			t.Errorf("%s: %d tasks were given, %d heartbeats answered", name, r.tasks, r.beats)
		}
		_, shown, _ := d.cli(t, "show", "s1", "-o", "json")
		for _, want := range []string{`"output":"\u00e9"`, `"output":1.5`, "never"} {
			if !strings.Contains(strings.ReplaceAll(shown, `": `, `":`), want) {
				t.Errorf("%s: no %s in %s", name, want, shown)
			}
		}
		d.say(t, 0, "acct/1", "objects")
		d.kill()
	}
}

type resaid struct {
	t            *testing.T
	d            *daemon
	now          map[string]string // recorded session and tokens -> those of now
	tasks, beats int
}

func (r *resaid) say(name string, e *exchanged) {
	t := r.t
	t.Helper()
	path, body := e.Path, e.Body
	for old, now := range r.now {
		path, body = strings.ReplaceAll(path, old, now), bytes.ReplaceAll(body, []byte(old), []byte(now))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if e.Status == 0 { // it went away while it waited; what it brought is taken all the same
		go func() { _, _ = r.d.client(t).Wait(ctx, "s1"); stop() }()
	}
	req, err := http.NewRequestWithContext(ctx, e.Method, r.d.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", e.Type)
	req.Header.Set("Accept", e.Accept)
	resp, err := http.DefaultClient.Do(req)
	if e.Status == 0 && err != nil {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil && e.Status != 0 {
		t.Fatal(err)
	}
	if e.Status != 0 && resp.StatusCode != e.Status {
		t.Fatalf("%s: %s %s is answered %d, was %d: %s", name, e.Method, e.Path, resp.StatusCode, e.Status, answer)
	}
	if e.Status != http.StatusOK && e.Status != http.StatusCreated {
		return
	}
	media := e.Accept
	if media != wire.Msgpack {
		media = "application/json"
	}
	switch {
	case strings.HasSuffix(e.Path, "/workers"):
		was, is := decoded[wire.Registered](t, media, e.Answer), decoded[wire.Registered](t, media, answer)
		r.now[was.WorkerID] = is.WorkerID
		was.WorkerID = is.WorkerID
		r.same(name, was, is)
	case strings.HasSuffix(e.Path, "/poll"):
		was, is := decoded[wire.Polled](t, media, e.Answer), decoded[wire.Polled](t, media, answer)
		for len(is.Tasks) < len(was.Tasks) && len(is.Results) == len(was.Results) && len(was.Results) > 0 { // what follows an outcome may come a moment later
			resp, said := exchange(t, "POST", r.d.url+path, `{"max":1,"wait_ms":5000}`, "Content-Type", "application/json")
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d: %s", name, resp.StatusCode, said)
			}
			more := decoded[wire.Polled](t, "application/json", []byte(said)).Tasks
			if is.Tasks = append(is.Tasks, more...); len(more) == 0 {
				break
			}
		}
		if len(was.Tasks) != len(is.Tasks) {
			t.Fatalf("%s: %d tasks, were %d: %s", name, len(is.Tasks), len(was.Tasks), answer)
		}
		for i := range is.Tasks {
			r.tasks++
			r.now[was.Tasks[i].Token] = is.Tasks[i].Token
			for _, one := range []*worker.Task{was.Tasks[i], is.Tasks[i]} {
				one.Token, one.LeaseExpiresAt, one.TraceParent = "", "", ""
				for key, o := range one.Objects { // a fence is the number of an event
					o.Fence = 0
					one.Objects[key] = o
				}
			}
		}
		for _, one := range []*wire.Polled{was, is} {
			for i := range one.Results {
				one.Results[i].Token = ""
			}
		}
		r.same(name, was, is)
	case strings.HasSuffix(e.Path, "/heartbeat"):
		r.beats++
		r.same(name, decoded[wire.Beaten](t, media, e.Answer), decoded[wire.Beaten](t, media, answer))
	}
}

func decoded[T any](t *testing.T, media string, b []byte) *T {
	t.Helper()
	var v T
	if err := wire.Decode(b, media, &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

// same wants all that was in an answer in that of now, which may say more.
func (r *resaid) same(name string, was, is any) {
	r.t.Helper()
	a, b := generic(r.t, was), generic(r.t, is)
	if !covers(a, b) {
		r.t.Errorf("%s: the answer is %v, was %v", name, b, a)
	}
}

func generic(t *testing.T, v any) (out any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func covers(was, is any) bool {
	switch was := was.(type) {
	case map[string]any:
		is, ok := is.(map[string]any)
		for key := range was {
			ok = ok && covers(was[key], is[key])
		}
		return ok
	case []any:
		is, ok := is.([]any)
		ok = ok && len(was) == len(is)
		for i := 0; ok && i < len(was); i++ {
			ok = covers(was[i], is[i])
		}
		return ok
	}
	return was == is
}
