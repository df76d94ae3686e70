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

// What a worker's handlers write to their logs is read at the shell while they work, after they failed, and after the daemon was
// killed; and it goes with its run.
func TestLogsAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := filepath.Join(d.dir, "w.yaml")
	if err := os.WriteFile(file, []byte("steps:\n  - {name: a, service_name: logs, handler_name: work, retry: {max_attempts: 2, initial_interval_ms: 1}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	let := make(chan bool)
	w := client.NewWorker(d.client(t), "logs", client.WorkerOptions{})
	client.HandleRaw(w, "work", func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
		log := worker.Log(ctx)
		log.Info("begin", "attempt", task.Attempt)
		if task.Attempt == 1 {
			log.Warn("red \x1b[31mtext\u202e")
			return nil, errors.New("not yet")
		}
		<-let
		log.Info("end")
		return nil, nil
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	say := func(code int, want string, args ...string) {
		t.Helper()
		got, out, errs := d.cli(t, args...)
		if got != code || !strings.Contains(out+errs, want) {
			t.Errorf("agnt5d %q: exit %d, want %d and %q\n%s%s", args, got, code, want, out, errs)
		}
	}
	say(0, "", "register", "w", file)
	say(0, "r1", "start", "w", "--id", "r1")
	until(t, func() bool { // it comes while the handler works
		_, out, _ := d.cli(t, "logs", "r1")
		return strings.Contains(out, "a, attempt 2:\n  ") && strings.Contains(out, " INFO begin attempt=2\n")
	})
	say(0, ` WARN red \u001b[31mtext\u202e`+"\n", "logs", "r1", "a", "--utc")
	say(exitNotFound, "step_not_found", "logs", "r1", "b")
	say(exitNotFound, "run_not_found", "logs", "r2")
	followed := make(chan string)
	go func() { // what is there, what comes, and an end
		_, out, _ := agnt5d(t, "logs", "r1", "-f", "--url", d.url)
		followed <- out
	}()
	let <- true
	say(0, "r1  completed", "wait", "r1")
	out := <-followed
	for _, once := range []string{"a, attempt 1:", "a, attempt 2:", "begin attempt=1", "begin attempt=2", "INFO end"} {
		if strings.Count(out, once) != 1 {
			t.Errorf("-f: %s is not there once:\n%s", once, out)
		}
	}
	d.kill()
	say(0, " INFO end\n", "logs", "r1", "--file", filepath.Join(d.dir, "runs.db"))
	say(exitNotFound, "no run", "logs", "r2", "--file", filepath.Join(d.dir, "runs.db"))
	say(exitUsage, "-f goes with a daemon", "logs", "r1", "-f", "--file", filepath.Join(d.dir, "runs.db"))
	d.again(t)
	say(0, `{"step":"a","attempt":1,"from":0,"to":`, "logs", "r1", "-o", "json")
	say(0, " INFO end\n", "logs", "r1", "a")
	say(0, "", "delete", "r1")
	say(exitNotFound, "run_expired", "logs", "r1")
	if code := d.stop(t); code != 0 {
		t.Errorf("the daemon ended with %d", code)
	}
	if code, out, errs := agnt5d(t, "verify", filepath.Join(d.dir, "runs.db")); code != 0 {
		t.Errorf("verify: exit %d\n%s%s", code, out, errs)
	}
}
