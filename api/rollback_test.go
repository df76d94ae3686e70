package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// logged is a log that may be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A release is rolled back: its worker publishes a version that is not current. The worker's log and the daemon's say so, and
// with Publish: "current" the version becomes current.
func TestAWorkerThatPublishesAnotherVersionSaysSo(t *testing.T) {
	s := open(t, engine.Options{})
	var daemon logged
	s.srv.Config.Handler = api.New(s.eng, api.Options{Logger: slog.New(slog.NewTextHandler(&daemon, nil))})
	older := flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "a")}}
	newer := flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "a"), flow.Task("b", "svc", "b", flow.After("a"))}}
	for _, def := range []flow.Definition{older, newer} {
		if err := s.eng.Register("rel", def); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// serve runs a worker of the older release until a run of a workflow of its own has ended.
	serve := func(publish, run string) string {
		t.Helper()
		var own logged
		w := client.NewWorker(c, "svc", client.WorkerOptions{Publish: publish, Version: "1", Logger: slog.New(slog.NewTextHandler(&own, nil))})
		client.HandleRaw(w, "a", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
		w.Publish("rel", older)
		if err := s.eng.Register("probe", flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "a")}}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		s.start("probe", run)
		if _, err := c.Wait(t.Context(), run); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		return own.String()
	}
	const want = `version 1 of workflow rel, and new runs get version 2, which is current; \"agnt5d workflows use rel 1\" makes`
	own := serve("", "r1")
	for who, log := range map[string]string{"the worker": own, "the daemon": daemon.String()} {
		if !strings.Contains(log, "level=WARN") || !strings.Contains(log, want) {
			t.Errorf("%s says nothing of the version:\n%s", who, log)
		}
	}
	if v, err := s.eng.Workflow(t.Context(), "rel", 0); err != nil || v.Version != 2 {
		t.Errorf("%+v %v", v, err)
	}
	if own := serve("current", "r2"); strings.Contains(own, "WARN") {
		t.Errorf("nothing is wrong, and the worker says\n%s", own)
	}
	if v, err := s.eng.Workflow(t.Context(), "rel", 0); err != nil || v.Version != 1 || v.Versions != 2 {
		t.Errorf("%+v %v", v, err)
	}
}

// The registration's answer names what is not current. A session that comes back does not undo what was made current meanwhile.
func TestARegistrationSaysWhatIsNotCurrent(t *testing.T) {
	s := open(t, engine.Options{})
	one, two := `{"steps":[{"name":"a","service_name":"svc","handler_name":"a"}]}`, `{"steps":[{"name":"b","service_name":"svc","handler_name":"a"}]}`
	s.want(201, "", "PUT", "/v1/workflows/w", one)
	s.want(201, "", "PUT", "/v1/workflows/w", two)
	join := func(def, more string) string {
		t.Helper()
		r := s.want(201, "", "POST", "/v1/workers", `{"service_name":"svc","handlers":["a"],"capacity":1,"workflows":{"w":`+def+`}`+more+`}`)
		others, _ := json.Marshal(r.json["not_current"])
		return string(others)
	}
	const behind = `[{"current":2,"version":1,"workflow":"w"}]`
	for _, c := range []struct{ def, more, want string }{
		{one, "", behind},
		{two, "", "null"},
		{one, `,"publish":"current","worker_id":"gone"`, behind},
		{one, `,"publish":"current"`, "null"},
		{two, "", `[{"current":1,"version":2,"workflow":"w"}]`},
	} {
		if got := join(c.def, c.more); got != c.want {
			t.Errorf("%s %s: not_current is %s, want %s", c.def, c.more, got, c.want)
		}
	}
	r := s.want(400, "invalid_request", "POST", "/v1/workers", `{"service_name":"svc","handlers":["a"],"capacity":1,"publish":"newest"}`)
	if !strings.Contains(r.text, "publish") {
		t.Error(r.text)
	}
}
