package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// follow follows a run, and gives what it saw when the run has ended.
func follow(t *testing.T, eng *engine.Engine, run string, after uint64, saw func(engine.Event)) (wait func() ([]engine.Event, error)) {
	t.Helper()
	var seen []engine.Event
	ended := make(chan error, 1)
	go func() {
		ended <- eng.Watch(t.Context(), engine.WatchFilter{Run: run, After: after}, func(e engine.Event) error {
			seen = append(seen, e)
			if saw != nil {
				saw(e)
			}
			return nil
		})
	}()
	return func() ([]engine.Event, error) { return seen, <-ended }
}

// Who follows a run reads nothing while other runs move, and then sees each event of his own, once and in order.
func TestAFollowerOfAQuietRunReadsNothing(t *testing.T) {
	eng, far := openFar(t, filepath.Join(t.TempDir(), "j.db"), engine.Options{}, 0)
	defer eng.Close()
	handle(t, eng, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
	register(t, eng, "quiet", flow.WaitSignal("a", "go"), flow.WaitSignal("b", "on", flow.After("a")))
	register(t, eng, "busy", flow.Task("a", "svc", "h"))
	if _, err := eng.Start(t.Context(), "quiet", nil, engine.WithID("q")); err != nil {
		t.Fatal(err)
	}
	caughtUp := make(chan struct{}, 100)
	wait := follow(t, eng, "q", 0, func(e engine.Event) { caughtUp <- struct{}{} })
	for range 2 {
		<-caughtUp // its start, and the step that waits
	}
	busy := func() int64 {
		before := far.reads.Load()
		for range 50 {
			runOne(t, eng, "busy", nil)
		}
		return far.reads.Load() - before
	}
	busy() // whatever the follower still had to do is done
	with := busy()
	for _, signal := range []string{"go", "on"} {
		if err := eng.Signal(t.Context(), "q", signal, nil); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := wait()
	if err != nil {
		t.Fatal(err)
	}
	if without := busy(); with > without+150 { // 50 runs are at least 150 commits: who woke at each would read at each
		t.Errorf("50 runs of others cost %d reads with a follower, %d without", with, without)
	}
	for i, e := range seen {
		if e.N != uint64(i+1) || e.WorkflowID != "q" {
			t.Fatalf("event %d is %+v", i+1, e)
		}
	}
	if last := seen[len(seen)-1]; last.Kind != "RunCompleted" {
		t.Errorf("the last event is %+v", last)
	}
}

// A follower may come before the run, in the middle of it, or when it is deleted.
func TestAFollowerMayComeAtAnyTime(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	register(t, eng, "w", flow.WaitSignal("a", "go"))
	early := follow(t, eng, "r", 0, nil)
	if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	st, err := eng.Status(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	late := follow(t, eng, "r", st.LastSeq, nil)
	if err := eng.Signal(t.Context(), "r", "go", nil); err != nil {
		t.Fatal(err)
	}
	all, err := early()
	if err != nil {
		t.Fatal(err)
	}
	some, err := late()
	if err != nil {
		t.Fatal(err)
	}
	history, err := eng.History(t.Context(), "r", 0, 0)
	if err != nil || len(all) != len(history) {
		t.Errorf("who came first saw %d events of %d; %v", len(all), len(history), err)
	}
	if len(some) == 0 || len(some) >= len(all) || some[0].Seq <= st.LastSeq {
		t.Errorf("who came later saw %+v", some)
	}
	if err := eng.Delete(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if _, err := follow(t, eng, "r", 0, nil)(); !errors.Is(err, engine.ErrRunExpired) {
		t.Errorf("a run that was deleted: %v", err)
	}
}
