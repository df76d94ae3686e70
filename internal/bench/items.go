package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// List is a step that goes over n items.
func List(n int, handler string) flow.Definition {
	return flow.Definition{Steps: []flow.Step{flow.Task("each", "bench", handler, flow.MaxItems(int64(n)), flow.ForEach(fmt.Sprintf("map(1..%d, ({id: #}))", n)))}}
}

// Items is what the items of one length of list cost.
type Items struct {
	Items          int     `json:"items"` // of a run
	PerSecond      float64 `json:"per_second"`
	OfW2           float64 `json:"of_w2"` // of the steps a second of w2 in the same turns
	CommitsPerItem float64 `json:"commits_per_item"`
	BytesPerItem   float64 `json:"bytes_per_item"`
	CPU            float64 `json:"cpu_us_per_item"`
	Live           int64   `json:"live_heap_bytes,omitempty"` // that a run takes when its last items are open; embedded only
}

// itemRounds is how often w2 and each length of list take turns.
const itemRounds = 3

// items compares runs over a list of three lengths (a hundredth of --count, a tenth, all), one run at a time, with w2, in turns.
func items(ctx context.Context, o *Options) (*Result, error) {
	dir, err := o.dir("items")
	if err != nil {
		return nil, err
	}
	f, err := o.floor(dir)
	if err != nil {
		return nil, err
	}
	t, err := o.target("items")
	if err != nil {
		return nil, err
	}
	defer t.close()
	if err := t.register(ctx, "w2", Fan(100)); err != nil {
		return nil, err
	}
	if _, _, err := load(ctx, o, t, "w2", 16, o.Seconds/10, false); err != nil {
		return nil, err
	}
	r := &Result{Workload: "items", Mode: o.Mode, Floor: f}
	for _, n := range []int{max(o.Count/100, 1), max(o.Count/10, 1), o.Count} {
		one, err := itemsOf(ctx, o, t, n)
		if err != nil {
			return nil, err
		}
		if o.Mode == "embedded" {
			if one.Live, err = heapOfItems(ctx, filepath.Join(dir, fmt.Sprint("held-", n, ".db")), n); err != nil {
				return nil, err
			}
		}
		r.Items = append(r.Items, *one)
		o.say("items", float64(len(r.Items))/3)
	}
	r.StepsPerSecond, r.CPU, r.BytesPerStep, r.CommitsPerStep = r.Items[1].PerSecond, r.Items[1].CPU, r.Items[1].BytesPerItem, r.Items[1].CommitsPerItem
	r.PeakRSS = peakRSS("self")
	return r, nil
}

// itemsOf measures one length of list.
func itemsOf(ctx context.Context, o *Options, t target, n int) (*Items, error) {
	name := fmt.Sprint("items-", n)
	if err := t.register(ctx, name, List(n, "noop")); err != nil {
		return nil, err
	}
	var rates, ratios []float64
	var cpu time.Duration
	var commits uint64
	var kept int64
	done := 0
	for range itemRounds {
		took, runs, err := load(ctx, o, t, "w2", 16, o.Seconds/itemRounds, false)
		if err != nil {
			return nil, err
		}
		w2 := float64(101*len(runs)) / took.Seconds()
		before, err := t.usage()
		if err != nil {
			return nil, err
		}
		if took, runs, err = load(ctx, o, t, name, 1, o.Seconds/itemRounds, false); err != nil {
			return nil, err
		}
		after, err := t.usage()
		if err != nil {
			return nil, err
		}
		rate := float64(n*len(runs)) / took.Seconds()
		rates, ratios = append(rates, rate), append(ratios, rate/w2)
		done += n * len(runs)
		cpu, commits, kept = cpu+after.cpu-before.cpu, commits+after.commits-before.commits, kept+after.kept-before.kept
	}
	per := func(v float64) float64 { return v / float64(max(done, 1)) }
	return &Items{Items: n, PerSecond: median(rates), OfW2: median(ratios), CommitsPerItem: per(float64(commits)), BytesPerItem: per(float64(kept)), CPU: per(float64(cpu.Microseconds()))}, nil
}

// heapOfItems gives the live heap that a run over n items takes when all of them have completed but the last ones, which are open.
func heapOfItems(ctx context.Context, path string, n int) (int64, error) {
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		return 0, err
	}
	live, err := HeapOfItems(ctx, eng, n)
	return live, errors.Join(err, eng.Close())
}

// HeapOfItems is how much more heap is live, after a collection, while the last items of a run over n items are open than before it began.
func HeapOfItems(ctx context.Context, eng *engine.Engine, n int) (int64, error) {
	open := min(n, flow.DefaultParallel)
	var held atomic.Int64
	all, release := make(chan struct{}), make(chan struct{})
	hold := func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		if *task.Index >= n-open {
			if held.Add(1) == int64(open) {
				close(all)
			}
			<-release
		}
		return nil, nil
	}
	if err := errors.Join(engine.HandleRaw(eng, "bench", "hold", hold), eng.Register("held", List(n, "hold"))); err != nil {
		return 0, err
	}
	before := liveHeap()
	run, err := eng.Start(ctx, "held", nil)
	if err != nil {
		return 0, err
	}
	select {
	case <-all:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	live := liveHeap() - before
	close(release)
	st, err := eng.Wait(ctx, run)
	if err == nil && st.State != "completed" {
		err = fmt.Errorf("run %s: %s", run, st.State)
	}
	return live, err
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what a pool holds outlives one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
