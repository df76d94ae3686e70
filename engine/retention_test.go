package engine_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// Each run goes when its own time is over, not before, and what is kept for ever stays.
func TestRetentionByStateAndByWorkflow(t *testing.T) {
	day := 24 * time.Hour
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock(), Retention: engine.Retention{Completed: 30 * day, Failed: 90 * day}})
	handle(t, eng, "h", null)
	steps := []flow.Step{flow.Task("s", "svc", "h")}
	ms := func(d time.Duration) *int64 { n := d.Milliseconds(); return &n }
	failing := flow.WaitSignal("s", "never")
	failing.Signal.TimeoutMS = ms(0)
	for name, def := range map[string]flow.Definition{
		"plain":  {Steps: steps},
		"short":  {Steps: steps, Retention: &flow.Retention{CompletedMS: ms(7 * day)}},
		"always": {Steps: steps, Retention: &flow.Retention{CompletedMS: ms(0)}},
		"fails":  {Steps: []flow.Step{failing}},
		"gone":   {Steps: []flow.Step{flow.WaitSignal("s", "never")}},
	} {
		if err := eng.Register(name, def); err != nil {
			t.Fatal(err)
		}
		if _, err := eng.Start(t.Context(), name, nil, engine.WithID(name)); err != nil {
			t.Fatal(err)
		}
		if name == "gone" { // cancelled: for ever
			if err := eng.Cancel(t.Context(), name, ""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := eng.Wait(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := eng.Start(t.Context(), "gone", nil, engine.WithID("open")); err != nil {
		t.Fatal(err)
	}
	at := time.Duration(0)
	for _, step := range []struct {
		at   time.Duration
		left string
	}{{7*day - time.Minute, "always fails gone open plain short"}, {7*day + time.Minute, "always fails gone open plain"}, {30*day - time.Minute, "always fails gone open plain"},
		{30*day + time.Minute, "always fails gone open"}, {91 * day, "always gone open"}, {4000 * day, "always gone open"}} {
		if _, err := eng.Advance(t.Context(), step.at-at); err != nil {
			t.Fatal(err)
		}
		at = step.at
		until(t, func() bool { return runsOf(t, eng) == step.left }, func() string { return fmt.Sprintf("after %s: %s, want %s", step.at, runsOf(t, eng), step.left) })
		if step.at == 30*day+time.Minute {
			until(t, func() bool { return reasons(t, eng)["retention"] == 2 }, func() string { return fmt.Sprint("the entries that tell of deletions: ", reasons(t, eng)) })
		}
	}
}

// reasons counts the entries that tell of deletions, by why.
func reasons(t *testing.T, eng *engine.Engine) map[string]int {
	events, _, err := eng.Feed(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, e := range events {
		if e.Kind == "RunsDeleted" {
			all[fmt.Sprint(e.Data["reason"])]++
		}
	}
	return all
}

func runsOf(t *testing.T, eng *engine.Engine) string {
	runs, err := eng.List(t.Context(), engine.ListFilter{Children: true})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.WorkflowID)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// A file that is large, and from which nothing is ever deleted, is worth a line in the log; one with retention is not.
func TestALargeFileWithoutRetentionIsSaid(t *testing.T) {
	for _, keep := range []time.Duration{0, time.Hour} {
		path := filepath.Join(t.TempDir(), "runs.db")
		eng, err := engine.Open(path, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 1<<30+1<<20); err != nil {
			t.Skip(err)
		}
		var said safe
		eng, err = engine.Open(path, engine.Options{Retention: engine.Retention{Failed: keep}, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if keep == 0 {
			until(t, func() bool { return strings.Contains(said.String(), "the journal grows") }, said.String)
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(said.String(), "the journal grows"); got != map[bool]int{true: 1}[keep == 0] {
			t.Errorf("kept %s: said %d times", keep, got)
		}
	}
}

// A parent takes its children along, as many with one record as go of other runs: what a commit takes away is bounded.
func TestRetentionDeletesChildrenInSlices(t *testing.T) {
	const children, most = 250, 200
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock(), Retention: engine.Retention{Completed: time.Hour}})
	handle(t, eng, "h", null)
	register(t, eng, "child", flow.Task("s", "svc", "h"))
	register(t, eng, "parent", flow.Child("each", "child", flow.ForEachOf(make([]int, children)), flow.MaxParallel(children)))
	if _, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p")); err != nil {
		t.Fatal(err)
	}
	if st, err := eng.Wait(t.Context(), "p"); err != nil || st.State != "completed" {
		t.Fatalf("%+v, %v", st, err)
	}
	if _, err := eng.Advance(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	var slices []int
	until(t, func() bool {
		var wg sync.WaitGroup
		for range 64 { // while others write, the keeper need not rest
			wg.Go(func() {
				if _, err := eng.Start(t.Context(), "child", nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		slices = deletions(t, eng)
		total := 0
		for _, n := range slices {
			total += n
		}
		return total == children+1
	}, func() string { return fmt.Sprintf("deleted %d, want %d in all", slices, children+1) })
	for _, n := range slices {
		if n > most {
			t.Errorf("runs deleted with one record: %d, want at most %d", slices, most)
		}
	}
}

// deletions gives how many runs each entry deleted.
func deletions(t *testing.T, eng *engine.Engine) (all []int) {
	for after := uint64(0); ; {
		events, next, err := eng.Feed(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if ids, ok := e.Data["workflow_ids"].([]string); ok && e.Kind == "RunsDeleted" {
				all = append(all, len(ids))
			}
		}
		if len(events) == 0 || next == after {
			return all
		}
		after = next
	}
}
