package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/engine"
)

// keep is what a journal that is kept for years goes through: w1 until --events are written while retention deletes runs a second after
// their end, in slices, so that what grows with age shows; then w1 in turns beside retention, beside online compactions and beside backups.
func keep(ctx context.Context, o *Options) (*Result, error) {
	deleting, err := o.deleting("keep")
	if err != nil {
		return nil, err
	}
	defer deleting.close()
	if err := deleting.register(ctx, "w1", Chain()); err != nil {
		return nil, err
	}
	ages, err := age(ctx, o, deleting)
	if err != nil {
		return nil, err
	}
	plain, _, err := o.open("keep-plain")
	if err != nil {
		return nil, err
	}
	defer plain.close()
	var paused atomic.Int64
	var failed atomic.Pointer[error]
	again := func(fn func(ctx context.Context) error) func(context.Context) (func(), error) {
		return func(ctx context.Context) (func(), error) {
			return several(ctx, 1, func(ctx context.Context) {
				for ctx.Err() == nil {
					if err := fn(ctx); err != nil && !errors.Is(err, context.Canceled) {
						failed.CompareAndSwap(nil, &err)
						return
					}
				}
			}), nil
		}
	}
	quiet := *o
	quiet.Progress = nil
	r, err := beside(ctx, &quiet, &pair{plain, deleting}, "keep-turns", []disturbance{
		{name: "retention", begin: func(context.Context) (func(), error) { return func() {}, nil }, flow: func(int) string { return inDeleting }},
		{name: "compactions", begin: again(func(ctx context.Context) error {
			got, err := plain.eng.Compact(ctx, nil)
			paused.Store(max(paused.Load(), int64(got.Paused)))
			return err
		})},
		{name: "backups", begin: again(func(context.Context) error { return plain.backup(filepath.Join(o.Dir, "keep-backup.db")) })},
	})
	if why := failed.Load(); err == nil && why != nil {
		err = *why
	}
	if err != nil {
		return nil, err
	}
	r.Workload, r.Samples = "keep", ages
	r.Times = map[string]float64{"longest_pause_of_a_compaction": time.Duration(paused.Load()).Seconds()}
	return r, nil
}

// deleting opens an engine that deletes runs a second after their end.
func (o *Options) deleting(name string) (*embedded, error) {
	dir, err := o.dir(name)
	if err != nil {
		return nil, err
	}
	eng, err := engine.Open(filepath.Join(dir, "bench.db"), engine.Options{Retention: engine.Retention{Completed: time.Second}, Tombstones: time.Second})
	if err != nil {
		return nil, err
	}
	return &embedded{eng: eng, show: []engine.StatusOption{engine.NoSteps()}}, engine.HandleRaw(eng, "bench", "noop", noop)
}

// age runs w1 until so many events are written, and looks at itself in slices.
func age(ctx context.Context, o *Options, e *embedded) (all []Sample, err error) {
	const slices = 10
	began := time.Now()
	for i := range slices {
		from := time.Now()
		var runs []time.Duration
		for {
			s, err := e.eng.Stats()
			if err != nil {
				return nil, err
			}
			o.say("keep", min(float64(s.Durable)/float64(max(o.Events, 1)), 1))
			if s.Durable >= uint64(o.Events/slices*(i+1)) {
				took := time.Since(from).Seconds()
				all = append(all, Sample{At: time.Since(began).Seconds(), RunsPerSecond: float64(len(runs)) / took, P50: percentile(runs, 0.5), P99: percentile(runs, 0.99),
					RSS: anon("self"), Journal: s.Journal.FileBytes})
				break
			}
			_, some, err := load(ctx, o, e, "w1", max(o.InFlight, 1), min(0.2, o.Seconds/40), false)
			if err != nil {
				return nil, err
			}
			runs = append(runs, some...)
		}
	}
	return all, nil
}

// backup copies the journal to a file, in the place of the copy before.
func (e *embedded) backup(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(e.eng.Backup(f), f.Close())
}

// inDeleting is w1 in the journal of which runs are deleted.
const inDeleting = "w1 with retention"

// pair is two engines, one of which deletes runs.
type pair struct {
	*embedded
	deleting *embedded
}

func (p *pair) run(ctx context.Context, name string) error {
	if name == inDeleting {
		return p.deleting.run(ctx, "w1")
	}
	return p.embedded.run(ctx, name)
}
