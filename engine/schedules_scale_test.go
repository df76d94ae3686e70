package engine_test

import (
	"cmp"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// putMany puts schedules, many at once.
func putMany(t *testing.T, eng *engine.Engine, n int, text func(i int) string) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range 2048 {
		wg.Go(func() {
			for i := w; i < n; i += 2048 {
				if _, _, err := eng.SchedulePut(t.Context(), scheduleOf(t, text(i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// Ten thousand schedules are due in one minute: all of them start, in the order in which they are due, and cost the engine no more turns
// and records than so many starts do.
func TestTenThousandSchedulesInOneMinute(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 1_000
	}
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock()})
	register(t, eng, "w", flow.WaitSignal("go", "go"))
	putMany(t, eng, n, func(i int) string {
		return fmt.Sprintf(`{"name":"s%05d","workflow":"w","cron":"0 0 * * *","jitter":"5s"}`, i)
	})
	stats := func() engine.Stats {
		s, err := eng.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := stats()
	midnight := eng.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	if _, err := eng.Advance(t.Context(), midnight.Add(5*time.Second).Sub(eng.Now())); err != nil {
		t.Fatal(err)
	}
	var due []string // the ids of the runs in the order in which they are due
	rows := map[string]string{}
	for after := ""; ; {
		page, next, err := eng.ScheduleList(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page {
			if s.Last == nil || s.Last.Outcome != "fired" || s.OverdueMS != 0 {
				t.Fatalf("%+v, the last row %+v", s, s.Last)
			}
			due = append(due, s.Last.RunID)
			rows[s.Last.RunID] = s.Last.DueAt + s.Name
		}
		if after = next; after == "" {
			break
		}
	}
	slices.SortFunc(due, func(a, b string) int { return cmp.Compare(rows[a], rows[b]) })
	all, err := eng.List(t.Context(), engine.ListFilter{Limit: n + 1})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b engine.RunHead) int { return cmp.Compare(a.Number, b.Number) })
	var started []string
	for i := range all {
		started = append(started, all[i].WorkflowID)
	}
	if len(started) != n || !slices.Equal(started, due) {
		i := 0
		for i < min(len(started), len(due)) && started[i] == due[i] {
			i++
		}
		t.Errorf("%d of %d were started; the order is another one from %d on", len(started), n, i)
	}
	after := stats()
	if turns := after.Turns - before.Turns; turns > uint64(n) {
		t.Errorf("%d turns for %d starts", turns, n)
	}
	if records := after.Records - before.Records; records > uint64(3*n) { // one of the run, one of the ledger, and those of checkpoints
		t.Errorf("%d records for %d starts", records, n)
	}
}

// A hundred thousand schedules that are not due cost memory, but wake nobody.
func TestAHundredThousandSchedulesAreIdle(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 2_000
	}
	synctest.Test(t, func(t *testing.T) {
		hour := func(n int) (turns uint64, bytes int64) {
			eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer eng.Close()
			heap := func() int64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			before := heap()
			putMany(t, eng, n, func(i int) string {
				return fmt.Sprintf(`{"name":"s%06d","workflow":"w","cron":"%d %d * * *","time_zone":"Europe/Berlin","input":{"source":%q}}`, i, i%60, 12+i%6, strings.Repeat("x", 20))
			})
			bytes = heap() - before
			stats := func() uint64 {
				s, err := eng.Stats()
				if err != nil {
					t.Fatal(err)
				}
				return s.Turns
			}
			time.Sleep(time.Minute)
			began := stats()
			time.Sleep(time.Hour)
			return stats() - began, bytes
		}
		none, _ := hour(0)
		many, bytes := hour(n) // a bubble begins at midnight: nothing is due before eleven
		if many != none {
			t.Errorf("the engine turned %d times in an hour with %d schedules, and %d times without", many, n, none)
		}
		t.Logf("%d schedules take %d MB, %d bytes each", n, bytes>>20, bytes/int64(n))
		if limit := int64(10 * 50 << 20); bytes > limit {
			t.Errorf("%d schedules take %d bytes, the limit is %d", n, bytes, limit)
		}
	})
}
