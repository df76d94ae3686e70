package etl_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/examples/etl"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/agnt5/agnt5d/worker"
)

// pipeline is one over its own folder and its own API.
func pipeline(t *testing.T) *etl.Pipeline {
	t.Helper()
	dir := t.TempDir()
	if err := etl.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	url, stop, err := etl.ServeAPI(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	return &etl.Pipeline{Dir: dir, API: url}
}

func open(t *testing.T, p *etl.Pipeline, window flow.StepOption) *engine.Engine {
	t.Helper()
	return openWith(t, p, window, engine.Options{})
}

func openWith(t *testing.T, p *etl.Pipeline, window flow.StepOption, o engine.Options) *engine.Engine {
	t.Helper()
	eng, err := engine.Open(filepath.Join(p.Dir, "runs.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	if err := p.Handle(eng); err != nil {
		t.Fatal(err)
	}
	if err := eng.Register("nightly_etl", etl.Definition(window)); err != nil {
		t.Fatal(err)
	}
	return eng
}

// checked runs the check command, which shares no code with the pipeline.
func checked(t *testing.T, dir string) (string, error) {
	t.Helper()
	out, err := exec.Command("go", "run", "./check", dir).CombinedOutput()
	return string(out), err
}

func TestTheDefinitionIsTheOneOfTheGuide(t *testing.T) {
	text, err := os.ReadFile("../../testdata/flow/document/nightly_etl.json")
	if err != nil {
		t.Fatal(err)
	}
	guide, problems := flow.Parse(text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want, err := flow.Canonical(guide)
	if err != nil {
		t.Fatal(err)
	}
	ours := etl.Definition(etl.Nightly)
	got, err := flow.Canonical(&ours)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestTheNightlyRunWaitsForThreeAndItsReportIsRight(t *testing.T) {
	p := pipeline(t)
	eng := open(t, p, etl.Nightly)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run, err := eng.Start(ctx, "nightly_etl", nil, engine.WithID("night-1"))
	if err != nil {
		t.Fatal(err)
	}
	watch, stop := context.WithCancel(ctx)
	_ = eng.Watch(watch, engine.WatchFilter{Run: run}, func(e engine.Event) error {
		if e.Kind == "StepCompleted" && e.Step == "enrich_data" {
			stop()
		}
		return nil
	})
	status, err := eng.Status(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	window := status.Steps["wait_for_maintenance_window"]
	if window.State != "waiting" || !strings.Contains(window.Due, "T03:00:00.000Z") {
		t.Fatalf("the window is %+v, want it to wait for 03:00 UTC", window)
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "warehouse")); !os.IsNotExist(err) {
		t.Fatalf("there is a warehouse before the window opened: %v", err)
	}
	if err := eng.FireTimer(ctx, run, "maintenance"); err != nil {
		t.Fatal(err)
	}
	if status, err = eng.Wait(ctx, run); err != nil || status.State != "completed" {
		t.Fatalf("%v %+v", err, status)
	}
	if out, err := checked(t, p.Dir); err != nil || !strings.Contains(out, "110 figures") {
		t.Fatalf("%v: %s", err, out)
	}
	for _, e := range ledger(t, p.Dir) {
		if e.Attempt != 1 {
			t.Errorf("%s was tried again: %+v", e.Step, e)
		}
	}
	if n := len(ledger(t, p.Dir)); n != 18 {
		t.Errorf("%d lines in the ledger, want two for each of nine tasks", n)
	}
}

// The schedule of the example starts the run of a night at two, which waits for three.
func TestTheScheduleStartsTheNight(t *testing.T) {
	p := pipeline(t)
	eng := openWith(t, p, etl.Nightly, engine.Options{Clock: engine.NewTestClock()})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all, problems := schedules.ReadFile(etl.Schedules)
	if len(problems) > 0 || len(all) != 1 {
		t.Fatal(problems)
	}
	night, _, err := eng.SchedulePut(ctx, all[0])
	if err != nil {
		t.Fatal(err)
	}
	two, err := time.Parse(time.RFC3339, night.Next.DueAt)
	if err != nil || two.Hour() != 2 || two.Minute() != 0 {
		t.Fatalf("%+v, %v", night.Next, err)
	}
	if _, err := eng.Advance(ctx, two.Sub(eng.Now())); err != nil {
		t.Fatal(err)
	}
	run := "nightly-" + two.Format("2006-01-02T15:04:05Z")
	watch, stop := context.WithCancel(ctx)
	_ = eng.Watch(watch, engine.WatchFilter{Run: run}, func(e engine.Event) error {
		if e.Kind == "TimerSet" {
			stop()
		}
		return nil
	})
	if _, err := eng.Advance(ctx, two.Add(time.Hour).Sub(eng.Now())); err != nil {
		t.Fatal(err)
	}
	if status, err := eng.Wait(ctx, run); err != nil || status.State != "completed" {
		t.Fatalf("%v %+v", err, status)
	}
	rows, _, err := eng.ScheduleLedger(ctx, "nightly", engine.LedgerFilter{})
	if err != nil || len(rows) != 1 || rows[0].Outcome != "fired" || rows[0].RunID != run {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestTheCheckFindsAFalseFigure(t *testing.T) {
	p := pipeline(t)
	eng := open(t, p, flow.Delay(time.Millisecond))
	run, err := eng.Start(t.Context(), "nightly_etl", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := eng.Wait(t.Context(), run); err != nil || status.State != "completed" {
		t.Fatalf("%v %+v", err, status)
	}
	report := filepath.Join(p.Dir, "report.html")
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(string(text), "<td>Seattle</td><td>May</td><td>1", "<td>Seattle</td><td>May</td><td>2", 1)
	if bad == string(text) {
		t.Fatal("the report has no line for Seattle in May")
	}
	if err := os.WriteFile(report, []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := checked(t, p.Dir); err == nil || !strings.Contains(out, "Seattle/May/days") {
		t.Fatalf("%v: %s", err, out)
	}
}

func ledger(t *testing.T, dir string) []etl.Entry {
	t.Helper()
	entries, err := etl.Ledger(dir)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func task(run, step string, attempt uint32) context.Context {
	return worker.WithTask(context.Background(), &worker.Task{WorkflowID: run, Step: step, Attempt: attempt, IdempotencyKey: run + "/" + step})
}

func TestCleanCountsEachKindOfBadRow(t *testing.T) {
	p := pipeline(t)
	text := `city,date,precipitation,temp_max,temp_min,wind,weather,unit
A,2012-01-01,0.0,10.0,5.0,1.0,sun,C
A,2012-01-01,0.0,10.0,5.0,1.0,sun,C
A,2012-01-02,0.0,50.00,41.00,1.0,sun,F
A,2012-02-30,0.0,10.0,5.0,1.0,sun,C
A,2012-01-03,-9999,10.0,5.0,1.0,sun,C
A,2012-01-04,0.0,,5.0,1.0,sun,C
A,2012-01-05,0.0,84.0,5.0,1.0,sun,C
A,2012-01-06,0.0,5.0,9.0,1.0,sun,C
`
	if err := os.WriteFile(filepath.Join(p.Dir, "raw.csv"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := p.Clean(task("r", "clean_data", 1), etl.File{Path: "raw.csv"})
	if err != nil {
		t.Fatal(err)
	}
	want := etl.Quality{Read: 8, BadDate: 1, Missing: 2, Impossible: 2, Duplicate: 1, Kept: 2, Converted: 1}
	if out.Quality["A"] != want {
		t.Fatalf("got %+v, want %+v", out.Quality["A"], want)
	}
	kept, err := os.ReadFile(filepath.Join(p.Dir, out.Path))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(kept), "A,2012-01-02,0.0,10.0,5.0,1.0,sun\n") {
		t.Fatalf("the day in Fahrenheit is not 10 and 5 degrees:\n%s", kept)
	}
}

func TestALoadThatIsDoneAgainLeavesOneSetOfParts(t *testing.T) {
	p := pipeline(t)
	if err := os.MkdirAll(filepath.Join(p.Dir, "runs", "r"), 0o755); err != nil {
		t.Fatal(err)
	}
	rows := "city,date,precipitation,temp_max,temp_min,wind,weather,state,latitude,longitude,season\nA,2012-01-01,0.0,1.0,0.0,1.0,sun,X,1,1,winter\n"
	if err := os.WriteFile(filepath.Join(p.Dir, "runs", "r", "enrich_data.csv"), []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	var outs []string
	for attempt := range uint32(2) {
		out, err := p.Load(task("r", "load_to_warehouse", attempt+1), struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		outs = append(outs, string(b))
	}
	files, err := filepath.Glob(filepath.Join(p.Dir, "warehouse", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || outs[0] != outs[1] {
		t.Fatalf("files %v, outputs %v", files, outs)
	}
}
