package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// A daemon that was killed comes back with --careful: a worker that is there gets nothing, no child starts and no timer fires, of runs from
// before and of new ones, and over a second kill. After resume --all every run completes, and each task was handed out once.
func TestACarefulDaemonHoldsEveryRun(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	for name, steps := range map[string]string{
		"w": "- {name: work, service_name: svc, handler_name: noop}\n",
		"t": "- {name: nap, type: wait_timer, timer: {key: nap, delay_ms: 1}}\n",
		"p": "- {name: below, type: workflow, workflow_name: w}\n",
	} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte("steps:\n"+steps), 0o600); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, name+" version 1 is new", "register", name, file)
	}
	d.say(t, 0, "old1", "start", "w", "--id", "old1")
	d.say(t, 0, "old2", "start", "w", "--id", "old2")
	d.say(t, 0, "nothing is held; for runs that are paused themselves: agnt5d resume --all --paused", "resume", "--all")
	d.say(t, 0, "run old2 is paused", "pause", "old2")
	d.kill()
	plain := d.args
	d.args += " --careful"
	d.again(t)
	var mu sync.Mutex
	calls := map[string]int{}
	count := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, of := range calls {
			n += of
		}
		return n
	}
	stop := d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{"noop": func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		mu.Lock()
		defer mu.Unlock()
		calls[task.IdempotencyKey]++
		return nil, nil
	}})
	d.say(t, 0, "nap", "start", "t", "--id", "nap")
	d.say(t, 0, "par", "start", "p", "--id", "par")
	d.say(t, 0, "new", "start", "w", "--id", "new")
	for _, run := range []string{"old1", "new"} {
		d.say(t, 0, "it is held, as every run is since the engine was started carefully (agnt5d serve --careful)", "explain", run)
		d.say(t, 0, "work: is handed out to svc/noop when run "+run+" is resumed (paused)", "explain", run)
		d.say(t, 0, "agnt5d resume --all", "explain", run)
	}
	d.say(t, 0, "below: starts its child, a run of workflow w, when the run is resumed", "explain", "par")
	for _, out, _ := d.cli(t, "explain", "nap"); !strings.Contains(out, "; that time has come, and counts when the run is resumed"); _, out, _ = d.cli(t, "explain", "nap") {
		if t.Context().Err() != nil {
			t.Fatal(out)
		}
	}
	d.say(t, 0, "paused: it is held, as every run", "list")
	d.say(t, 0, "held: 5 runs; nothing was done (--dry-run)", "resume", "--all", "--dry-run")
	if text := d.metrics(t); !strings.Contains(text, "\nagnt5_runs_held 5\n") {
		t.Error("the metrics do not say that five runs are held")
	}
	if text := d.get(t, "/readyz"); !strings.Contains(text, `"ready":true`) || !strings.Contains(text, `"code":"held"`) {
		t.Errorf("/readyz says %s", text)
	}
	d.kill()
	d.again(t)
	for _, out, _ := d.cli(t, "workers"); !strings.Contains(out, "svc"); _, out, _ = d.cli(t, "workers") {
		if t.Context().Err() != nil {
			t.Fatal(out)
		}
	}
	for _, run := range []string{"old1", "old2", "new", "par", "nap"} {
		if _, out, _ := d.cli(t, "history", run); strings.Contains(out, "AttemptStarted") || strings.Contains(out, "TimerFired") || strings.Contains(out, "ChildStarted") {
			t.Errorf("run %s is held, and went on:\n%s", run, out)
		}
	}
	if n := count(); n != 0 {
		t.Errorf("%d tasks were handed out", n)
	}
	d.say(t, 0, "5 runs resumed; nothing is held any more", "resume", "--all", "--per-second", "1000", "--reason", "all looks well")
	for _, run := range []string{"old1", "new", "par", "nap"} {
		d.say(t, 0, run+"  completed", "wait", run, "--timeout", "30s")
	}
	d.say(t, 0, "running, paused", "show", "old2") // it was paused itself
	d.say(t, 0, "1 run matched, 1 not paused any more", "resume", "--all", "--paused")
	d.say(t, 0, "old2  completed", "wait", "old2", "--timeout", "30s")
	if n := count(); n != 4 || len(calls) != 4 {
		t.Errorf("four tasks were to be handed out once: %v", calls)
	}
	d.say(t, 0, "every run is resumed, 1000 a second: all looks well by=local", "tail", "--past", "--kind", "SettingChanged")
	d.say(t, 0, `{"held":false,"runs":0,"resuming":false,"resumed":5,"per_second":0}`, "resume", "--all", "-o", "json")
	d.say(t, 0, "late  completed", "start", "w", "--id", "late", "--wait")
	stop()
	d.kill()
	d.args = plain
	d.again(t)
	d.say(t, 0, `{"held":false,"runs":0,"resuming":false,"resumed":0,"per_second":0}`, "resume", "--all", "-o", "json")
}

// Runs are paused and resumed by what they are, and the list finds those that are paused, page by page.
func TestManyRunsArePaused(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	for _, name := range []string{"a", "b"} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte("steps:\n- {name: go, type: wait_signal, signal: {name: go}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, name+" version 1 is new", "register", name, file)
		for _, n := range []string{"1", "2", "3"} {
			d.say(t, 0, name+n, "start", name, "--id", name+n, "--tag", "n="+n)
		}
	}
	listed := func(want string, args ...string) {
		t.Helper()
		_, out, errs := d.cli(t, append([]string{"list", "-o", "json"}, args...)...)
		var got struct{ Runs []model.RunHead }
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s%s", err, out, errs)
		}
		var ids []string
		for _, r := range got.Runs {
			ids = append(ids, r.WorkflowID)
		}
		if text := strings.Join(ids, " "); text != want {
			t.Errorf("list %q gives %q, want %q", args, text, want)
		}
	}
	d.say(t, 0, "3 runs match; nothing was done (--dry-run)", "pause", "--all", "--workflow", "a", "--dry-run")
	listed("", "--paused")
	d.say(t, 0, "run a2 is paused", "pause", "a2")
	d.say(t, 0, "2 runs matched, 2 paused", "pause", "--all", "--workflow", "a", "--reason", "the warehouse counts")
	d.say(t, 0, `{"matched":1,"done":1}`, "pause", "--all", "--tag", "n=3", "--state", "running", "-o", "json")
	listed("b3 a3 a2 a1", "--paused")
	listed("b3", "--paused", "--tag", "n=3", "--workflow", "b")
	listed("b2 b1", "--paused=false")
	d.say(t, 2, "--all without a filter means every run of the daemon", "pause", "--all")
	d.say(t, 2, "--per-second goes with --all, and with no filter", "resume", "--all", "--paused", "--per-second", "3")
	d.say(t, 2, "state: failed: no such run is paused; want running or finishing", "pause", "--all", "--state", "failed")
	d.say(t, 2, "paused: true: no such run is paused; want false, or nothing", "pause", "--all", "--paused")
	d.say(t, 0, "reason=the warehouse counts by=local", "history", "a1")
	d.kill()
	d.again(t)
	listed("b3 a3 a2 a1", "--paused")
	d.say(t, 0, "run a1 is cancelled", "cancel", "a1")
	listed("b3 a3 a2", "--paused")
	d.say(t, 0, "2 runs matched, 2 not paused any more", "resume", "--all", "--workflow", "a")
	listed("b3", "--paused")
	d.say(t, 0, "run b3 is not paused any more\nrun b2 is not paused any more\n", "resume", "b3", "b2")
	listed("", "--paused")
}
