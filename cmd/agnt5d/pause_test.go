package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

// A run is paused at the shell. The pause outlives a daemon that is killed, and a worker that comes gets nothing of the run; after the
// resume it ends. History says who did both, and why.
func TestAPauseOutlivesTheDaemon(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	file := filepath.Join(dir, "w.yaml")
	if err := os.WriteFile(file, []byte("steps:\n- {name: go, type: wait_signal, signal: {name: go}}\n- {name: work, service_name: svc, handler_name: noop, dependencies: [go]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "w version 1 is new", "register", "w", file)
	d.say(t, 0, "r1", "start", "w", "--id", "r1")
	d.say(t, 0, "r2", "start", "w", "--id", "r2")
	d.say(t, 0, "run r1 is paused", "pause", "r1", "--reason", "the warehouse counts")
	d.say(t, 0, `"paused":true`, "pause", "r1", "-o", "json")
	d.kill()
	d.again(t)
	startWorker(t, d.url)
	d.say(t, 0, "step go took it", "signal", "r1", "go")
	d.say(t, 0, "step go took it", "signal", "r2", "go")
	d.say(t, 0, "r2  completed", "wait", "r2", "--timeout", "30s") // the worker is there
	d.say(t, 0, "running, paused", "show", "r1")
	d.say(t, 0, "by local (the warehouse counts): until it is resumed no task of it is handed out", "explain", "r1")
	d.say(t, 0, "work: is handed out to svc/noop when run r1 is resumed", "explain", "r1")
	d.say(t, 0, "agnt5d resume r1", "explain", "r1")
	d.say(t, 0, "paused: it was paused at", "list")
	d.say(t, 0, `"paused":true`, "show", "r1", "-o", "json")
	d.say(t, 0, "RunPaused", "history", "r1")
	if _, out, _ := d.cli(t, "history", "r1"); strings.Contains(out, "AttemptStarted") {
		t.Errorf("a task of a paused run was handed out:\n%s", out)
	}
	d.say(t, 0, "run r1 is not paused any more", "resume", "r1", "--reason", "it has counted")
	d.say(t, 0, "r1  completed", "wait", "r1", "--timeout", "30s")
	d.say(t, 0, "reason=it has counted by=local", "history", "r1")
	d.say(t, 6, "run_finished", "pause", "r1")
	d.say(t, 6, "run_finished", "resume", "r1")
	d.say(t, 5, "run_not_found", "pause", "r9")
}

// A service is paused before anybody serves it. The pause outlives a daemon that is killed; a worker that comes gets nothing of it, while
// another service goes on.
func TestAServiceIsPausedOverAKill(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	for name, service := range map[string]string{"w": "svc", "o": "other"} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte("steps:\n- {name: work, service_name: "+service+", handler_name: noop}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, name+" version 1 is new", "register", name, file)
	}
	d.say(t, 0, "service svc is paused", "services", "pause", "svc", "--reason", "the bank is closed")
	d.say(t, 0, `{"name":"svc","paused":true}`, "services", "pause", "svc", "-o", "json")
	d.say(t, 0, "r1", "start", "w", "--id", "r1")
	d.kill()
	d.again(t)
	handlers := map[string]worker.Func{"noop": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }}
	for _, service := range []string{"svc", "other"} {
		d.serve(t, service, client.WorkerOptions{}, handlers)
	}
	d.say(t, 0, "o1  completed", "start", "o", "--id", "o1", "--wait")
	d.say(t, 0, "work: waits: service svc was paused at", "explain", "r1")
	d.say(t, 0, "by local (the bank is closed); nobody gets a task of it until it is resumed (service_paused)\n  agnt5d services resume svc", "explain", "r1")
	d.say(t, 0, `"code":"service_paused"`, "explain", "r1", "-o", "json")
	d.say(t, 0, "svc is paused since", "services")
	d.say(t, 0, `"name":"other","kind":"poll"`, "services", "-o", "json")
	if _, out, _ := d.cli(t, "history", "r1"); strings.Contains(out, "AttemptStarted") {
		t.Errorf("a task of a paused service was handed out:\n%s", out)
	}
	d.say(t, 0, "service svc is not paused any more", "services", "resume", "svc")
	d.say(t, 0, "r1  completed", "wait", "r1", "--timeout", "30s")
	d.say(t, 0, "what=paused: the bank is closed by=local", "tail", "--past", "--kind", "SettingChanged")
}

// Steps are ended by hand, over kills of the daemon: one that nobody serves, a wait, and the step by which the run failed, which goes on then.
func TestStepsAreEndedByHandOverAKill(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	file := filepath.Join(dir, "w.yaml")
	if err := os.WriteFile(file, []byte(`steps:
- {name: nobody, service_name: none, handler_name: h}
- {name: go, type: wait_signal, signal: {name: go}}
- {name: broken, service_name: svc, handler_name: broken, dependencies: [nobody], retry: {max_attempts: 1}}
- {name: after, service_name: svc, handler_name: noop, dependencies: [go]}
- {name: last, service_name: svc, handler_name: noop, dependencies: [broken]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "w version 1 is new", "register", "w", file)
	d.say(t, 0, "r1", "start", "w", "--id", "r1")
	d.say(t, 0, "step go of run r1 is skipped", "skip", "r1", "go", "--reason", "not today")
	d.say(t, 6, "step_not_open", "complete", "r1", "go")
	d.say(t, 6, "step_not_open", "fail", "r1", "last")
	d.say(t, 5, "step_not_found", "skip", "r1", "other")
	d.kill()
	d.again(t)
	d.say(t, 0, `{"step":"nobody","workflow_id":"r1"}`, "complete", "r1", "nobody", "--payload", `{"by":"hand"}`, "-o", "json")
	d.kill()
	d.again(t)
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"noop":   func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil },
		"broken": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, errors.New("out of order") },
	})
	d.say(t, 3, "r1  failed", "wait", "r1", "--timeout", "30s")
	d.say(t, 6, "run_finished", "fail", "r1", "broken")
	d.say(t, 0, "step broken of run r1 is completed", "complete", "r1", "broken", "--reason", "done by hand")
	d.say(t, 0, "r1  completed", "wait", "r1", "--timeout", "30s")
	d.say(t, 0, "go: was skipped: an operator skipped it", "explain", "r1")
	d.say(t, 0, "after: was skipped: something that it depends on was skipped", "explain", "r1")
	d.say(t, 0, "reason=done by hand as=complete by=local", "history", "r1")
	d.say(t, 0, `"by":"hand"`, "show", "r1", "-o", "json")

	d.say(t, 0, "r2", "start", "w", "--id", "r2")
	d.say(t, 0, "step nobody of run r2 has failed", "fail", "r2", "nobody", "--reason", "it is gone")
	d.say(t, 0, "an operator failed it: it is gone (failed_by_operator)", "show", "r2")
}
