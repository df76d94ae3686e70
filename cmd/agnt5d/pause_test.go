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

	list := filepath.Join(dir, "list.yaml")
	if err := os.WriteFile(list, []byte("steps:\n- {name: each, service_name: none, handler_name: h, for_each: [1, 2, 3], max_parallel: 2, tolerate: 1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "list version 1 is new", "register", "list", list)
	d.say(t, 0, "l1", "start", "list", "--id", "l1")
	d.say(t, 0, "step each[0] of run l1 is completed", "complete", "l1", "each[0]", "--payload", `"by hand"`)
	d.say(t, 0, "step each[2] of run l1 is skipped", "skip", "l1", "each[2]")
	d.say(t, 6, "step_not_open", "fail", "l1", "each[0]")
	d.say(t, 5, "step_not_found", "fail", "l1", "each[3]")
	d.kill()
	d.again(t)
	d.say(t, 0, `"skipped":1`, "show", "l1", "-o", "json")
	d.say(t, 0, "step each[1] of run l1 has failed", "fail", "l1", "each[1]")
	d.say(t, 0, "l1  completed", "wait", "l1", "--timeout", "30s")
	d.say(t, 0, `"output":["by hand",null,null]`, "show", "l1", "-o", "json")

	parent := filepath.Join(dir, "parent.yaml")
	if err := os.WriteFile(parent, []byte("steps:\n- {name: kids, type: workflow, workflow_name: list, for_each: [1, 2]}\n- {name: then, type: wait_signal, signal: {name: go}, dependencies: [kids]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "parent version 1 is new", "register", "parent", parent)
	d.say(t, 0, "p1", "start", "parent", "--id", "p1")
	d.say(t, 0, "step kids[0] of run p1 is completed", "complete", "p1", "kids[0]", "--payload", "1")
	d.kill()
	d.again(t)
	d.say(t, 0, "step kids[1] of run p1 is skipped", "skip", "p1", "kids[1]")
	d.say(t, 0, "go", "signal", "p1", "go")
	d.say(t, 0, "p1  completed", "wait", "p1", "--timeout", "30s")
	for _, run := range children(t, d) {
		d.say(t, 4, "cancelled", "wait", run, "--timeout", "30s")
	}
	d.say(t, 0, `"kept":["kids"]`, "fork", "p1", "--from", "then", "--plan", "-o", "json")
	d.say(t, 0, "p2", "fork", "p1", "--from", "then", "--id", "p2")
	d.say(t, 0, "go", "signal", "p2", "go")
	d.say(t, 0, "p2  completed", "wait", "p2", "--timeout", "30s")
	if n := len(children(t, d)); n != 2 {
		t.Errorf("%d children were started, want the 2 of the first run", n)
	}

	d.say(t, 0, "r2", "start", "w", "--id", "r2")
	d.say(t, 0, "step nobody of run r2 has failed", "fail", "r2", "nobody", "--reason", "it is gone")
	d.say(t, 0, "an operator failed it: it is gone (failed_by_operator)", "show", "r2")
}

// children gives the ids of the runs of the workflow list that another run has started.
func children(t *testing.T, d *daemon) (ids []string) {
	t.Helper()
	runs, _, err := d.client(t).List(t.Context(), client.Filter{Workflow: "list", Children: true}, 100, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		if run.WorkflowID != "l1" {
			ids = append(ids, run.WorkflowID)
		}
	}
	return ids
}
