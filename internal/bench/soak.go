package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// Sample is one slice of a soak.
type Sample struct {
	At            float64 `json:"at_s"` // its end, seconds from the beginning
	RunsPerSecond float64 `json:"runs_per_second"`
	P50           float64 `json:"p50_ms"` // of a whole run
	P99           float64 `json:"p99_ms"`
	RSS           int64   `json:"rss_bytes"`  // mapped pages of the file are not counted
	Heap          int64   `json:"heap_bytes"` // live, after a collection
	Goroutines    int     `json:"goroutines"`
	Journal       int64   `json:"journal_bytes"`
}

// samples is how many slices a soak has.
const samples = 20

// mixed is a run with some of everything: a key that eight runs want, a first attempt that fails, a signal, a timer, a join.
func mixed(key string) flow.Definition {
	return flow.Definition{Steps: []flow.Step{
		flow.Task("count", "bench", "count", flow.Keys(key)),
		flow.Task("flaky", "bench", "flaky", flow.After("count"), flow.WithRetry(flow.Retry{MaxAttempts: 3, InitialIntervalMS: 10, BackoffCoefficient: 1})),
		flow.WaitSignal("go", "go", flow.After("count"), flow.Timeout(time.Minute)),
		flow.WaitTimer("nap", "nap", flow.Delay(20*time.Millisecond), flow.After("flaky")),
		flow.Task("join", "bench", "noop", flow.After("go", "nap")),
	}}
}

const keys = 8

// soak keeps mixed runs going for so long, and looks at itself in slices: what grows with age shows.
func soak(ctx context.Context, o *Options) (*Result, error) {
	e, f, err := o.open("soak")
	if err != nil {
		return nil, err
	}
	defer e.close()
	err = errors.Join(
		engine.HandleRaw(e.eng, "bench", "flaky", func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
			if t.Attempt == 1 {
				return nil, errors.New("the first attempt fails")
			}
			return nil, nil
		}),
		engine.HandleRaw(e.eng, "bench", "count", func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
			key := t.ObjectKeys[0]
			var n int
			if err := json.Unmarshal(t.Objects[key].State, &n); err != nil {
				return nil, err
			}
			return nil, t.SetObject(key, n+1)
		}))
	for i := range keys {
		err = errors.Join(err, e.eng.Register(fmt.Sprint("mixed", i), mixed(fmt.Sprint("key", i))))
	}
	if err != nil {
		return nil, err
	}
	began := time.Now()
	until := began.Add(time.Duration(o.Seconds * float64(time.Second)))
	var mu sync.Mutex
	var took []time.Duration
	total := 0
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	inFlight := max(o.InFlight, 1)
	for n := range inFlight {
		wg.Go(func() {
			for time.Now().Before(until) && failure.Load() == nil && ctx.Err() == nil {
				at := time.Now()
				if err := mixedRun(ctx, e, n%keys); err != nil {
					failure.CompareAndSwap(nil, &err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(at))
				mu.Unlock()
			}
		})
	}
	r := &Result{Workload: "soak", Mode: "embedded", InFlight: inFlight, Floor: f}
	last := began
	for i := range samples {
		t := time.NewTimer(time.Until(began.Add(time.Duration(o.Seconds / samples * float64(i+1) * float64(time.Second)))))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		if failure.Load() != nil || ctx.Err() != nil {
			break
		}
		mu.Lock()
		slice := took
		took = nil
		mu.Unlock()
		now := time.Now()
		s, err := e.eng.Stats()
		if err != nil {
			return nil, err
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		r.Samples = append(r.Samples, Sample{At: now.Sub(began).Seconds(), RunsPerSecond: float64(len(slice)) / now.Sub(last).Seconds(), P50: percentile(slice, 0.5), P99: percentile(slice, 0.99),
			RSS: anon("self"), Heap: int64(m.HeapAlloc), Goroutines: runtime.NumGoroutine(), Journal: s.Journal.UsedBytes})
		total += len(slice)
		last = now
		o.say("soak", float64(i+1)/samples)
	}
	wg.Wait()
	if err := failure.Load(); err != nil {
		return nil, *err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.Seconds, r.Runs, r.Steps = last.Sub(began).Seconds(), total, 5*total
	r.StepsPerSecond = float64(r.Steps) / r.Seconds
	r.P50, r.P99, r.PeakRSS = r.Samples[samples-1].P50, r.Samples[samples-1].P99, peakRSS("self")
	return r, nil
}

func mixedRun(ctx context.Context, e *embedded, key int) error {
	id, err := e.eng.Start(ctx, fmt.Sprint("mixed", key), nil)
	if err != nil {
		return err
	}
	if err := e.eng.Signal(ctx, id, "go", nil); err != nil {
		return err
	}
	st, err := e.eng.Wait(ctx, id)
	if err == nil && st.State != "completed" {
		err = fmt.Errorf("run %s: %s: %+v", id, st.State, st.Error)
	}
	return err
}
