package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// metrics reads the metrics of a daemon.
func (d *daemon) metrics(t *testing.T) string {
	t.Helper()
	return d.get(t, "/metrics")
}

// get reads what a daemon has at a path.
func (d *daemon) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(d.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A schedule that cannot start its run says so to whoever looks: in the list, when asked why, in its ledger and in the metrics. (What it says when
// nothing can be recorded is in package engine: TestAScheduleThatCannotFireSaysSo.)
func TestAScheduleWithoutAWorkflowSaysSoAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.say(t, 0, "warning: schedule lost starts no run as it is", "schedules", "apply", fileIn(t, d.dir, "s.yaml", "- {name: lost, workflow: nowhere, every: 1s}\n"))
	d.say(t, 0, `there is no workflow "nowhere"`, "schedules", "explain", "lost") // also before it is due
	const counted = `agnt5_schedule_due_total{outcome="start_failed",schedule="lost"} `
	until(t, func() bool { return strings.Contains(d.metrics(t), "\n"+counted) })
	d.say(t, 0, "start_failed (workflow_not_found)", "schedules", "list")
	d.say(t, 0, `no run has been started for it: start_failed: there is no workflow "nowhere"`, "schedules", "explain", "lost")
	d.say(t, 0, "agnt5d register nowhere FILE", "schedules", "explain", "lost")
	d.say(t, 0, "start_failed", "schedules", "ledger", "lost", "--outcome", "start_failed")
	if text := d.metrics(t); !strings.Contains(text, "\nagnt5_schedule_overdue_seconds ") {
		t.Error("the metrics do not say for how long a due time has not been decided")
	}
	d.say(t, 0, "", "register", "nowhere", fileIn(t, d.dir, "tick.yaml", atOnce))
	until(t, func() bool {
		_, out, _ := d.cli(t, "schedules", "explain", "lost")
		return !strings.Contains(out, "start_failed") && !strings.Contains(out, "there is no workflow")
	})
}
