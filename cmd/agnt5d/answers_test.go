package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// explain, show and list say of a run that does not move what somebody can do about it.
func TestWhyARunDoesNotMove(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	task := writeFile(t, "t.yaml", "steps:\n  - {name: a, service_name: svcc, handler_name: pay}\n")
	wait := writeFile(t, "w.yaml", "steps:\n  - {name: w, type: wait_signal, signal: {name: approved}}\n")
	slow := writeFile(t, "s.yaml", "steps:\n  - {name: a, service_name: fails, handler_name: always, retry: {max_attempts: 3, initial_interval_ms: 3600000}}\n")
	d.say(t, 0, "", "register", "t", task)
	d.say(t, 0, "", "register", "w", wait)
	d.say(t, 0, "", "register", "s", slow)
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{"pay": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }})
	d.serve(t, "fails", client.WorkerOptions{}, map[string]worker.Func{"always": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, fmt.Errorf("no") }})
	for workflow, id := range map[string]string{"t": "t-1", "w": "w-1", "s": "s-1"} {
		d.say(t, 0, id, "start", workflow, "--id", id)
	}
	until(t, func() bool {
		_, out, _ := d.cli(t, "workers")
		return strings.Contains(out, "svc ") && strings.Contains(out, "fails ")
	})
	// A service that nobody serves: the program that would, and the name that was meant.
	d.say(t, 0, `Worker("svcc") in Python or client.NewWorker(c, "svcc") in Go, or name a web service: agnt5d services put svcc URL --handler pay`, "explain", "t-1")
	d.say(t, 0, `There are workers of service "svc": is that what the definition means?`, "explain", "t-1")
	d.say(t, 0, "agnt5d workers", "explain", "t-1")
	// A signal that was misspelt.
	d.say(t, 0, "will never be taken", "signal", "w-1", "aproved")
	for _, verb := range []string{"explain", "show"} {
		d.say(t, 0, `the run: received signal "aproved", but no step of its workflow waits for that name, so it will never be taken; it waits for: approved (unknown_signal)`, verb, "w-1")
	}
	d.say(t, 0, `unknown_signal: received signal "aproved"`, "list", "--workflow", "w")
	// What waits for its next attempt.
	until(t, func() bool {
		_, out, _ := d.cli(t, "explain", "s-1")
		return strings.Contains(out, "retry 1 of 2 at ") && strings.Contains(out, "only a cancel and a retry of the whole run would begin the step anew sooner")
	})
	d.say(t, 0, "a: retry_at: failed attempt 1 of 3", "list")
	d.say(t, 0, "a: no_worker: waits for a worker", "list")
	d.say(t, 0, `"reason":{"step":"a","code":"no_worker"`, "list", "-o", "json", "--workflow", "t")
	d.say(t, 0, "is cancelled", "cancel", "s-1")
	d.say(t, 0, "is open again", "retry", "s-1")
}

// A worker that was killed is not called busy: explain says when it was heard of last, and when it counts as gone.
func TestAKilledWorkerIsNotCalledBusy(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--lease", "10m")
	w := startWorker(t, d.url)
	d.say(t, 0, "", "register", "one", writeFile(t, "one.yaml", "steps:\n  - {name: a, service_name: svc, handler_name: slow}\n"))
	until(t, func() bool {
		_, out, _ := d.cli(t, "workers", "-o", "json")
		return strings.Contains(out, `"waiting":true`)
	})
	host, _ := os.Hostname()
	d.say(t, 0, fmt.Sprintf("%s pid %d", host, w.cmd.Process.Pid), "workers")
	w.kill()
	until(t, func() bool {
		_, out, _ := d.cli(t, "workers", "-o", "json")
		return !strings.Contains(out, `"waiting":true`)
	})
	d.say(t, 0, "r1", "start", "one", "--id", "r1")
	until(t, func() bool {
		_, out, _ := d.cli(t, "explain", "r1")
		return strings.Contains(out, " was last heard of ") && strings.Contains(out, " s ago: unless it speaks, it counts as gone at 2") && strings.Contains(out, "\n  agnt5d workers\n")
	})
}

// The time of an attempt's start is when it began, not when that was journaled.
func TestHistoryShowsWhenAnAttemptBegan(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	began := make(chan time.Time, 1)
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{"h": func(context.Context, *worker.Task) (json.RawMessage, error) {
		now := time.Now()
		began <- now
		for time.Since(now) < 20*time.Millisecond { // it takes so long
		}
		return nil, nil
	}})
	d.say(t, 0, "", "register", "w", writeFile(t, "w.yaml", "steps:\n  - {name: a, service_name: svc, handler_name: h}\n"))
	d.say(t, 0, "r1  completed", "start", "w", "--id", "r1", "--wait")
	_, out, _ := d.cli(t, "history", "r1", "-o", "json")
	var said string
	for line := range strings.Lines(out) {
		var e model.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "AttemptStarted" {
			said, _ = e.Data["started_at"].(string)
			if said == e.At {
				t.Errorf("it was journaled when it began: %s", line)
			}
		}
	}
	want := inZone(said, time.UTC, toMilli)
	for _, args := range [][]string{{"history", "r1"}, {"tail", "--past"}} {
		_, out, _ := d.cli(t, append(args, "--utc")...)
		found := false
		for line := range strings.Lines(out) {
			found = found || strings.Contains(line, "AttemptStarted a") && strings.Contains(line, want)
		}
		if !found {
			t.Errorf("%v has no start at %s:\n%s", args, want, out)
		}
	}
	<-began
}

// logs has the attempts in the order in which they began, from a daemon and from a file, and says so when there is nothing.
func TestLogsAreInTheOrderOfTheAttempts(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	stop := d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{"say": func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
		if task.WorkflowID != "silent" {
			worker.Log(ctx).Info("here")
		}
		return nil, nil
	}})
	d.say(t, 0, "", "register", "w", writeFile(t, "w.yaml", "steps:\n  - {name: z, service_name: svc, handler_name: say}\n  - {name: m, service_name: svc, handler_name: say, dependencies: [z]}\n  - {name: a, service_name: svc, handler_name: say, dependencies: [m]}\n"))
	d.say(t, 0, "completed", "start", "w", "--id", "r1", "--wait")
	d.say(t, 0, "completed", "start", "w", "--id", "silent", "--wait")
	d.say(t, 0, "the handlers of run silent wrote nothing to a log", "logs", "silent")
	d.say(t, 0, "step a of run silent wrote nothing to a log", "logs", "silent", "a")
	order := func(args ...string) {
		t.Helper()
		_, out, _ := d.cli(t, append([]string{"logs", "r1"}, args...)...)
		z, m, a := strings.Index(out, "z, attempt 1"), strings.Index(out, "m, attempt 1"), strings.Index(out, "a, attempt 1")
		if z < 0 || m < z || a < m {
			t.Errorf("logs %v:\n%s", args, out)
		}
	}
	order()
	order("-f")
	stop()
	d.kill()
	order("--file", filepath.Join(d.dir, "runs.db"))
	d.say(t, 0, "the handlers of run silent wrote nothing to a log", "logs", "silent", "--file", filepath.Join(d.dir, "runs.db"))
}
