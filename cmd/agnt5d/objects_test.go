package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

// An object's state is deleted at the shell: not while a step holds the key, not of a key that nobody knows, and only once.
func TestObjectsDeleteAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := writeFile(t, "w.yaml", "steps:\n  - {name: a, service_name: keys, handler_name: count, object_keys: [\"user:7\"]}\n")
	held, let := make(chan string, 2), make(chan bool)
	d.serve(t, "keys", client.WorkerOptions{}, map[string]worker.Func{"count": func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		held <- string(task.Objects["user:7"].State)
		<-let
		return nil, task.SetObject("user:7", 1)
	}})
	d.say(t, 0, "new and current", "register", "w", file)
	d.say(t, exitNotFound, "object_not_found", "objects", "delete", "user:7")
	d.say(t, 0, "r1", "start", "w", "--id", "r1")
	<-held
	d.say(t, exitConflict, "object_held", "objects", "delete", "user:7")
	let <- true
	d.say(t, 0, "r1  completed", "wait", "r1")
	d.say(t, 0, `"version":1`, "objects", "-o", "json")
	d.say(t, 0, "the state of object user:7 is deleted", "objects", "delete", "user:7")
	d.say(t, exitNotFound, "object_not_found", "objects", "delete", "user:7", "-o", "json")
	d.say(t, 0, "r2", "start", "w", "--id", "r2")
	if state := <-held; state != "null" {
		t.Errorf("the next step found %s", state)
	}
	let <- true
	d.say(t, 0, "r2  completed", "wait", "r2")
	d.say(t, 0, `{"key":"user:7"}`, "objects", "delete", "user:7", "-o", "json")
}
