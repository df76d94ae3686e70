package engine_test

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/sealed"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/worker"
)

var record = flag.String("record", "", "keep the journal that TestAJournalWithEverythingGoesOn makes in testdata/journals, under this name")

// withEverything opens a journal whose payloads are sealed, with handlers for the workflows of makeEverything.
func withEverything(t *testing.T, path string) *engine.Engine {
	t.Helper()
	eng, err := engine.Open(path, engine.Options{Codec: keysOf(t, "k1"), Clock: engine.NewTestClock()})
	if err != nil {
		t.Fatal(err)
	}
	handle(t, eng, "double", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		var n int
		err := json.Unmarshal(task.Item, &n)
		return json.RawMessage(fmt.Sprint(2 * n)), err
	})
	handle(t, eng, "count", func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
		worker.Log(ctx).Info("counted")
		return json.RawMessage("1"), task.SetObject("acct", map[string]int{"n": 1})
	})
	handle(t, eng, "fails", func(context.Context, *worker.Task) (json.RawMessage, error) {
		return nil, &worker.Error{Message: "no", Code: "no", Retryable: new(bool)}
	})
	return eng
}

// makeEverything makes a journal with runs of the language's features, open and ended, objects, a schedule that has fired, a setting, a
// version that was replaced, and a run that retention has deleted.
func makeEverything(t *testing.T, path string) {
	t.Helper()
	eng := withEverything(t, path)
	second := int64(1000)
	brief := flow.Definition{Steps: []flow.Step{flow.WaitTimer("t", "t", flow.Delay(0))}, Retention: &flow.Retention{CompletedMS: &second}}
	if err := eng.Register("brief", brief); err != nil {
		t.Fatal(err)
	}
	register(t, eng, "each", flow.Task("double", "svc", "double", flow.ForEach("input.list"), flow.MaxParallel(2)), flow.WaitSignal("go", "go", flow.After("double")),
		flow.Task("big", "svc", "count", flow.When("len(steps.double.output) > 2"), flow.Keys("acct"), flow.After("go")))
	register(t, eng, "fails", flow.Task("f", "svc", "fails", flow.OnFailure("c")), flow.WaitSignal("c", "go"))
	register(t, eng, "nap", flow.WaitSignal("a", "a"))
	register(t, eng, "nap", flow.WaitSignal("b", "go"))
	putSchedule(t, eng, `{"name":"hourly","workflow":"nap","cron":"0 * * * *","time_zone":"Asia/Tokyo","input":{"day":"${ local_date }"}}`)
	start := func(workflow, id string, input any) {
		if _, err := eng.Start(t.Context(), workflow, input, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
	}
	start("brief", "brief-deleted", nil)
	for _, id := range []string{"each-done", "each-open"} {
		start("each", id, map[string]any{"list": []int{1, 2, 3}})
	}
	start("fails", "fails-open", nil)
	start("nap", "nap-cancelled", "secret")
	if err := eng.Cancel(t.Context(), "nap-cancelled", "enough"); err != nil {
		t.Fatal(err)
	}
	if err := eng.Signal(t.Context(), "each-done", "go", map[string]string{"by": "me"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"each-done", "brief-deleted"} {
		if st, err := eng.Wait(t.Context(), id); err != nil || st.State != "completed" {
			t.Fatalf("%s: %+v, %v", id, st, err)
		}
	}
	waits := func(run, step string) {
		until(t, func() bool {
			st, err := eng.Status(t.Context(), run)
			return err == nil && st.Steps[step].State == "waiting"
		}, func() string { return run + " does not come to its wait" })
	}
	waits("each-open", "go")
	waits("fails-open", "c")
	advanceTo(t, eng, "hourly", time.Millisecond)
	until(t, func() bool { _, text := ledger(t, eng, "hourly"); return text == "fired" }, func() string { return "the schedule does not fire" })
	if err := eng.Set(t.Context(), "token/root", []byte(`{"name":"root"}`)); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { _, err := eng.Status(t.Context(), "brief-deleted"); return err != nil }, func() string { return "retention does not delete the run" })
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
}

// foldEverything folds every run of a sealed journal, and finds no damage in it.
func foldEverything(t *testing.T, path string) (runs []recorded) {
	t.Helper()
	file, err := bolt.OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Verify(t.Context(), func(d journal.Damage) { t.Errorf("%s: %+v", path, d) }); err != nil {
		t.Error(err)
	}
	j, err := sealed.Wrap(file, keysOf(t, "k1"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := j.Heads(journal.HeadFilter{})
	if err != nil {
		t.Fatal(err)
	}
	past := archive.New(j)
	for _, h := range page.Heads {
		s, err := past.FoldRun(h.Run, h.LastSeq)
		if err != nil {
			t.Fatalf("%s: %v", h.ID, err)
		}
		s.Released()
		runs = append(runs, recorded{ID: h.ID, State: s.Status.String(), LastSeq: h.LastSeq, Events: s.Events, Digest: hex.EncodeToString(s.Digest())})
	}
	return runs
}

// everythingGoesOn takes a copy of such a journal to its end.
func everythingGoesOn(t *testing.T, path string) {
	t.Helper()
	eng := withEverything(t, path)
	for _, c := range []struct{ run, state string }{{"each-open", "completed"}, {"fails-open", "completed"}, {"nap-cancelled", "cancelled"}, {"each-done", "completed"}} {
		if strings.HasSuffix(c.run, "-open") {
			if err := eng.Signal(t.Context(), c.run, "go", nil); err != nil {
				t.Error(err)
			}
		}
		if st, err := eng.Wait(t.Context(), c.run); err != nil || st.State != c.state {
			t.Errorf("%s: %+v, %v", c.run, st, err)
		}
	}
	rows, _ := ledger(t, eng, "hourly")
	if fired := rows[len(rows)-1]; fired.Outcome != "fired" {
		t.Errorf("the ledger: %+v", rows)
	} else if err := eng.Signal(t.Context(), fired.RunID, "go", nil); err != nil {
		t.Error(err)
	} else if st, err := eng.Wait(t.Context(), fired.RunID); err != nil || st.State != "completed" || !strings.Contains(string(st.Input), `"day"`) {
		t.Errorf("the schedule's run: %+v, %v", st, err)
	}
	if o, err := eng.Object(t.Context(), "acct"); err != nil || string(o.State) != `{"n":1}` || o.Version != 2 {
		t.Errorf("object: %+v, %v", o, err)
	}
	if s, err := eng.Settings("token/"); err != nil || string(s["token/root"]) != `{"name":"root"}` {
		t.Errorf("settings: %q, %v", s, err)
	}
	if w, err := eng.Workflow(t.Context(), "nap", 0); err != nil || w.Version != 2 || w.Versions != 2 {
		t.Errorf("workflow: %+v, %v", w, err)
	}
	if _, err := eng.Start(t.Context(), "brief", nil, engine.WithID("brief-deleted")); err == nil {
		t.Error("the id of a deleted run is used again")
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	foldEverything(t, path)
}

// A journal with all that there is goes on after a restart, and so does each that an earlier release made like that, which folds to the
// states that it had then.
func TestAJournalWithEverythingGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.db")
	makeEverything(t, path)
	runs := foldEverything(t, path)
	if *record != "" {
		keepJournal(t, path, runs)
	}
	everythingGoesOn(t, path)
	for _, name := range []string{"format0-features"} {
		path, runs := unpack(t, name)
		got := map[string]recorded{}
		for _, r := range foldEverything(t, path) {
			got[r.ID] = r
		}
		for _, want := range runs {
			if got[want.ID] != want {
				t.Errorf("%s: it was %+v, and is %+v", name, want, got[want.ID])
			}
		}
		if len(got) != len(runs) {
			t.Errorf("%s: %d runs, want %d", name, len(got), len(runs))
		}
		everythingGoesOn(t, path)
	}
}

// keepJournal keeps a journal, and what its runs are, for later releases.
func keepJournal(t *testing.T, path string, runs []recorded) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("../testdata/journals", *record)
	f, err := os.Create(name + ".db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	if _, err := z.Write(whole); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for _, r := range runs {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if err := os.WriteFile(name+".jsonl", lines, 0o644); err != nil {
		t.Fatal(err)
	}
}
