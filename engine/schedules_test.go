package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/agnt5/agnt5d/worker"
)

func scheduleOf(t *testing.T, text string) *schedules.Definition {
	t.Helper()
	d, problems := schedules.Read([]byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return d
}

func putSchedule(t *testing.T, eng *engine.Engine, text string) engine.Schedule {
	t.Helper()
	s, _, err := eng.SchedulePut(t.Context(), scheduleOf(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// advanceTo moves the clock to a moment behind the next due time of a schedule.
func advanceTo(t *testing.T, eng *engine.Engine, name string, behind time.Duration) string {
	t.Helper()
	times, err := eng.ScheduleNext(t.Context(), name, 1)
	if err != nil || len(times) != 1 {
		t.Fatal(times, err)
	}
	at, err := time.Parse(time.RFC3339, times[0].DueAt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Advance(t.Context(), at.Add(behind).Sub(eng.Now())); err != nil {
		t.Fatal(err)
	}
	return times[0].NominalAt
}

func ledger(t *testing.T, eng *engine.Engine, name string) (rows []engine.ScheduleRow, text string) {
	t.Helper()
	rows, _, err := eng.ScheduleLedger(t.Context(), name, engine.LedgerFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, row := range rows {
		all = append(all, row.Outcome)
	}
	return rows, strings.Join(all, " ")
}

func TestAScheduleStartsItsRuns(t *testing.T) {
	clock := engine.NewTestClock()
	eng, path := open(t, engine.Options{Clock: clock})
	register(t, eng, "w", flow.WaitSignal("go", "go"))
	s := putSchedule(t, eng, `{"name":"hourly","workflow":"w","cron":"0 * * * *","time_zone":"Asia/Tokyo","input":{"a":1,"day":"${ local_date }"}}`)
	if s.Revision != 1 || s.State != "active" || s.Owner != "api" || s.Next == nil {
		t.Fatalf("put: %+v", s)
	}
	nominal := advanceTo(t, eng, "hourly", time.Millisecond)
	rows, text := ledger(t, eng, "hourly")
	if text != "fired" || rows[0].NominalAt != nominal || rows[0].LagMS > 10_000 || rows[0].TimeZone != "Asia/Tokyo" || !strings.HasSuffix(rows[0].Local, "+09:00") {
		t.Fatalf("%+v", rows)
	}
	st, err := eng.Status(t.Context(), rows[0].RunID)
	if err != nil || st.State != "running" || string(st.Input) != `{"a":1,"day":"`+rows[0].Local[:10]+`"}` || st.WorkflowID != "hourly-"+strings.Replace(nominal, ".000Z", "Z", 1) {
		t.Fatalf("%+v, %v", st, err)
	}
	advanceTo(t, eng, "hourly", time.Millisecond)
	if _, text := ledger(t, eng, "hourly"); text != "skipped_overlap fired" {
		t.Fatal(text)
	}
	if err := eng.Signal(t.Context(), st.WorkflowID, "go", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), st.WorkflowID); err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	eng, err = engine.Open(path, engine.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	advanceTo(t, eng, "hourly", time.Millisecond)
	if _, text := ledger(t, eng, "hourly"); text != "fired skipped_overlap fired" {
		t.Fatal(text)
	}
	got, err := eng.ScheduleGet(t.Context(), "hourly")
	if err != nil || len(got.Running) != 1 || got.Runs != 2 || got.Last.Outcome != "fired" {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestWhatStandsInTheWayOfASchedule(t *testing.T) {
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock()})
	codes := func(name string) string {
		got, err := eng.ScheduleExplain(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, r := range got.Reasons {
			all = append(all, r.Code)
		}
		return strings.Join(all, " ")
	}
	putSchedule(t, eng, `{"name":"a","workflow":"w","every":"1h"}`)
	if got := codes("a"); got != "workflow_not_found" {
		t.Error(got)
	}
	advanceTo(t, eng, "a", 0)
	rows, text := ledger(t, eng, "a")
	if text != "start_failed" || rows[0].Code != "workflow_not_found" {
		t.Errorf("%+v", rows)
	}
	if got := codes("a"); got != "workflow_not_found last_start_failed" {
		t.Error(got)
	}
	stats, err := eng.Stats()
	if err != nil {
		t.Fatal(err)
	}
	failed := uint64(0)
	for key, n := range stats.Schedules {
		if key.Schedule == "a" && key.Outcome == "start_failed" {
			failed += n
		}
	}
	if failed != 1 || stats.Overdue != 0 {
		t.Errorf("metrics: %v, overdue %d", stats.Schedules, stats.Overdue)
	}
	register(t, eng, "w", flow.WaitSignal("go", "go"))
	times, err := eng.ScheduleNext(t.Context(), "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	taken := "a-" + strings.Replace(times[0].NominalAt, ".000Z", "Z", 1)
	if _, err := eng.Start(t.Context(), "w", "mine", engine.WithID(taken)); err != nil {
		t.Fatal(err)
	}
	advanceTo(t, eng, "a", 0)
	if rows, _ := ledger(t, eng, "a"); rows[0].Outcome != "start_failed" || rows[0].Code != "run_id_taken" {
		t.Errorf("%+v", rows[0])
	}
	if _, err := eng.SchedulePause(t.Context(), "a", engine.WithNote("for the audit")); err != nil {
		t.Fatal(err)
	}
	advanceTo(t, eng, "a", 0)
	if _, text := ledger(t, eng, "a"); text != "paused start_failed start_failed" {
		t.Error(text)
	}
	if got := codes("a"); !strings.HasPrefix(got, "paused") {
		t.Error(got)
	}
	got, err := eng.ScheduleResume(t.Context(), "a", engine.WithCatchUp())
	if err != nil || got.State != "active" || got.Last.Outcome != "caught_up" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, text := ledger(t, eng, "a"); text != "caught_up start_failed start_failed" {
		t.Error(text)
	}
}

func TestAScheduleIsChangedTriggeredAndDeleted(t *testing.T) {
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock()})
	register(t, eng, "w", flow.WaitSignal("go", "go"))
	putSchedule(t, eng, `{"name":"a","workflow":"w","every":"1h","overlap":"buffer_one"}`)
	if again := putSchedule(t, eng, `{"name":"a","workflow":"w","every":"60m","overlap":"buffer_one"}`); again.Revision != 1 {
		t.Errorf("the same definition again: revision %d", again.Revision)
	}
	changed := scheduleOf(t, `{"name":"a","workflow":"w","every":"2h","overlap":"buffer_one"}`)
	if _, _, err := eng.SchedulePut(t.Context(), changed, engine.IfRevision(7)); !errors.Is(err, engine.ErrScheduleChanged) {
		t.Errorf("another revision: %v", err)
	}
	if _, _, err := eng.SchedulePut(t.Context(), changed, engine.IfRevision(0)); !errors.Is(err, engine.ErrScheduleChanged) {
		t.Errorf("none: %v", err)
	}
	if s, created, err := eng.SchedulePut(t.Context(), changed, engine.IfRevision(1)); err != nil || created || s.Revision != 2 {
		t.Errorf("%+v, %v, %v", s, created, err)
	}
	first, err := eng.ScheduleTrigger(t.Context(), "a", engine.WithTriggerInput([]byte(`7`)))
	if err != nil || first.Outcome != "triggered" || !strings.HasPrefix(first.RunID, "a-trigger-") || first.By != "local" {
		t.Fatalf("%+v, %v", first, err)
	}
	if events, err := eng.History(t.Context(), first.RunID, 0, 1); err != nil || events[0].Data["by"] != "local" {
		t.Errorf("who started it: %+v, %v", events, err)
	}
	second, err := eng.ScheduleTrigger(t.Context(), "a")
	if err != nil || second.Outcome != "buffered" {
		t.Fatalf("%+v, %v", second, err)
	}
	if third, err := eng.ScheduleTrigger(t.Context(), "a", engine.WithOverlap("skip")); err != nil || third.Outcome != "skipped_overlap" {
		t.Fatalf("%+v, %v", third, err)
	}
	if err := eng.Cancel(t.Context(), first.RunID, ""); err != nil {
		t.Fatal(err)
	}
	outcomes := func() string { // in any order: triggers of one millisecond have none
		rows, _ := ledger(t, eng, "a")
		all := []string{}
		for _, row := range rows {
			all = append(all, row.Outcome)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	until(t, func() bool { return outcomes() == "skipped_overlap triggered triggered" }, outcomes)
	if st, err := eng.Status(t.Context(), second.RunID); err != nil || st.State != "running" {
		t.Errorf("%+v, %v", st, err)
	}
	if err := eng.ScheduleDelete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.ScheduleGet(t.Context(), "a"); !errors.Is(err, engine.ErrScheduleNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if rows, _ := ledger(t, eng, "a"); len(rows) != 3 {
		t.Errorf("the ledger of a deleted one: %+v", rows)
	}
	if list, _, err := eng.ScheduleList(t.Context(), "", 0); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := eng.Advance(t.Context(), 3*time.Hour); err != nil {
		t.Fatal(err)
	}
	if rows, _ := ledger(t, eng, "a"); len(rows) != 3 {
		t.Errorf("a deleted one fires: %+v", rows)
	}
	if s := putSchedule(t, eng, `{"name":"a","workflow":"w","every":"1h"}`); s.Revision != 3 {
		t.Errorf("put again: revision %d", s.Revision)
	}
}

func TestCancelRunningStartsTheNextWhenTheOtherHasEnded(t *testing.T) {
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock()})
	register(t, eng, "w", flow.WaitSignal("go", "go"))
	putSchedule(t, eng, `{"name":"a","workflow":"w","every":"1h","overlap":"cancel_running"}`)
	advanceTo(t, eng, "a", 0)
	advanceTo(t, eng, "a", 0)
	until(t, func() bool { _, text := ledger(t, eng, "a"); return text == "fired fired" }, func() string { _, text := ledger(t, eng, "a"); return text })
	rows, _ := ledger(t, eng, "a")
	if st, err := eng.Status(t.Context(), rows[1].RunID); err != nil || st.State != "cancelled" {
		t.Errorf("%+v, %v", st, err)
	}
	if st, err := eng.Status(t.Context(), rows[0].RunID); err != nil || st.State != "running" {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestABackfillIsPaced(t *testing.T) {
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock()})
	register(t, eng, "w", flow.WaitSignal("go", "go"))
	putSchedule(t, eng, `{"name":"a","workflow":"w","cron":"0 12 * * *"}`)
	from, to := eng.Now().AddDate(0, 0, -25), eng.Now()
	plan, err := eng.ScheduleBackfill(t.Context(), "a", from, to, engine.DryRun())
	if err != nil || plan.Times != 25 || len(plan.Listed) != 25 || plan.Listed[0].Exists {
		t.Fatalf("%+v, %v", plan, err)
	}
	if plan, err = eng.ScheduleBackfill(t.Context(), "a", from, to, engine.WithOverlap("allow")); err != nil || plan.Times != 25 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if _, err := eng.ScheduleBackfill(t.Context(), "a", from, to); !errors.Is(err, engine.ErrBackfillRunning) {
		t.Errorf("a second one: %v", err)
	}
	running := func() []string {
		s, err := eng.ScheduleGet(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return s.Running
	}
	until(t, func() bool { return len(running()) == 10 }, func() string { return fmt.Sprint(running()) })
	ended := map[string]bool{}
	for len(ended) < 25 {
		open := running()
		if len(open) > 10 {
			t.Fatalf("%d at once", len(open))
		}
		for _, id := range open {
			if !ended[id] {
				ended[id] = true
				if err := eng.Signal(t.Context(), id, "go", nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	until(t, func() bool { return len(running()) == 0 }, func() string { return fmt.Sprint(running()) })
	if _, text := ledger(t, eng, "a"); strings.Count(text, "backfilled") != 25 {
		t.Error(text)
	}
	if plan, err = eng.ScheduleBackfill(t.Context(), "a", from, to, engine.DryRun()); err != nil || !plan.Listed[24].Exists {
		t.Errorf("%+v, %v", plan, err)
	}
}

// A due time that has had its run keeps its row when the run is deleted: neither a backfill nor a resumption starts it again.
func TestATimeWhoseRunWasDeletedIsNotStartedAgain(t *testing.T) {
	for _, keep := range []time.Duration{time.Hour, 90 * 24 * time.Hour} { // the id of the run is free again, or not
		eng, _ := open(t, engine.Options{Clock: engine.NewTestClock(), Tombstones: keep})
		handle(t, eng, "work", func(context.Context, *worker.Task) (json.RawMessage, error) { return json.RawMessage("1"), nil })
		register(t, eng, "w", flow.Task("s", "svc", "work"))
		from := eng.Now()
		at := func(d time.Duration) string { return from.Add(d).UTC().Format(time.RFC3339) }
		putSchedule(t, eng, fmt.Sprintf(`{"name":"a","workflow":"w","at":[%q,%q],"catch_up":{"window":"24h","max":9}}`, at(time.Hour), at(3*time.Hour)))
		if _, err := eng.SchedulePause(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := eng.Advance(t.Context(), 2*time.Hour); err != nil {
			t.Fatal(err)
		}
		fill := func() string {
			if _, err := eng.ScheduleBackfill(t.Context(), "a", from, eng.Now()); err != nil {
				t.Fatal(err)
			}
			until(t, func() bool {
				s, err := eng.ScheduleGet(t.Context(), "a")
				return err == nil && s.Backfill == nil && len(s.Running) == 0
			}, func() string { return "the backfill goes on" })
			rows, _ := ledger(t, eng, "a")
			return fmt.Sprintf("%+v", rows)
		}
		before := fill()
		rows, text := ledger(t, eng, "a")
		if text != "backfilled" {
			t.Fatal(text)
		}
		until(t, func() bool { return eng.Delete(t.Context(), rows[0].RunID) == nil }, func() string { return "the run is not deleted" })
		if after := fill(); after != before {
			t.Errorf("ids are kept for %s: a backfill changes the row of a run that was deleted from\n%s to\n%s", keep, before, after)
		}
		if _, err := eng.Advance(t.Context(), 2*time.Hour); err != nil {
			t.Fatal(err)
		}
		fill()
		if rows, _ := ledger(t, eng, "a"); fmt.Sprintf("%+v", rows[len(rows)-1:]) != before {
			t.Errorf("ids are kept for %s: a backfill later changes the row to %+v", keep, rows)
		}
		plan, err := eng.ScheduleBackfill(t.Context(), "a", from, eng.Now(), engine.DryRun())
		if err != nil || !plan.Listed[0].Exists {
			t.Errorf("ids are kept for %s: %+v, %v", keep, plan.Listed, err)
		}
		if _, err := eng.ScheduleResume(t.Context(), "a", engine.WithCatchUp()); err != nil {
			t.Fatal(err)
		}
		if rows, _ := ledger(t, eng, "a"); fmt.Sprintf("%+v", rows[len(rows)-1:]) != before {
			t.Errorf("ids are kept for %s: a resumption changes the row to %+v", keep, rows)
		}
	}
}

func TestAMissedTimeIsCaughtUpAfterARestart(t *testing.T) {
	clock := engine.NewTestClock()
	eng, path := open(t, engine.Options{Clock: clock})
	register(t, eng, "w", flow.WaitSignal("go", "go"))
	putSchedule(t, eng, `{"name":"a","workflow":"w","every":"1h","catch_up":{"window":"3h","max":1}}`)
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := engine.Open(filepath.Join(t.TempDir(), "other.db"), engine.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Advance(t.Context(), 5*time.Hour); err != nil {
		t.Fatal(err)
	}
	eng, err = engine.Open(path, engine.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	until(t, func() bool { rows, _ := ledger(t, eng, "a"); return len(rows) == 5 }, func() string { _, text := ledger(t, eng, "a"); return text })
	if _, text := ledger(t, eng, "a"); text != "caught_up missed missed missed missed" {
		t.Error(text)
	}
	if s, err := eng.ScheduleGet(t.Context(), "a"); err != nil || s.Missed7d != 4 {
		t.Errorf("%+v, %v", s, err)
	}
}

// What became of due times is kept for 90 days, and so is that there was a schedule.
func TestALedgerIsKeptFor90Days(t *testing.T) {
	eng, path := open(t, engine.Options{Clock: engine.NewTestClock()})
	register(t, eng, "w", flow.WaitSignal("go", "go"))
	putSchedule(t, eng, `{"name":"daily","workflow":"w","cron":"0 0 * * *","paused":true}`)
	putSchedule(t, eng, `{"name":"gone","workflow":"w","every":"1h"}`)
	if _, err := eng.ScheduleTrigger(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if err := eng.ScheduleDelete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	began := eng.Now()
	for range 80 {
		advanceTo(t, eng, "daily", 0)
	}
	if rows, _ := ledger(t, eng, "daily"); len(rows) != 80 {
		t.Fatalf("after 80 days: %d rows", len(rows))
	}
	if rows, _ := ledger(t, eng, "gone"); len(rows) != 1 {
		t.Fatalf("after 80 days: %d rows", len(rows))
	}
	for range 15 {
		advanceTo(t, eng, "daily", 0)
	}
	looks := 0
	dayOr := func(done bool) bool { // the keeper may have looked at the clock before it was put on, and looks again a day later
		if looks++; !done && looks%500 == 0 {
			advanceTo(t, eng, "daily", 0)
		}
		return done
	}
	until(t, func() bool {
		_, _, err := eng.ScheduleLedger(t.Context(), "gone", engine.LedgerFilter{})
		return dayOr(errors.Is(err, engine.ErrScheduleNotFound))
	}, func() string { return "the ledger of a schedule that was deleted 95 days ago is there" })
	oldest := func() time.Time {
		rows, _ := ledger(t, eng, "daily")
		at, err := time.Parse(time.RFC3339, rows[len(rows)-1].NominalAt)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	until(t, func() bool { return dayOr(eng.Now().Sub(oldest()) < 92*24*time.Hour) }, func() string { return fmt.Sprint("the oldest row is for ", oldest()) })
	if at := oldest(); eng.Now().Sub(at) < 89*24*time.Hour || at.Before(began) {
		t.Errorf("the oldest row is for %s", at)
	}
	if s, err := eng.ScheduleGet(t.Context(), "daily"); err != nil || s.State != "paused" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := engine.Open(path, engine.Options{Clock: engine.NewTestClock()})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.ScheduleGet(t.Context(), "gone"); !errors.Is(err, engine.ErrScheduleNotFound) {
		t.Error(err)
	}
}
