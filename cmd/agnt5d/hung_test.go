package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

// A handler that hangs after its attempt is over takes up a place at its worker. workers and explain say so, until it returns.
func TestHandlersThatHangAreCounted(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--lease", "1s")
	free := make(chan struct{})
	d.serve(t, "bad", client.WorkerOptions{Capacity: 1}, map[string]worker.Func{"hang": func(context.Context, *worker.Task) (json.RawMessage, error) { // it looks at no context
		<-free
		return json.RawMessage("1"), nil
	}})
	file := writeFile(t, "h.yaml", "steps:\n  - {name: h, service_name: bad, handler_name: hang, timeout_ms: 100, retry: {max_attempts: 1}}\n")
	slow := writeFile(t, "l.yaml", "steps:\n  - {name: h, service_name: bad, handler_name: hang}\n")
	for _, args := range [][]string{{"register", "h", file}, {"register", "l", slow}, {"start", "h", "--id", "h-1", "--wait=1m"}, {"start", "l", "--id", "l-1"}} {
		if code, out, errs := d.cli(t, args...); code != exitOK && code != exitRunFailed {
			t.Fatalf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
	until(t, func() bool {
		_, out, _ := d.cli(t, "workers")
		return strings.Contains(out, "0 of 1, 1 hung") && strings.Contains(out, "(attempt 1 is over, hangs)")
	})
	_, out, _ := d.cli(t, "explain", "l-1")
	if !strings.Contains(out, "1 of the 1 places of its workers are taken by handlers that hang") || !strings.Contains(out, "agnt5d workers") {
		t.Errorf("explain:\n%s", out)
	}
	close(free)
	if code, out, errs := d.cli(t, "wait", "l-1", "--timeout", "1m"); code != exitOK {
		t.Errorf("wait: exit %d\n%s%s", code, out, errs)
	}
	if _, out, _ := d.cli(t, "workers"); strings.Contains(out, "hung") {
		t.Errorf("it has returned:\n%s", out)
	}
}
