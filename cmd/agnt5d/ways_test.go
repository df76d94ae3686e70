package main

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

const waysSteps = `timeout_ms: 3600000
steps:
- {name: book, service_name: svc, handler_name: ok, compensate: {handler_name: fail, retry: {max_attempts: 5, initial_interval_ms: 3600000}}}
- {name: load, service_name: svc, handler_name: fail, dependencies: [book], retry: {max_attempts: 1}}
- {name: nap, type: wait_timer, timer: {key: nap, delay_ms: 3600000}, dependencies: [load]}
- {name: each, service_name: svc, handler_name: ok, for_each: steps.load.output, dependencies: [load]}
`

// What verbs print is the state that a run has, and the ways out that explain and errors name lead somewhere.
func TestWaysOutOfAFinishingRun(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	defer d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"ok":   func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil },
		"fail": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, errors.New("no") },
	})()
	d.say(t, 0, "w version 1 is new", "register", "w", fileIn(t, d.dir, "w.yaml", waysSteps))
	d.say(t, 0, "r1", "start", "w", "--id", "r1")
	until(t, func() bool {
		st := shownOf(t, d, "r1")
		return st.State == "finishing" && st.Compensation.Now != nil && st.Compensation.Now.State == "retrying"
	})
	if st := shownOf(t, d, "r1"); st.Deadline != "" {
		t.Errorf("the time of a finishing run ends at %s", st.Deadline)
	}
	d.say(t, exitConflict, "run_finishing", "fire", "r1", "nap")
	d.say(t, 0, "book, 1 of 1, which has failed before: complete it when you have done that by hand, or skip it; then it fails (finishing)\n  agnt5d complete r1 book\n", "explain", "r1")
	d.say(t, 0, "run r1 is ended; it has failed\n", "cancel", "r1", "--force")
	d.say(t, 0, ", not compensated\n", "show", "r1")
	d.say(t, 0, "compensated 0 of 1; the run was ended before the others were\n", "show", "r1")
	d.say(t, 0, "  agnt5d fork r1 --from load --plan\n", "explain", "r1")
	d.say(t, 0, "", "fork", "r1", "--from", "load", "--plan")
	d.say(t, exitConflict, "run_finished", "fire", "r1", "nap")

	d.say(t, 0, "p version 1 is new", "register", "p", fileIn(t, d.dir, "p.yaml", waysWaits))
	d.say(t, 0, "", "start", "p", "--id", "p1")
	until(t, func() bool { return shownOf(t, d, "p1").Steps["book"].State == "completed" })
	d.say(t, exitConflict, `the list of step "each" has not been made yet`, "fail", "p1", "each[1]")
	d.say(t, exitNotFound, "no such step", "fail", "p1", "book[1]")
	d.say(t, 0, "run p1 is finishing, and cancelled when that is done\n", "cancel", "p1")
	d.say(t, exitNotFound, `"each[1]" is a part of a step, and a fork takes whole steps; version 1 of workflow`, "fork", "r1", "--from", "each[1]")
}

const waysWaits = `steps:
- {name: book, service_name: svc, handler_name: ok, compensate: {handler_name: fail, retry: {max_attempts: 5, initial_interval_ms: 3600000}}}
- {name: go, type: wait_signal, signal: {name: go}, dependencies: [book]}
- {name: each, service_name: svc, handler_name: ok, for_each: steps.go.output, dependencies: [go]}
`
