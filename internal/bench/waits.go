package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// many calls fn for 0 to n-1, so many at a time.
func many(n, atOnce int, fn func(i int) error) error {
	var next atomic.Int64
	var failure atomic.Pointer[error]
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for failure.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := fn(i); err != nil {
					failure.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}

// signals sends one signal to each of many runs that wait for one.
func signals(ctx context.Context, o *Options) (*Result, error) {
	e, f, err := o.open("signals")
	if err != nil {
		return nil, err
	}
	defer e.close()
	if err := e.eng.Register("wait", flow.Definition{Steps: []flow.Step{flow.WaitSignal("w", "go")}}); err != nil {
		return nil, err
	}
	n := max(o.Count, 1)
	if err := many(n, 512, func(i int) error {
		_, err := e.eng.Start(ctx, "wait", nil, engine.WithID(fmt.Sprint("r", i)))
		return err
	}); err != nil {
		return nil, err
	}
	o.say("signals", 0.5)
	before := cpu("self")
	began := time.Now()
	var consumed atomic.Int64
	err = many(n, 512, func(i int) error {
		got, err := e.eng.SignalRun(ctx, fmt.Sprint("r", i), "go", i)
		if got.ConsumedBy != "" {
			consumed.Add(1)
		}
		return err
	})
	took := time.Since(began)
	if err == nil && int(consumed.Load()) != n {
		err = fmt.Errorf("%d of %d signals were consumed", consumed.Load(), n)
	}
	if err != nil {
		return nil, err
	}
	o.say("signals", 1)
	return &Result{Workload: "signals", Mode: "embedded", InFlight: 512, Seconds: took.Seconds(), Steps: n, Runs: n, PerSecond: float64(n) / took.Seconds(),
		CPU: float64((cpu("self") - before).Microseconds()) / float64(n), PeakRSS: peakRSS("self"), Floor: f}, nil
}

// timers lets many timers come due in one second, and waits until the last has fired.
func timers(ctx context.Context, o *Options) (*Result, error) {
	e, f, err := o.open("timers")
	if err != nil {
		return nil, err
	}
	defer e.close()
	n := max(o.Count, 1)
	lead := 2*time.Second + time.Duration(n)*20*time.Microsecond // they are all set when the first comes due
	due := time.Now().Add(lead)
	part := 0
	for part = 0; part < 50; part++ { // workflows differ by their delay: runs started later wait less
		delay := max(time.Until(due), time.Millisecond)
		if err := e.eng.Register("nap", flow.Definition{Steps: []flow.Step{flow.WaitTimer("t", "t", flow.Delay(delay))}}); err != nil {
			return nil, err
		}
		if err := many(n/50+1, 512, func(i int) error {
			_, err := e.eng.Start(ctx, "nap", nil, engine.WithID(fmt.Sprintf("r%d-%d", part, i)))
			return err
		}); err != nil {
			return nil, err
		}
		o.say("timers", float64(part)/100)
	}
	total := uint64(50 * (n/50 + 1))
	early, err := e.eng.Stats()
	if err != nil {
		return nil, err
	}
	began := due
	if early.TimersFired > 0 { // setting them took longer than the lead: count from now
		began = time.Now()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := e.eng.Stats()
		if err != nil {
			return nil, err
		}
		if s.TimersFired >= total {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	took := time.Since(began)
	o.say("timers", 1)
	return &Result{Workload: "timers", Mode: "embedded", Seconds: took.Seconds(), Runs: int(total), PerSecond: float64(total) / took.Seconds(),
		Times: map[string]float64{"all_fired": took.Seconds()}, PeakRSS: peakRSS("self"), Floor: f}, nil
}
