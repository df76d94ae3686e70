package bench

import (
	"context"
	"path/filepath"
	"time"
)

// growth compares w1 on a fresh file with w1 on a file that holds many events already, and the start on both.
func growth(ctx context.Context, o *Options) (*Result, error) {
	dir, err := o.dir("growth")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "bench.db")
	e, err := newEmbedded(path, nil)
	if err != nil {
		return nil, err
	}
	t := target(e)
	defer func() { t.close() }()
	small := *o
	small.Progress = nil
	fresh, err := steps(ctx, &small, t, "w1", Chain(), max(o.InFlight, 1))
	if err != nil {
		return nil, err
	}
	begun := uint64(0)
	for {
		s, err := e.eng.Stats()
		if err != nil {
			return nil, err
		}
		if begun == 0 {
			begun = s.Durable
		}
		o.say("growth", min(0.1+0.8*float64(s.Durable)/float64(max(o.Events, 1)), 0.9))
		if s.Durable >= uint64(o.Events) {
			break
		}
		if _, _, err := load(ctx, &small, t, "w1", 512, 1, false); err != nil {
			return nil, err
		}
	}
	if err := t.close(); err != nil {
		return nil, err
	}
	began := time.Now()
	if e, err = newEmbedded(path, nil); err != nil {
		return nil, err
	}
	opened := time.Since(began)
	t = e
	r, err := steps(ctx, &small, t, "w1", Chain(), max(o.InFlight, 1))
	if err != nil {
		return nil, err
	}
	o.say("growth", 1)
	r.Workload = "growth"
	r.Times = map[string]float64{"open": opened.Seconds(), "fresh_steps_per_second": fresh.StepsPerSecond, "events": float64(o.Events)}
	return r, nil
}
