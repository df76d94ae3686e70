package main

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

const (
	loading = "steps:\n- {name: load, service_name: svc, handler_name: load, retry: {max_attempts: 1}}\n"
	booking = "steps:\n- {name: book, service_name: svc, handler_name: book, compensate: {handler_name: unbook}}\n" +
		"- {name: ship, type: workflow, workflow_name: loading, dependencies: [book]}\n"
)

// A run is cancelled while the handler of its child is at work, and that takes its time. The child is cancelled at once; the run takes nothing back
// before the handler has returned, also when the daemon is killed meanwhile.
func TestNothingIsTakenBackWhileAHandlerOfAChildIsAtWork(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	var mu sync.Mutex
	var calls []string
	say := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, what)
	}
	under, release := make(chan string, 1), make(chan bool)
	stop := d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"book": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil },
		"load": func(_ context.Context, task *worker.Task) (json.RawMessage, error) { // it does not look whether it is cancelled
			under <- task.WorkflowID
			<-release
			say("loaded")
			return nil, nil
		},
		"unbook": func(context.Context, *worker.Task) (json.RawMessage, error) {
			say("unbooked")
			return nil, nil
		},
	})
	d.say(t, 0, "loading version 1 is new", "register", "loading", fileIn(t, d.dir, "loading.yaml", loading))
	d.say(t, 0, "booking version 1 is new", "register", "booking", fileIn(t, d.dir, "booking.yaml", booking))
	d.say(t, 0, "b1", "start", "booking", "--id", "b1")
	child := <-under
	d.say(t, 0, "", "cancel", "b1")
	d.say(t, exitCancelled, child+"  cancelled", "wait", child, "--timeout", "60s")
	waits := "it waits until 1 child that was cancelled has ended: run " + child + " of step ship, which is cancelled, and is over for its parent when " +
		"1 attempt that was cancelled has answered, or lost the lease: attempt 1 of step load on worker "
	d.say(t, 0, waits, "explain", "b1")
	d.kill()
	d.again(t)
	d.say(t, 0, waits, "explain", "b1")
	close(release)
	d.say(t, exitCancelled, "b1  cancelled", "wait", "b1", "--timeout", "60s")
	stop() // before the daemon is
	d.say(t, 0, "compensated 1 of 1", "show", "b1")
	if want := []string{"loaded", "unbooked"}; !slices.Equal(calls, want) {
		t.Errorf("%q, want %q", calls, want)
	}
}
