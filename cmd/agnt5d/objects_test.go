package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

// An object's state is deleted at the shell: not while a step holds the key, not of a key that nobody knows, and only once.
func TestObjectsDeleteAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := filepath.Join(d.dir, "w.yaml")
	if err := os.WriteFile(file, []byte("steps:\n  - {name: a, service_name: keys, handler_name: count, object_keys: [\"user:7\"]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	held, let := make(chan string, 2), make(chan bool)
	w := client.NewWorker(d.client(t), "keys", client.WorkerOptions{})
	client.HandleRaw(w, "count", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		held <- string(task.Objects["user:7"].State)
		<-let
		return nil, task.SetObject("user:7", 1)
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
	say(0, "new and current", "register", "w", file)
	say(exitNotFound, "object_not_found", "objects", "delete", "user:7")
	say(0, "r1", "start", "w", "--id", "r1")
	<-held
	say(exitConflict, "object_held", "objects", "delete", "user:7")
	let <- true
	say(0, "r1  completed", "wait", "r1")
	say(0, `"version":1`, "objects", "-o", "json")
	say(0, "the state of object user:7 is deleted", "objects", "delete", "user:7")
	say(exitNotFound, "object_not_found", "objects", "delete", "user:7", "-o", "json")
	say(0, "r2", "start", "w", "--id", "r2")
	if state := <-held; state != "null" {
		t.Errorf("the next step found %s", state)
	}
	let <- true
	say(0, "r2  completed", "wait", "r2")
	say(0, `{"key":"user:7"}`, "objects", "delete", "user:7", "-o", "json")
}
