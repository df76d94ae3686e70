package main

import (
	"bytes"
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

// What a worker's handlers write to their logs is read at the shell while they work, after they failed, and after the daemon was
// killed; and it goes with its run.
func TestLogsAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := writeFile(t, "w.yaml", "steps:\n  - {name: a, service_name: logs, handler_name: work, retry: {max_attempts: 2, initial_interval_ms: 1}}\n")
	let := make(chan bool)
	d.serve(t, "logs", client.WorkerOptions{}, map[string]worker.Func{"work": func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
		log := worker.Log(ctx)
		log.Info("begin", "attempt", task.Attempt)
		if task.Attempt == 1 {
			log.Warn("red \x1b[31mtext\u202e")
			return nil, errors.New("not yet")
		}
		<-let
		log.Info("end")
		return nil, nil
	}})
	d.say(t, 0, "", "register", "w", file)
	d.say(t, 0, "r1", "start", "w", "--id", "r1")
	until(t, func() bool { // it comes while the handler works
		_, out, _ := d.cli(t, "logs", "r1")
		return strings.Contains(out, "a, attempt 2:\n  ") && strings.Contains(out, " INFO begin attempt=2\n")
	})
	d.say(t, 0, ` WARN red \u001b[31mtext\u202e`+"\n", "logs", "r1", "a", "--utc")
	d.say(t, exitNotFound, "step_not_found", "logs", "r1", "b")
	d.say(t, exitNotFound, "run_not_found", "logs", "r2")
	followed := make(chan string)
	go func() { // what is there, what comes, and an end
		_, out, _ := agnt5d(t, "logs", "r1", "-f", "--url", d.url)
		followed <- out
	}()
	let <- true
	d.say(t, 0, "r1  completed", "wait", "r1")
	out := <-followed
	for _, once := range []string{"a, attempt 1:", "a, attempt 2:", "begin attempt=1", "begin attempt=2", "INFO end"} {
		if strings.Count(out, once) != 1 {
			t.Errorf("-f: %s is not there once:\n%s", once, out)
		}
	}
	d.kill()
	d.say(t, 0, " INFO end\n", "logs", "r1", "--file", filepath.Join(d.dir, "runs.db"))
	d.say(t, exitNotFound, "no run", "logs", "r2", "--file", filepath.Join(d.dir, "runs.db"))
	d.say(t, exitUsage, "-f goes with a daemon", "logs", "r1", "-f", "--file", filepath.Join(d.dir, "runs.db"))
	d.again(t)
	d.say(t, 0, `{"step":"a","attempt":1,"from":0,"to":`, "logs", "r1", "-o", "json")
	d.say(t, 0, " INFO end\n", "logs", "r1", "a")
	d.say(t, 0, "", "delete", "r1")
	d.say(t, exitNotFound, "run_expired", "logs", "r1")
	if code := d.stop(t); code != 0 {
		t.Errorf("the daemon ended with %d", code)
	}
	if code, out, errs := agnt5d(t, "verify", filepath.Join(d.dir, "runs.db")); code != 0 {
		t.Errorf("verify: exit %d\n%s%s", code, out, errs)
	}
}

// What handlers wrote to their logs is sealed with the payload key, and read from the file with it alone.
func TestLogsOfASealedJournal(t *testing.T) {
	dir := t.TempDir()
	keys, path := filepath.Join(dir, "payload.keys"), filepath.Join(dir, "runs.db")
	put(t, keys, []byte(keyLine("spring")))
	d := startDaemon(t, dir, "--payload-key", keys)
	stop := d.serve(t, "logs", client.WorkerOptions{}, map[string]worker.Func{"work": func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
		worker.Log(ctx).Info("PLANTED-log")
		return nil, nil
	}})
	d.say(t, 0, "", "register", "w", writeFile(t, "w.yaml", "steps:\n  - {name: a, service_name: logs, handler_name: work}\n"))
	d.say(t, 0, "r1", "start", "w", "--id", "r1", "--wait")
	d.say(t, 0, "PLANTED-log", "logs", "r1")
	stop()
	d.kill()
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("PLANTED-log")) {
		t.Errorf("the file has what a handler wrote to its log: %v", err)
	}
	d.say(t, exitError, "AGNT5D_PAYLOAD_KEY", "logs", "r1", "--file", path)
	t.Setenv("AGNT5D_PAYLOAD_KEY", keys)
	d.say(t, 0, "PLANTED-log", "logs", "r1", "--file", path)
	d.say(t, 0, "PLANTED-log", "logs", "r1", "a", "--file", path)
}
