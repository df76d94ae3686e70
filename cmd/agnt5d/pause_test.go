package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	d.say(t, 0, "the run was paused", "list")
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
