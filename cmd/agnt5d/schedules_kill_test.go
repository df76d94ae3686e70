package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
)

// meddle edits, pauses, resumes, deletes and puts schedules again until the context ends. Its client asks again when a daemon was killed that
// had perhaps done what it was asked for: a second deletion finds nothing, which is no error here.
func meddle(ctx context.Context, c *client.Client, names []string, put func(name string) error) {
	for ctx.Err() == nil {
		name := names[rand.IntN(len(names))]
		switch n := rand.IntN(10); {
		case n < 4:
			_ = put(name)
		case n < 6:
			_, _ = c.PauseSchedule(ctx, name, "")
		case n < 8:
			_, _ = c.ResumeSchedule(ctx, name, "", rand.IntN(2) == 0)
		case n < 9:
			_ = c.DeleteSchedule(ctx, name, 0)
		}
		pause(ctx, time.Duration(20+rand.IntN(200))*time.Millisecond)
	}
}

// scheduleChange is one that the journal has of a schedule.
type scheduleChange struct {
	what     string
	revision uint32
	at       time.Time
}

// changesOf reads from the journal what was changed in schedules, by their names.
func changesOf(t *testing.T, c *client.Client) map[string][]scheduleChange {
	t.Helper()
	all := map[string][]scheduleChange{}
	for after := uint64(0); ; {
		events, next, err := c.AllEvents(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Kind != "ScheduleChanged" {
				continue
			}
			name, what := fmt.Sprint(e.Data["schedule"]), fmt.Sprint(e.Data["what"])
			revision := uint32(0)
			if _, err := fmt.Sscan(fmt.Sprint(e.Data["revision"]), &revision); err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], scheduleChange{what, revision, instant(t, e.At)})
		}
		if after = next; len(events) == 0 {
			return all
		}
	}
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// gapMayBe says whether there may be no rows between two of a schedule that is due each second: it was deleted in between, when the first
// one's time had come, and the second one is the first that was due after it was put again.
func gapMayBe(t *testing.T, changes []scheduleChange, a, b *model.ScheduleRow) bool {
	t.Helper()
	var deleted, put time.Time
	for _, c := range changes {
		if c.revision < a.Revision || c.revision > b.Revision || c.what == "deleted" && c.revision == b.Revision {
			continue
		}
		switch c.what {
		case "deleted":
			deleted = c.at
			if put.IsZero() && deleted.Sub(instant(t, a.NominalAt)) > 10*time.Second { // it looked before it wrote
				return false
			}
			put = time.Time{}
		case "put":
			if !deleted.IsZero() && put.IsZero() {
				put = c.at
			}
		}
	}
	return !put.IsZero() && instant(t, b.NominalAt).Sub(put) <= time.Second
}

// A daemon that is killed again and again, while its schedules are edited, paused, resumed and deleted, accounts for each due time once, and starts
// no run twice.
func TestEachDueTimeHasOneRowUnderSIGKILL(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.say(t, 0, "", "register", "tick", fileIn(t, d.dir, "tick.yaml", atOnce))
	c := d.client(t)
	names := []string{"a", "b", "c", "e"}
	policies := []string{"skip", "buffer_all", "allow", "cancel_running"}
	put := func(ctx context.Context, name string) error {
		_, _, err := c.PutSchedule(ctx, name, fmt.Appendf(nil, `{"workflow":"tick","every":"1s","overlap":%q,"note":"%d","catch_up":{"window":"1m","max":100}}`, policies[rand.IntN(4)], rand.IntN(1000)), 0)
		return err
	}
	for _, name := range names {
		if err := put(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	kills := 8
	if testing.Short() {
		kills = 4
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() {
		meddle(ctx, c, names, func(name string) error { return put(ctx, name) })
		close(done)
	}()
	for range kills {
		time.Sleep(time.Duration(500+rand.IntN(1000)) * time.Millisecond) // the daemon works meanwhile: this is no wait for anything
		d.kill()
		d.again(t)
	}
	stop()
	<-done
	for _, name := range names { // whatever it is now
		if err := put(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if _, err := c.PauseSchedule(t.Context(), name, ""); err != nil {
			t.Fatal(err)
		}
	}
	changes := changesOf(t, c)
	all := 0 // rows; one schedule has few or none when it was paused or deleted most of the time
	for _, name := range names {
		rows := wholeLedger(t, d, name)
		runs := map[string]bool{}
		for i := range rows {
			row := &rows[i]
			if i > 0 {
				before := &rows[i-1]
				switch gap := instant(t, row.NominalAt).Sub(instant(t, before.NominalAt)); {
				case gap <= 0:
					t.Errorf("schedule %s: two rows for a time, or out of order: %+v and %+v", name, before, row)
				case gap != time.Second && !gapMayBe(t, changes[name], before, row):
					t.Errorf("schedule %s: no row between %+v and %+v; its changes are %v", name, before, row, changes[name])
				}
			}
			if row.RunID == "" {
				continue
			}
			if runs[row.RunID] {
				t.Errorf("%s stands twice", row.RunID)
			}
			if runs[row.RunID] = true; row.Outcome == "start_failed" || row.Count > 1 {
				t.Errorf("%+v", row)
			}
		}
		all += len(rows)
		list, _, err := c.List(t.Context(), client.Filter{IDPrefix: name + "-"}, 1000, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range list {
			if !runs[run.WorkflowID] {
				t.Errorf("run %s has no row", run.WorkflowID)
			}
			delete(runs, run.WorkflowID)
		}
		for _, row := range rows { // that are buffered have none yet
			if row.StartedAt != "" && runs[row.RunID] {
				t.Errorf("schedule %s: %+v says that its run was started", name, row)
			}
		}
	}
	if all < kills {
		t.Errorf("the schedules have %d rows", all)
	}
	kinds := map[string]bool{}
	for _, of := range changes {
		for _, c := range of {
			kinds[c.what] = true
		}
	}
	t.Log(slices.Sorted(maps.Keys(kinds)))
	d.kill()
	d.say(t, 0, "", "verify", filepath.Join(d.dir, "runs.db"))
}
