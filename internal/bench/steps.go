package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/flow"
)

// Chain is ten steps, one after the other.
func Chain() flow.Definition {
	var d flow.Definition
	for i := range 10 {
		var opts []flow.StepOption
		if i > 0 {
			opts = append(opts, flow.After(fmt.Sprint("s", i-1)))
		}
		d.Steps = append(d.Steps, flow.Task(fmt.Sprint("s", i), "bench", "noop", opts...))
	}
	return d
}

// Fan is n parallel steps and a join.
func Fan(n int) flow.Definition {
	var d flow.Definition
	var all []string
	for i := range n {
		name := fmt.Sprint("p", i)
		all = append(all, name)
		d.Steps = append(d.Steps, flow.Task(name, "bench", "noop"))
	}
	d.Steps = append(d.Steps, flow.Task("join", "bench", "noop", flow.After(all...)))
	return d
}

func chain(ctx context.Context, o *Options) (*Result, error) {
	t, err := o.target("w1")
	if err != nil {
		return nil, err
	}
	defer t.close()
	return steps(ctx, o, t, "w1", Chain(), max(o.InFlight, 1))
}

func wide(ctx context.Context, o *Options) (*Result, error) {
	t, err := o.target("w2")
	if err != nil {
		return nil, err
	}
	defer t.close()
	return steps(ctx, o, t, "w2", Fan(100), 16)
}

// steps keeps so many runs going for so many seconds, after a warm-up of a tenth of them.
func steps(ctx context.Context, o *Options, t target, name string, def flow.Definition, inFlight int) (*Result, error) {
	bound, err := o.dir(name)
	if err != nil {
		return nil, err
	}
	f, err := o.floor(bound)
	if err != nil {
		return nil, err
	}
	if err := t.register(ctx, name, def); err != nil {
		return nil, err
	}
	if _, _, err := load(ctx, o, t, name, inFlight, o.Seconds/10, false); err != nil {
		return nil, err
	}
	before, err := t.usage()
	if err != nil {
		return nil, err
	}
	took, runs, err := load(ctx, o, t, name, inFlight, o.Seconds, true)
	if err != nil {
		return nil, err
	}
	after, err := t.usage()
	if err != nil {
		return nil, err
	}
	n := len(runs) * len(def.Steps)
	per := func(v float64) float64 { return v / float64(max(n, 1)) }
	return &Result{Workload: name, Mode: o.Mode, InFlight: inFlight, Seconds: took.Seconds(), Steps: n, Runs: len(runs), StepsPerSecond: float64(n) / took.Seconds(),
		P50: percentile(runs, 0.5), P99: percentile(runs, 0.99), CommitsPerStep: per(float64(after.commits - before.commits)),
		BytesPerStep: per(float64(after.kept - before.kept)), WrittenPerStep: per(float64(after.written - before.written)),
		CPU: per(float64((after.cpu - before.cpu).Microseconds())), PeakRSS: after.peak, Floor: f}, nil
}

// load gives how long it took, and how long each run did.
func load(ctx context.Context, o *Options, t target, name string, inFlight int, seconds float64, say bool) (time.Duration, []time.Duration, error) {
	return loadOf(ctx, o, t, func(int) string { return name }, inFlight, seconds, say)
}

// loadOf is load with a workflow for each of those who start runs.
func loadOf(ctx context.Context, o *Options, t target, flow func(n int) string, inFlight int, seconds float64, say bool) (time.Duration, []time.Duration, error) {
	began := time.Now()
	until := began.Add(time.Duration(seconds * float64(time.Second)))
	all := make([][]time.Duration, inFlight)
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	for n := range inFlight {
		name := flow(n)
		wg.Go(func() {
			for now := time.Now(); now.Before(until) && failure.Load() == nil && ctx.Err() == nil; {
				if err := t.run(ctx, name); err != nil {
					failure.CompareAndSwap(nil, &err)
					return
				}
				end := time.Now()
				all[n] = append(all[n], end.Sub(now))
				now = end
				if n == 0 && say {
					o.say(name, min(time.Since(began).Seconds()/seconds, 1))
				}
			}
		})
	}
	wg.Wait()
	if err := failure.Load(); err != nil {
		return 0, nil, *err
	}
	var runs []time.Duration
	for _, part := range all {
		runs = append(runs, part...)
	}
	return time.Since(began), runs, ctx.Err()
}

// fan is one large run. What counts is how long it takes.
func fan(ctx context.Context, o *Options) (*Result, error) {
	const n = 10_000
	t, err := o.target("fan")
	if err != nil {
		return nil, err
	}
	defer t.close()
	dir, err := o.dir("fan")
	if err != nil {
		return nil, err
	}
	f, err := o.floor(dir)
	if err != nil {
		return nil, err
	}
	if err := t.register(ctx, "fan", Fan(n)); err != nil {
		return nil, err
	}
	var all []time.Duration
	for i := range 5 {
		began := time.Now()
		if err := t.run(ctx, "fan"); err != nil {
			return nil, err
		}
		all = append(all, time.Since(began))
		o.say("fan", float64(i+1)/5)
	}
	p50 := percentile(all, 0.5)
	return &Result{Workload: "fan", Mode: o.Mode, Seconds: p50 / 1000, Steps: n + 1, Runs: 1, StepsPerSecond: (n + 1) / (p50 / 1000), P50: p50, P99: percentile(all, 0.99), PeakRSS: peakRSS("self"), Floor: f}, nil
}
