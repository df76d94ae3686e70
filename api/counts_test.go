package api_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
)

// Runs are counted in the state in which they are, whatever became of them on the way.
func TestRunsAreCountedByState(t *testing.T) {
	s := open(t, engine.Options{Clock: engine.NewTestClock()})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.want(201, "", "PUT", "/v1/workflows/signal", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}}]}`)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := func(running, completed, failed, cancelled, stuck int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			got, err := c.RunCounts(ctx, 10*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			states := got.States
			if states["running"] == running && states["completed"] == completed && states["failed"] == failed && states["cancelled"] == cancelled &&
				states["quarantined"] == 0 && got.Total == running+completed+failed+cancelled && got.Stuck == stuck && got.StuckForMS == 600_000 && !got.More {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("%+v", got)
			}
		}
	}
	want(0, 0, 0, 0, 0)
	for i := range 4 {
		s.start("w", fmt.Sprint("w", i))
		s.start("signal", fmt.Sprint("s", i))
	}
	want(8, 0, 0, 0, 0)
	s.want(202, "", "POST", "/v1/runs/s0/signals/go", "")
	s.want(202, "", "POST", "/v1/runs/s1/cancel", "")
	want(6, 1, 0, 1, 0)
	w := s.join(`"h"`, "")
	s.outcome(w, s.task(w, 1)["token"].(string), `"status":"failed","error":{"message":"no","retryable":false}`)
	want(5, 1, 1, 1, 0)
	s.want(204, "", "DELETE", "/v1/workers/"+w, "")
	s.want(200, "", "POST", "/v1/test-clock", `{"advance":"11m"}`)
	want(5, 1, 1, 1, 3) // those that wait for a worker, not those that wait for a signal
	s.want(202, "", "POST", "/v1/runs/s1/retry", "")
	s.want(200, "", "POST", "/v1/runs/delete", `{"state":"failed"}`)
	want(6, 1, 0, 0, 3)
	s.want(400, "invalid_request", "GET", "/v1/run-counts?stuck_for=soon", "")
}
