package main

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

// Since when a worker has a task is what the run's history says, in every answer, and a restart does not change it.
func TestARestartDoesNotChangeSinceWhen(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	release := make(chan bool)
	stop := d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"h": func(context.Context, *worker.Task) (json.RawMessage, error) {
			<-release
			return nil, nil
		},
	})
	d.say(t, 0, "w version 1 is new", "register", "w", fileIn(t, d.dir, "w.yaml", "steps:\n- {name: a, service_name: svc, handler_name: h}\n"))
	d.say(t, 0, "r1", "start", "w", "--id", "r1")
	at := ""
	until(t, func() bool {
		for _, e := range eventsOf(t, d, "r1") {
			if e.Kind == "AttemptStarted" {
				at = e.At
			}
		}
		return at != ""
	})
	since := regexp.MustCompile(`"since":"([^"]+)"| since ([-0-9:TZ.]+)`)
	for range 2 {
		for _, ask := range []string{"explain r1 -o json", "show r1 -o json", "workers -o json"} {
			until(t, func() bool { // after the restart, until the worker is back
				code, out, errs := d.cli(t, strings.Fields(ask)...)
				if code != 0 {
					t.Fatalf("%s: exit %d: %s", ask, code, errs)
				}
				said := since.FindStringSubmatch(out)
				if said == nil {
					return false
				}
				if got := said[1] + said[2]; got != at {
					t.Errorf("%s says since %s, the history %s", ask, got, at)
				}
				return true
			})
		}
		d.kill()
		d.again(t)
	}
	close(release)
	d.say(t, 0, "r1  completed", "wait", "r1", "--timeout", "60s")
	stop() // before the daemon is
}
