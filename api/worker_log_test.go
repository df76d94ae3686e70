package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// The worker's own log says which handler failed, where, and whether it is tried again.
func TestAWorkersLogSaysWhatFails(t *testing.T) {
	s := open(t, engine.Options{})
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer // read when the worker has ended
	w := client.NewWorker(c, "svc", client.WorkerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	client.HandleRaw(w, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { panic("boom") })
	client.HandleRaw(w, "late", func(ctx context.Context, _ *worker.Task) (json.RawMessage, error) {
		<-ctx.Done()
		return nil, errors.Join(ctx.Err(), context.Cause(ctx))
	})
	for name, step := range map[string]flow.Step{
		"w":    flow.Task("a", "svc", "h", flow.WithRetry(flow.Retry{MaxAttempts: 2, InitialIntervalMS: 1})),
		"late": flow.Task("a", "svc", "late", flow.AttemptTimeout(30*time.Millisecond), flow.WithRetry(flow.Retry{MaxAttempts: 1})),
	} {
		def := flow.Definition{Steps: []flow.Step{step}}
		w.Publish(name, def) // so that the worker knows which attempt is the last
		if err := s.eng.Register(name, def); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for _, name := range []string{"w", "late"} {
		s.start(name, "run-"+name)
		if st, err := c.Wait(t.Context(), "run-"+name); err != nil || st.State != "failed" {
			t.Errorf("%+v %v", st, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		`level=WARN msg="a handler failed, and may be tried again" run=run-w step=a attempt=1 handler=h error="panic: boom" code=panic` + "\n",
		`level=WARN msg="a handler failed" run=run-w step=a attempt=2 handler=h error="panic: boom" code=panic stack=`,
		`run=run-late step=a attempt=1`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("want %s in\n%s", want, log.String())
		}
	}
}

// A push service with many tasks at once: all of them arrive.
func TestAPushServiceBringsManyOutcomes(t *testing.T) {
	s := open(t, engine.Options{})
	const n = 200
	let := make(chan struct{})
	arrived := make(chan struct{}, n)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-let
		fmt.Fprint(w, `"ok"`)
	}))
	defer web.Close()
	s.want(201, "", "PUT", "/v1/services/svc", fmt.Sprintf(`{"url":%q,"handlers":["h"],"capacity":%d}`, web.URL, n))
	steps := make([]flow.Step, n)
	for i := range steps {
		steps[i] = flow.Task(fmt.Sprint("s", i), "svc", "h")
	}
	if err := s.eng.Register("w", flow.Definition{Steps: steps}); err != nil {
		t.Fatal(err)
	}
	s.start("w", "r")
	for range n {
		<-arrived
	}
	close(let)
	if st, err := s.eng.Wait(t.Context(), "r"); err != nil || st.State != "completed" {
		t.Fatalf("%+v %v", st, err)
	}
}
