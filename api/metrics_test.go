package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// What one asks first of a system in trouble: which workflow's runs fail, how long they take, who waits for whom.
func TestFiguresSayWhichWorkflowFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	s := openAt(t, path, engine.Options{})
	handle := func(name string, fn func(context.Context, map[string]any) (int, error)) {
		if err := engine.Handle(s.eng, "svc", name, fn); err != nil {
			t.Fatal(err)
		}
	}
	handle("good", func(context.Context, map[string]any) (int, error) { return 1, nil })
	handle("bad", func(context.Context, map[string]any) (int, error) { return 0, flow.NonRetryable(errors.New("no")) })
	register := func(name string, steps ...flow.Step) {
		if err := s.eng.Register(name, flow.Definition{Steps: steps}); err != nil {
			t.Fatal(err)
		}
	}
	register("pays", flow.Task("charge", "svc", "good"))
	register("breaks", flow.Task("charge", "svc", "bad"))
	register("waits", flow.Task("away", "far", "work"))
	register("sleeps", flow.WaitSignal("w", "go"))
	start := func(workflow string) string {
		id, err := s.eng.Start(t.Context(), workflow, nil)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for range 3 {
		for _, w := range []string{"pays", "breaks"} {
			if _, err := s.eng.Wait(t.Context(), start(w)); err != nil {
				t.Fatal(err)
			}
		}
	}
	start("waits")
	start("sleeps")
	start("sleeps")
	if err := s.eng.Cancel(t.Context(), start("waits"), ""); err != nil {
		t.Fatal(err)
	}
	open := []string{`agnt5_runs{workflow="waits"} 1`, `agnt5_runs{workflow="sleeps"} 2`, `agnt5_runs{workflow="pays"} 0`,
		`agnt5_queue_depth{handler="work",service="far"} 1`}
	want(t, s, append(open, `agnt5_runs_ended_total{state="completed",workflow="pays"} 3`, `agnt5_runs_ended_total{state="failed",workflow="breaks"} 3`,
		`agnt5_runs_ended_total{state="cancelled",workflow="waits"} 1`, `agnt5_run_duration_seconds_count{state="failed",workflow="breaks"} 3`,
		`agnt5_step_duration_seconds_count{step="charge",workflow="pays"} 3`, `agnt5_attempts_total{handler="bad",outcome="failed",service="svc"} 3`,
		`agnt5_schedule_to_start_seconds_count{handler="good",service="svc"} 3`, `agnt5_queue_oldest_seconds{service="svc"} 0`)...)
	problems, err := promlint.New(bytes.NewReader([]byte(s.send("GET", "/metrics", "").text))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "agnt5_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	docs, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`(?m)^# TYPE (agnt5_\w+)`).FindAllStringSubmatch(s.send("GET", "/metrics", "").text, -1) {
		if !regexp.MustCompile(name[1] + `\b`).Match(docs) {
			t.Errorf("docs/operating.md does not say what %s is for", name[1])
		}
	}
	for range 2 { // after a restart what is open is counted again, also runs that sleep on disk
		s.close()
		s = openAt(t, path, engine.Options{MaxLive: 1})
		want(t, s, open[:2]...)
	}
}

func want(t *testing.T, s *site, lines ...string) {
	t.Helper()
	text := s.send("GET", "/metrics", "").text
	for _, line := range lines {
		if name, _, _ := strings.Cut(line, "{"); !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q; there is\n%s", line, grep(text, name))
		}
	}
}

func grep(text, what string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, what) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// However many workflows there are, a metric has a bounded number of series, and the rest is counted together.
func TestSeriesAreBounded(t *testing.T) {
	s := open(t, engine.Options{})
	if err := engine.Handle(s.eng, "svc", "h", func(context.Context, map[string]any) (int, error) { return 1, nil }); err != nil {
		t.Fatal(err)
	}
	const n = 400
	for i := range n {
		name := fmt.Sprint("w", i)
		if err := s.eng.Register(name, flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "h"), flow.Task("b", "svc", "h"), flow.Task("c", "svc", "h")}}); err != nil {
			t.Fatal(err)
		}
		id, err := s.eng.Start(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.eng.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	text := s.send("GET", "/metrics", "").text
	for metric, most := range map[string]int{"agnt5_runs{": 301, "agnt5_runs_ended_total{": 903, "agnt5_step_duration_seconds_count{": 901} {
		if got := strings.Count(text, "\n"+metric); got > most || got < 300 {
			t.Errorf("%d series of %s, want at most %d", got, metric, most)
		}
	}
	want(t, s, fmt.Sprintf(`agnt5_runs_ended_total{state="completed",workflow="other"} %d`, n-300))
}

// A run is stuck when nothing has moved it for ten minutes and nothing will: its handler has no worker. One that waits for a signal or
// for a time is not.
func TestStuckRunsAreCounted(t *testing.T) {
	s := open(t, engine.Options{Clock: engine.NewTestClock()})
	for name, step := range map[string]flow.Step{"nobody": flow.Task("a", "svc", "nobody"), "signal": flow.WaitSignal("a", "go"), "timer": flow.WaitTimer("a", "k", flow.Delay(time.Hour))} {
		if err := s.eng.Register(name, flow.Definition{Steps: []flow.Step{step}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.eng.Start(t.Context(), name, nil, engine.WithID(name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.eng.Advance(t.Context(), 11*time.Minute); err != nil {
		t.Fatal(err)
	}
	want(t, s, "agnt5_runs_stuck 1")
}
