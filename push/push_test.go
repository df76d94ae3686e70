package push_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/push"
)

type site struct {
	t    *testing.T
	path string
	eng  *engine.Engine
	m    *push.Manager
}

func open(t *testing.T) *site {
	s := &site{t: t, path: filepath.Join(t.TempDir(), "runs.db")}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *site) start() {
	var err error
	if s.eng, err = engine.Open(s.path, engine.Options{}); err != nil {
		s.t.Fatal(err)
	}
	if s.m, err = push.Start(s.eng, push.Options{MaxOutput: 1000}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // at once: what is under way is given back
	s.m.Stop(ctx)
	if err := s.eng.Close(); err != nil {
		s.t.Error(err)
	}
}

// run starts a run of one step of the service, and waits for its end.
func (s *site) run(id, handler string, opts ...flow.StepOption) *engine.Status {
	s.t.Helper()
	opts = append(opts, flow.WithRetry(flow.Retry{MaxAttempts: 3, InitialIntervalMS: 1}))
	if err := s.eng.Register("w-"+handler, flow.Definition{Steps: []flow.Step{flow.Task("a", "web", handler, opts...)}}); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.eng.Start(s.t.Context(), "w-"+handler, json.RawMessage(`{"n": 1}`), engine.WithID(id)); err != nil {
		s.t.Fatal(err)
	}
	st, err := s.eng.Wait(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

func (s *site) put(url string, handlers ...string) push.Service {
	s.t.Helper()
	got, _, err := s.m.Put(s.t.Context(), push.Service{Name: "web", URL: url, Handlers: handlers, TimeoutMS: 2000})
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func TestWhatAServiceAnswersBecomesTheOutcome(t *testing.T) {
	var secret atomic.Value
	var attempts atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := attempts.Add(1)
		switch strings.TrimPrefix(r.URL.Path, "/tasks/") {
		case "good":
			var task map[string]any
			at, sum, _ := strings.Cut(strings.TrimPrefix(r.Header.Get(push.SignatureHeader), "t="), ",v1=")
			mac := hmac.New(sha256.New, []byte(secret.Load().(string)))
			fmt.Fprintf(mac, "%s.%s", at, body)
			if err := json.Unmarshal(body, &task); err != nil || hex.EncodeToString(mac.Sum(nil)) != sum || task["workflow_id"] != "good" ||
				r.Header.Get("Idempotency-Key") != "good/a" || task["token"] != nil || !strings.Contains(string(body), `{"n": 1}`) {
				http.Error(w, "not as it should be: "+string(body), 400)
				return
			}
			fmt.Fprint(w, `{ "receipt" : 17 }`)
		case "empty":
			w.WriteHeader(204)
		case "object":
			w.Header().Set("Content-Type", push.OutcomeType)
			fmt.Fprint(w, `{"output": [1], "objects": {"k": {"v": 2}}}`)
		case "flaky":
			if n < 3 {
				w.Header().Set("Retry-After", "0")
				http.Error(w, "not yet", http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, n)
		case "down":
			http.Error(w, "broken", 500)
		case "bad":
			http.Error(w, "the amount is negative", http.StatusUnprocessableEntity)
		case "moved":
			http.Redirect(w, r, "/tasks/good", http.StatusFound)
		case "text":
			fmt.Fprint(w, "hello")
		case "large":
			fmt.Fprintf(w, "%q", strings.Repeat("x", 5000))
		case "slow":
			<-r.Context().Done()
		}
	}))
	defer web.Close()
	s := open(t)
	made := s.put(web.URL+"/tasks/", "good", "empty", "object", "flaky", "down", "bad", "moved", "text", "large", "slow")
	if made.Secret == "" {
		t.Fatal("no secret was given out")
	}
	secret.Store(made.Secret)
	if again := s.put(web.URL+"/tasks", made.Handlers...); again.Secret != "" {
		t.Error("the secret was given out again")
	}
	for id, want := range map[string]struct {
		state, output, code, says string
		attempts                  uint32
	}{
		"good":   {"completed", `{ "receipt" : 17 }`, "", "", 1},
		"empty":  {"completed", `null`, "", "", 1},
		"object": {"completed", `[1]`, "", "", 1},
		"flaky":  {"completed", `3`, "", "", 3},
		"down":   {"failed", "", "push_status", "broken", 3},
		"bad":    {"failed", "", "push_status", "the amount is negative", 1},
		"moved":  {"failed", "", "push_status", "302", 1},
		"text":   {"failed", "", "outcome_invalid", "output", 1},
		"large":  {"failed", "", "push_answer", "1000", 1},
	} {
		attempts.Store(0)
		var opts []flow.StepOption
		if id == "object" {
			opts = append(opts, flow.Keys("k"))
		}
		st := s.run(id, id, opts...)
		a := st.Steps["a"]
		if st.State != want.state || string(a.Output) != want.output || a.Attempt != want.attempts {
			t.Errorf("%s: %s %s after %d attempts: %+v", id, st.State, a.Output, a.Attempt, st.Error)
		}
		if want.code != "" && (st.Error.Code != want.code || !strings.Contains(st.Error.Message, want.says)) {
			t.Errorf("%s: %+v", id, st.Error)
		}
	}
	if o, err := s.eng.Object(t.Context(), "k"); err != nil || string(o.State) != `{"v": 2}` {
		t.Errorf("object: %+v %v", o, err)
	}
	if _, _, err := s.m.Put(t.Context(), push.Service{Name: "web", URL: web.URL + "/tasks", Handlers: []string{"slow"}, TimeoutMS: 50}); err != nil {
		t.Fatal(err)
	}
	if st := s.run("slow", "slow"); st.Error == nil || st.Error.Code != "push_timeout" || st.Steps["a"].Attempt != 3 {
		t.Errorf("slow: %+v", st)
	}
}

// A name that leads to an address in the network is refused when it is dialled, whatever it led to before.
func TestOnlyLoopbackIsDialled(t *testing.T) {
	s := open(t)
	away := push.Service{Name: "web", URL: "http://192.0.2.1:9/tasks", Handlers: []string{"h"}}
	if _, _, err := s.m.Put(t.Context(), away); err == nil || !strings.Contains(err.Error(), "--push-allow") {
		t.Errorf("put: %v", err)
	}
	wide, err := push.Start(s.eng, push.Options{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := wide.Put(t.Context(), away); err != nil {
		t.Fatal(err)
	}
	wide.Stop(t.Context())
	narrow, err := push.Start(s.eng, push.Options{}) // the daemon comes back without its allow-list
	if err != nil {
		t.Fatal(err)
	}
	defer narrow.Stop(t.Context())
	st := s.run("r", "h")
	if st.State != "failed" || st.Error.Code != "push_address" || !strings.Contains(st.Error.Message, "192.0.2.1") {
		t.Errorf("got %+v", st.Error)
	}
}

// A service outlives the daemon, and a request that was under way is made again at once: nobody waits for its lease.
func TestAServiceAndItsTaskSurviveARestart(t *testing.T) {
	var calls atomic.Int64
	arrived := make(chan struct{}, 10)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		if calls.Add(1) == 1 {
			<-r.Context().Done() // the daemon is gone
			return
		}
		fmt.Fprint(w, `"second"`)
	}))
	defer web.Close()
	s := open(t)
	s.put(web.URL, "h")
	if err := s.eng.Register("w", flow.Definition{Steps: []flow.Step{flow.Task("a", "web", "h")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.eng.Start(t.Context(), "w", nil, engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	<-arrived
	s.stop()
	s.start()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // less than a lease
	defer cancel()
	st, err := s.eng.Wait(ctx, "r")
	if err != nil || st.State != "completed" || string(st.Steps["a"].Output) != `"second"` {
		t.Errorf("%+v %v", st, err)
	}
	if err := s.m.Delete(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.m.Get("web"); err == nil {
		t.Error("it is still there")
	}
	if all := s.m.List(); len(all) != 0 {
		t.Errorf("got %v", all)
	}
}

func TestBadServicesAreNamed(t *testing.T) {
	s := open(t)
	good := push.Service{Name: "web", URL: "http://127.0.0.1:1/x", Handlers: []string{"h"}}
	for name, change := range map[string]func(*push.Service){
		"name": func(s *push.Service) { s.Name = "a b" }, "url": func(s *push.Service) { s.URL = "127.0.0.1:1" }, "query": func(s *push.Service) { s.URL += "?a=1" },
		"at least one": func(s *push.Service) { s.Handlers = nil }, "twice": func(s *push.Service) { s.Handlers = []string{"h", "h"} },
		"capacity": func(s *push.Service) { s.Capacity = -1 }, "timeout_ms": func(s *push.Service) { s.TimeoutMS = -5 },
	} {
		bad := good
		change(&bad)
		if _, _, err := s.m.Put(t.Context(), bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
