package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/flow"
)

// Latency is how long a run of one step takes, from its start to the answer of who waits for its end, beside a load.
type Latency struct {
	Load   float64 `json:"load"` // of the capacity; 0: nothing beside it
	Runs   int     `json:"runs"`
	P50    float64 `json:"p50_ms"`
	P90    float64 `json:"p90_ms"`
	P99    float64 `json:"p99_ms"`
	P999   float64 `json:"p99_9_ms"`
	Missed int     `json:"missed,omitempty"` // runs of the load that were not started, as mostOpen were open
}

const (
	mostOpen  = 4096
	probeRate = 200 // a second
)

// latency measures the capacity for w1, and then runs of one step beside nothing, and beside 50 and 90 % of the capacity. Runs start at
// random times, whether those before them have ended or not: who arrives does not wait until there is room.
func latency(ctx context.Context, o *Options) (*Result, error) {
	t, err := o.target("latency")
	if err != nil {
		return nil, err
	}
	defer t.close()
	if err := t.register(ctx, "one", flow.Definition{Steps: []flow.Step{flow.Task("s", "bench", "noop")}}); err != nil {
		return nil, err
	}
	part := *o
	part.Seconds /= 4
	inFlight := max(o.InFlight, 1)
	r, err := steps(ctx, &part, t, "latency", Chain(), inFlight)
	if err != nil {
		return nil, err
	}
	capacity := float64(r.Runs) / r.Seconds
	all := &Result{Workload: "latency", Mode: o.Mode, InFlight: inFlight, StepsPerSecond: r.StepsPerSecond, Floor: r.Floor}
	for i, share := range []float64{0, 0.5, 0.9} {
		l := Latency{Load: share}
		took, err := open(ctx, part.Seconds, []stream{
			{rate: share * capacity, run: func() error { return t.run(ctx, "latency") }, missed: &l.Missed},
			{rate: probeRate, run: func() error { return t.run(ctx, "one") }},
		})
		if err != nil {
			return nil, fmt.Errorf("latency: %w", err)
		}
		l.Runs, l.P50, l.P90, l.P99, l.P999 = len(took), percentile(took, 0.5), percentile(took, 0.9), percentile(took, 0.99), percentile(took, 0.999)
		all.Latency = append(all.Latency, l)
		all.Seconds += part.Seconds
		all.Runs += len(took)
		o.say("latency", float64(i+2)/4)
	}
	return all, nil
}

// stream is runs that start at random times, so many a second.
type stream struct {
	rate   float64
	run    func() error
	missed *int // nil: none may be
}

// open starts the runs of some streams for so long, and gives how long each of the last stream took once all of them have ended.
func open(ctx context.Context, seconds float64, streams []stream) ([]time.Duration, error) {
	var mu sync.Mutex
	var took []time.Duration
	var failure atomic.Pointer[error]
	var starters, runs sync.WaitGroup
	until := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for i, s := range streams {
		if s.rate == 0 {
			continue
		}
		starters.Go(func() {
			var under atomic.Int64
			for due := time.Now(); ; {
				due = due.Add(time.Duration(rand.ExpFloat64() / s.rate * float64(time.Second)))
				if due.After(until) || ctx.Err() != nil || failure.Load() != nil {
					return
				}
				time.Sleep(time.Until(due))
				if under.Load() >= mostOpen && s.missed != nil {
					*s.missed++
					continue
				}
				under.Add(1)
				runs.Go(func() {
					defer under.Add(-1)
					if err := s.run(); err != nil {
						failure.CompareAndSwap(nil, &err)
						return
					}
					if i == len(streams)-1 {
						mu.Lock()
						took = append(took, time.Since(due)) // a start that came late counts from when it was due
						mu.Unlock()
					}
				})
			}
		})
	}
	starters.Wait()
	runs.Wait()
	if err := failure.Load(); err != nil {
		return nil, *err
	}
	return took, ctx.Err()
}
