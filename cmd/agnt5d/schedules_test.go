package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/model"
)

const atOnce = "steps:\n  - {name: tick, type: wait_timer, timer: {key: t, delay_ms: 0}}\n"

func fileIn(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// wholeLedger gives every row of a ledger, the oldest first.
func wholeLedger(t *testing.T, d *daemon, name string) (rows []model.ScheduleRow) {
	t.Helper()
	for cursor := ""; ; {
		page, next, err := d.client(t).ScheduleLedger(t.Context(), name, "", time.Time{}, 7, cursor)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, page...)
		if cursor = next; cursor == "" {
			break
		}
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows
}

func TestSchedulesAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := fileIn(t, d.dir, "schedules.yaml", `schedules:
  - name: nightly
    workflow: etl
    cron: ["30 2 * * *"]
    time_zone: Europe/Berlin
    note: every night
  - {name: often, workflow: etl, every: 15m, exclude: [{cron: "* * * * SUN"}]}
`)
	bad := fileIn(t, d.dir, "bad.yaml", "schedules:\n  - name: x\n    workflow: y\n    cron: ['0 0 30 2 *']\n")
	clocks := fileIn(t, d.dir, "clocks.yaml", "name: c\nworkflow: w\ncron: 30 2 * * *\ntime_zone: Europe/Berlin\nstart_at: 2030-03-30T12:00:00Z\n")
	lost := fileIn(t, d.dir, "lost.yaml", "- {name: lost, workflow: etll, every: 15m}\n- {name: older, workflow: etl, version: 9, every: 15m}\n")
	fewer := fileIn(t, d.dir, "fewer.yaml", "- {name: nightly, workflow: etl, cron: '30 2 * * *', time_zone: Europe/Berlin, note: every night}\n")
	d.say(t, 0, "", "register", "etl", fileIn(t, d.dir, "etl.yaml", "steps:\n  - {name: ok, type: wait_signal, signal: {name: go}}\n"))
	for _, step := range []struct {
		args string
		code int
		want string
	}{
		{"schedules", 0, "there is no schedule"},
		{"schedules apply " + bad, exitError, "bad.yaml:4:"},
		{"schedules apply " + file + " --dry-run", 0, "schedule nightly would be created"},
		{"schedules apply " + lost + " --dry-run", 0, `warning: schedule lost starts no run as it is: `},
		{"schedules apply " + lost + " --dry-run", 0, `did you mean "etl"`},
		{"schedules apply " + lost + " --dry-run -o json", 0, `"action":"created","warning":"`},
		{"schedules apply " + lost + " --dry-run -o json", 0, `"name":"older","action":"created","warning":"the workflow \"etl\" has no version 9; it has 1"`},
		{"schedules apply " + file + " --dry-run -o json", 0, `"action":"created"}`},
		{"schedules list", 0, "there is no schedule"},
		{"schedules apply " + file, 0, "schedule nightly is created"},
		{"schedules apply " + file, 0, "schedule often is unchanged"},
		{"schedule list", 0, "MISSED 7D"}, // the singular is an alias
		{"services list", exitUsage, ""},
		{"service", 0, "no push service"},
		{"schedules show nightly", 0, `"30 2 * * *"`},
		{"schedules show nowhere", exitNotFound, "schedule_not_found"},
		{"schedules next nightly -n 400", 0, "02:30 happens twice: clocks go back, the first is taken"},
		{"schedules next nightly -n 400", 0, "02:30 does not exist: clocks go forward"},
		{"schedules next " + clocks + " -n 2", 0, "2030-03-31T03:00:00+02:00  02:30 does not exist: clocks go forward"},
		{"schedules next often -n 0", exitUsage, "1 to 1000"},
		{"schedules explain nightly", 0, "nothing stands in its way"},
		{"schedules trigger nightly", 0, "triggered"},
		{"schedules trigger nightly", exitConflict, "has not ended"},
		{"schedules trigger nightly --overlap allow --input 7", 0, "triggered"},
		{"schedules trigger nightly --overlap never", exitUsage, "overlap"},
		{"schedules trigger nightly --input {", exitUsage, "not JSON"},
		{"schedules ledger nightly", 0, "triggered"},
		{"schedules ledger nightly --outcome missed", 0, "no due time has such a row"},
		{"schedules ledger nightly --outcome lost", exitUsage, "outcome"},
		{"schedules explain nightly", 0, "has not ended"},
		{"schedules pause often --note holidays", 0, "is paused"},
		{"schedules explain often", 0, "holidays"},
		{"schedules list", 0, "paused"},
		{"schedules resume often --catch-up", 0, "goes on"},
		{"schedules backfill nightly --from 3d --dry-run", 0, "3 times; nothing was started"},
		{"schedules backfill nightly", exitUsage, "--from"},
		{"schedules backfill nightly --from soon", exitUsage, "want"},
		{"schedules backfill nightly --from 3d --overlap allow", 0, "3 times are backfilled"},
		{"schedules apply " + fewer + " --prune --dry-run", 0, "schedule often would be deleted"},
		{"schedules apply " + fewer + " --prune", 0, "schedule often is deleted"},
		{"schedules show often", exitNotFound, "schedule_not_found"},
		{"schedules delete nightly", 0, "is deleted"},
		{"schedules delete nightly", exitNotFound, "schedule_not_found"},
		{"schedules ledger nightly", 0, "triggered"},
	} {
		d.say(t, step.code, step.want, strings.Fields(step.args)...)
	}
	_, out, _ := d.cli(t, "schedules", "list", "-o", "json")
	var list struct{ Schedules []model.Schedule }
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.Schedules == nil || len(list.Schedules) != 0 {
		t.Errorf("%s: %v", out, err)
	}
}
