package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// file is an engine on one file, and workers that outlive it.
type file struct {
	*engine.Engine
	t    *testing.T
	path string
	o    engine.Options
	seq  uint64
}

func openFile(t *testing.T, o engine.Options, steps ...flow.Step) *file {
	t.Helper()
	f := &file{t: t, path: filepath.Join(t.TempDir(), "runs.db"), o: o}
	f.open()
	t.Cleanup(func() { _ = f.Close() })
	register(t, f.Engine, "w", steps...)
	return f
}

func (f *file) open() {
	f.t.Helper()
	var err error
	if f.Engine, err = engine.Open(f.path, f.o); err != nil {
		f.t.Fatal(err)
	}
}

func (f *file) again() {
	f.t.Helper()
	f.close()
	f.open()
}

func (f *file) close() {
	f.t.Helper()
	if err := f.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// copy reads the file as it is when the engine has stopped; put puts it back in the place of what came since.
func (f *file) copy() []byte {
	f.t.Helper()
	f.close()
	b, err := os.ReadFile(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	f.open()
	return b
}

func (f *file) put(b []byte) {
	f.t.Helper()
	f.close()
	if err := os.WriteFile(f.path, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.open()
}

func (f *file) start(ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		if _, err := f.Start(f.t.Context(), "w", nil, engine.WithID(id)); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *file) join(w string, tokens ...string) (lost []string) {
	f.t.Helper()
	j, err := f.Join(f.t.Context(), engine.JoinRequest{WorkerID: w, Service: "far", Handlers: []string{"work"}, Capacity: 10, Tokens: tokens})
	if err != nil {
		f.t.Fatal(err)
	}
	return j.Lost
}

func (f *file) leave(w string) {
	f.t.Helper()
	if err := f.Leave(f.t.Context(), w); err != nil {
		f.t.Fatal(err)
	}
}

// tasks takes n tasks.
func (f *file) tasks(w string, n int) (all []*worker.Task) {
	f.t.Helper()
	for len(all) < n {
		f.seq++
		a, err := f.Poll(f.t.Context(), w, engine.PollRequest{Seq: f.seq, Max: n - len(all), Wait: 20 * time.Second})
		if err != nil {
			f.t.Fatal(err)
		}
		if all = append(all, a.Tasks...); len(a.Tasks) == 0 {
			f.t.Fatalf("%d tasks in 20 s, want %d", len(all), n)
		}
	}
	return all
}

// outcome brings one outcome and gives its result code.
func (f *file) outcome(w, token, output string) string {
	f.t.Helper()
	a, err := f.Poll(f.t.Context(), w, engine.PollRequest{Outcomes: []worker.Outcome{{Token: token, Status: worker.Completed, Output: json.RawMessage(output)}}})
	if err != nil {
		f.t.Fatal(err)
	}
	return a.Results[0].Code
}

func (f *file) code(want, what, w, token, output string) {
	f.t.Helper()
	if got := f.outcome(w, token, output); got != want {
		f.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func (f *file) step(run, step string) model.StepStatus {
	f.t.Helper()
	s, err := f.Status(f.t.Context(), run)
	if err != nil {
		f.t.Fatal(err)
	}
	return s.Steps[step]
}

func (f *file) waitFor(run, step, state string) {
	f.t.Helper()
	until(f.t, func() bool { return f.step(run, step).State == state }, func() string { return run + "/" + step + " is " + f.step(run, step).State })
}

// A copy of the journal is put back while a worker works on, and other runs get the numbers of those that came after the copy.
func TestAnOutcomeIsNotRecordedForTheRunOfAnotherHistory(t *testing.T) {
	for _, open := range []bool{true, false} { // the other runs
		f := openFile(t, engine.Options{}, flow.Task("a", "far", "work"))
		old := f.copy()
		f.start("x0", "x1", "x2", "x3")
		f.join("A")
		var tokens []string
		for _, task := range f.tasks("A", 4) {
			tokens = append(tokens, task.Token)
		}
		f.put(old)
		f.start("y0", "y1", "y2")
		register(t, f.Engine, "other", flow.Task("b", "far", "work")) // one that is no run at all
		f.start("y3")
		if !open {
			f.join("B")
			for _, task := range f.tasks("B", 4) {
				f.code("recorded", task.WorkflowID, "B", task.Token, `"right"`)
			}
		}
		if lost := f.join("A", tokens...); len(lost) != len(tokens) || !slices.Equal(lost, tokens) {
			t.Errorf("open %v: of %d tokens %d are lost: %q", open, len(tokens), len(lost), lost)
		}
		if gone, err := f.Heartbeat(t.Context(), "A", []engine.Beat{{Token: tokens[0]}}); err != nil || len(gone) != 1 {
			t.Errorf("open %v: a heartbeat says that %q are gone: %v", open, gone, err)
		}
		for i, token := range tokens {
			f.code("bad_token", fmt.Sprint("the token of x", i), "A", token, `"wrong"`)
		}
		if open {
			for _, task := range f.tasks("A", 4) {
				f.code("recorded", task.WorkflowID, "A", task.Token, `"right"`)
			}
		}
		for _, id := range []string{"y0", "y1", "y2", "y3"} {
			if s := f.step(id, "a"); string(s.Output) != `"right"` {
				t.Errorf("open %v: %s has the output %s", open, id, s.Output)
			}
		}
	}
}

// The run is in both histories, and its second step was scheduled in each of them, with other dependencies.
func TestAnOutcomeIsNotRecordedForTheSameRunOfAnotherHistory(t *testing.T) {
	f := openFile(t, engine.Options{}, flow.Task("a", "far", "work"), flow.Task("b", "far", "work", flow.After("a")))
	f.start("r")
	f.join("A")
	a := f.tasks("A", 1)[0]
	f.waitFor("r", "a", "running")
	old := f.copy()
	f.join("A", a.Token)
	f.code("recorded", "a", "A", a.Token, `1`)
	b := f.tasks("A", 1)[0]
	f.waitFor("r", "b", "running")
	f.put(old)
	if lost := f.join("A", a.Token, b.Token); !slices.Equal(lost, []string{b.Token}) {
		t.Errorf("lost: %q, want the token of b, which is not scheduled yet", lost)
	}
	f.code("bad_token", "b, not scheduled yet", "A", b.Token, `"of the other history"`)
	f.code("recorded", "a, which both histories know", "A", a.Token, `2`)
	f.waitFor("r", "b", "scheduled")
	f.code("bad_token", "b, which nobody has", "A", b.Token, `"of the other history"`)
	if lost := f.join("A", b.Token); len(lost) != 1 {
		t.Error("the token of b is not lost")
	}
	mine := f.tasks("A", 1)[0]
	f.code("bad_token", "b, which the same worker has", "A", b.Token, `"of the other history"`)
	f.code("recorded", "b", "A", mine.Token, `3`)
	f.code("bad_token", "b, settled", "A", b.Token, `"of the other history"`)
	f.code("duplicate", "b again", "A", mine.Token, `3`)
}

// A token is good until its step was given to another, also when the other is lost, and when the engine that saw it is gone.
func TestATokenIsStaleWhenItsStepWasGivenToAnotherWhoWasLost(t *testing.T) {
	for _, c := range []struct {
		other   string // A: the same worker, which took it a second time
		restart bool
	}{{"B", false}, {"B", true}, {"A", false}, {"A", true}} {
		f := openFile(t, engine.Options{}, flow.Task("a", "far", "work"))
		f.start("r")
		f.join("A")
		first := f.tasks("A", 1)[0]
		f.leave("A")
		f.join(c.other)
		second := f.tasks(c.other, 1)[0]
		if first.Attempt != 1 || second.Attempt != 2 {
			t.Fatalf("attempts %d and %d", first.Attempt, second.Attempt)
		}
		f.leave(c.other)
		if c.restart {
			f.again()
		}
		f.join("A")
		f.code("stale_lease", "the first attempt", "A", first.Token, `1`)
		f.join(c.other)
		f.code("recorded", "the second, which was lost and whose step nobody has", c.other, second.Token, `2`)
		f.code("run_finished", "the first, at the end", "A", first.Token, `1`)
		if s := f.step("r", "a"); string(s.Output) != "2" || s.State != "completed" {
			t.Errorf("given to %s, restart %v: %s %s", c.other, c.restart, s.State, s.Output)
		}
	}
}

// One attempt was given to two workers: the engine was killed before the start of the first was in the journal. The second is lost.
func TestATokenIsStaleWhenItsAttemptWasGivenToAnotherWhoWasLost(t *testing.T) {
	f := openFile(t, engine.Options{}, flow.Task("a", "far", "work"))
	f.start("r")
	before := f.copy() // as a kill before the start is in the journal would leave it
	f.join("A")
	first := f.tasks("A", 1)[0]
	f.put(before)
	f.join("B")
	second := f.tasks("B", 1)[0]
	if first.Attempt != second.Attempt {
		t.Fatalf("attempts %d and %d", first.Attempt, second.Attempt)
	}
	f.leave("B")
	f.again()
	f.join("A")
	f.code("stale_lease", "the first", "A", first.Token, `1`)
	f.join("B")
	f.code("recorded", "the second, whose step nobody has", "B", second.Token, `2`)
}

// What was given out before a restart counts for the bound of its service, until it is answered or lost.
func TestTheBoundOfAServiceHoldsOverARestart(t *testing.T) {
	f := openFile(t, engine.Options{Services: map[string]int{"far": 1}}, flow.Task("a", "far", "work"))
	f.start("r1", "r2")
	f.join("A")
	task := f.tasks("A", 1)[0]
	f.waitFor("r1", "a", "running")
	for range 2 {
		f.again()
		f.join("B")
		f.seq++
		if a, err := f.Poll(t.Context(), "B", engine.PollRequest{Seq: f.seq, Max: 5}); err != nil || len(a.Tasks) != 0 {
			t.Fatalf("%d tasks beside the one that is out: %v", len(a.Tasks), err)
		}
	}
	f.join("A", task.Token) // it is not counted twice
	f.code("recorded", "the one that was out", "A", task.Token, `1`)
	next := f.tasks("B", 1)[0]
	f.code("recorded", "the next", "B", next.Token, `1`)
	f.waitFor("r2", "a", "completed")
}

// A dead worker's lease runs out though the engine is started anew, again and again, before it could.
func TestRestartsDoNotKeepADeadWorkersLease(t *testing.T) {
	f := openFile(t, engine.Options{Lease: 10 * time.Minute}, flow.Task("a", "far", "work"))
	f.start("r")
	f.join("A")
	task := f.tasks("A", 1)[0]
	f.waitFor("r", "a", "running")
	for n := 1; n <= 10; n++ { // all within a tenth of a lease
		f.again()
		if s := f.step("r", "a"); s.State != "running" {
			t.Fatalf("start %d: the step is %s", n, s.State)
		}
		if n == 5 { // it lives: the count begins anew
			if lost := f.join("A", task.Token); len(lost) != 0 {
				t.Fatalf("start %d: lost", n)
			}
			break
		}
	}
	for n := 1; n <= 10; n++ {
		f.again()
		if s := f.step("r", "a"); s.State != "running" {
			t.Fatalf("start %d after it was heard of: the step is %s", n, s.State)
		}
	}
	f.again()
	f.waitFor("r", "a", "scheduled")
	if s := f.step("r", "a"); s.Attempt != 2 {
		t.Errorf("attempt %d is offered, want the second", s.Attempt)
	}
}

// Whoever comes first of the last outcome and a cancel is told yes, and the other that it came too late.
func TestACancelBesideTheLastOutcome(t *testing.T) {
	f := openFile(t, engine.Options{}, flow.Task("a", "far", "work"))
	f.join("A")
	for i := range 300 {
		id := fmt.Sprint("r", i)
		f.start(id)
		token := f.tasks("A", 1)[0].Token
		cancelled := make(chan error)
		go func() { cancelled <- f.Cancel(context.Background(), id, "") }()
		code := f.outcome("A", token, `1`)
		err := <-cancelled
		s, serr := f.Status(t.Context(), id)
		if serr != nil {
			t.Fatal(serr)
		}
		if want := map[bool]string{true: "cancelled", false: "completed"}[err == nil]; s.State != want || (code == "recorded") == (err == nil) {
			t.Fatalf("outcome %s, cancel %v: the run is %s, its step %s", code, err, s.State, s.Steps["a"].State)
		}
	}
}
