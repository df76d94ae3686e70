package main

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

const (
	bulkLoad = "steps:\n- {name: load, service_name: svc, handler_name: fail, retry: {max_attempts: 1}}\n"
	bulkBook = `steps:
- {name: book, service_name: svc, handler_name: ok, compensate: {handler_name: ok}}
- {name: load, service_name: svc, handler_name: fail, dependencies: [book], retry: {max_attempts: 1}}
`
)

const bulkParent = `steps:
- {name: part, type: workflow, workflow_name: part}
- {name: go, type: wait_signal, signal: {name: go}, dependencies: [part]}
`

// Of many runs that are retried some refuse it, for they were compensated: they are counted and named, and the others go on.
func TestManyRunsOfWhichSomeRefuse(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	defer d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"ok":   func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil },
		"fail": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, errors.New("no") },
	})()
	d.say(t, 0, "load version 1 is new", "register", "load", fileIn(t, d.dir, "load.yaml", bulkLoad))
	d.say(t, 0, "book version 1 is new", "register", "book", fileIn(t, d.dir, "book.yaml", bulkBook))
	for id, workflow := range map[string]string{"a-1": "load", "a-2": "book", "a-3": "load", "a-4": "book"} {
		d.say(t, exitRunFailed, id+"  failed", "start", workflow, "--id", id, "--wait")
	}
	d.say(t, 0, "4 runs match, 2 would be refused; nothing was done (--dry-run)\n", "retry", "--all", "--id-prefix", "a-", "--dry-run")
	d.say(t, 0, "4 runs matched, 2 open again, 2 refused\n", "retry", "--all", "--id-prefix", "a-")
	for _, id := range []string{"a-1", "a-3"} {
		d.say(t, exitRunFailed, id+"  failed", "wait", id)
	}
	d.say(t, 0, `  run "a-2": steps of the run were compensated, so it cannot be retried (run_compensated)`, "retry", "--all", "--id-prefix", "a-2")
	d.say(t, 0, `{"matched":1,"done":0,"refused":1,"refusals":[{"workflow_id":"a-4","code":"run_compensated","detail":`, "retry", "--all", "--id-prefix", "a-4", "-o", "json")
	d.say(t, 0, "4 runs matched, 4 deleted\n", "delete", "--all", "--id-prefix", "a-")

	d.say(t, 0, "part version 1 is new", "register", "part", fileIn(t, d.dir, "part.yaml", "steps:\n- {name: a, service_name: svc, handler_name: ok}\n"))
	d.say(t, 0, "p version 1 is new", "register", "p", fileIn(t, d.dir, "p.yaml", bulkParent))
	d.say(t, 0, "", "start", "p", "--id", "p-1")
	d.say(t, 0, "completed", "wait", childOf(t, d, "p-1", "part"))
	d.say(t, 0, "1 run matched, 0 deleted, 1 refused\n", "delete", "--all", "--parent", "p-1")
	d.say(t, 0, "(run_open)", "delete", "--all", "--parent", "p-1")
}
