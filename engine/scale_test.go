package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

func null(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }

func TestTenThousandParallelStepsAndAJoin(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	handle(t, eng, "h", null)
	steps := make([]flow.Step, 0, 10_001)
	names := make([]string, 0, 10_000)
	for i := range 10_000 {
		name := fmt.Sprint("s", i)
		names = append(names, name)
		steps = append(steps, flow.Task(name, "svc", "h"))
	}
	steps = append(steps, flow.Task("join", "svc", "h", flow.After(names...)))
	register(t, eng, "wide", steps...)
	if s := runOne(t, eng, "wide", nil); s.State != "completed" || s.StepCounts["completed"] != 10_001 || string(s.Output) != `{"join":null}` {
		t.Fatalf("%s %v", s.State, s.StepCounts)
	}
}

func TestAThousandChainedSteps(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	handle(t, eng, "h", null)
	var steps []flow.Step
	for i := range 1000 {
		s := flow.Task(fmt.Sprint("s", i), "svc", "h")
		if i > 0 {
			s.Dependencies = []string{fmt.Sprint("s", i-1)}
		}
		steps = append(steps, s)
	}
	register(t, eng, "long", steps...)
	if s := runOne(t, eng, "long", nil); s.State != "completed" || s.StepCounts["completed"] != 1000 {
		t.Fatalf("%s %v", s.State, s.StepCounts)
	}
}

// Ten thousand runs at once that sleep, more than are kept unfolded; then the file is opened again, and all of them go on.
func TestTenThousandRunsSleepThroughARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	const n = 10_000
	start := func() *engine.Engine {
		eng, err := engine.Open(path, engine.Options{MaxLive: 1000})
		if err != nil {
			t.Fatal(err)
		}
		handle(t, eng, "h", null)
		return eng
	}
	eng := start()
	register(t, eng, "sleeper", flow.WaitSignal("wait", "go"), flow.Task("a", "svc", "h", flow.After("wait")))
	each := func(fn func(id string) error) {
		var wg sync.WaitGroup
		for w := range 64 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := w; i < n; i += 64 {
					if err := fn(fmt.Sprint("run-", i)); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		wg.Wait()
	}
	each(func(id string) error {
		_, err := eng.Start(t.Context(), "sleeper", nil, engine.WithID(id))
		return err
	})
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	eng = start()
	defer eng.Close()
	each(func(id string) error {
		if err := eng.Signal(t.Context(), id, "go", id); err != nil {
			return err
		}
		s, err := eng.Wait(t.Context(), id)
		if err == nil && (s.State != "completed" || string(s.Steps["wait"].Output) != `"`+id+`"`) {
			err = fmt.Errorf("%s: %s %s", id, s.State, s.Steps["wait"].Output)
		}
		return err
	})
}

// Twenty-five thousand timers are overdue at a start, more than one turn takes: they fire, once each, and nothing that is
// asked for meanwhile is lost.
func TestOverdueTimersFireOnceAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	clock := &shifted{machine: time.Now()}
	eng, err := engine.Open(path, engine.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	register(t, eng, "sleeper", flow.WaitTimer("nap", "nap", flow.Delay(time.Hour)))
	n := 25_000
	if testing.Short() { // under the race detector
		n = 2500
	}
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < n; i += 64 {
				if _, err := eng.Start(t.Context(), "sleeper", nil, engine.WithID(fmt.Sprint("run-", i))); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	clock.by = 2 * time.Hour
	eng, err = engine.Open(path, engine.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	if _, err := eng.Start(t.Context(), "sleeper", nil, engine.WithID("new")); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s, err := eng.Wait(t.Context(), fmt.Sprint("run-", i))
		if err != nil || s.State != "completed" {
			t.Fatalf("run %d: %+v %v", i, s, err)
		}
	}
	fired := map[string]int{}
	after := uint64(0)
	for {
		events, next, err := eng.Feed(t.Context(), after, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Kind == "TimerFired" {
				fired[e.WorkflowID]++
			}
		}
		if next == after {
			break
		}
		after = next
	}
	if len(fired) != n {
		t.Errorf("%d timers fired", len(fired))
	}
	for id, k := range fired {
		if k != 1 {
			t.Errorf("the timer of %s fired %d times", id, k)
		}
	}
}

// shifted is the machine's clock with its wall time moved.
type shifted struct {
	machine time.Time
	by      time.Duration
}

func (c *shifted) Now() time.Time      { return time.Now().Add(c.by) }
func (c *shifted) Mono() time.Duration { return time.Since(c.machine) + time.Second }
func (c *shifted) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
