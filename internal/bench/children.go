package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// Children is what runs cost that another run starts, beside the same runs started one by one in the same turns.
type Children struct {
	PerSecond       float64 `json:"per_second"` // started and ended
	PlainPerSecond  float64 `json:"plain_per_second"`
	OfPlain         float64 `json:"of_plain"` // median of the turns
	CommitsPerChild float64 `json:"commits_per_child"`
	BytesPerChild   float64 `json:"bytes_per_child"`
	CPU             float64 `json:"cpu_us_per_child"`
	PlainCPU        float64 `json:"cpu_us_per_plain_run"`

	Open           int     `json:"open"`   // children of one run that were open together
	OpenSeconds    float64 `json:"open_s"` // from the start of their parent until all were open
	OpenCPU        float64 `json:"open_cpu_us_per_child"`
	OpenCommits    uint64  `json:"open_commits"`    // until then
	OpenLive       int64   `json:"open_live_bytes"` // of the heap, after a collection
	RestartSeconds float64 `json:"restart_s"`       // until the file with all of them is open again
	SignalSeconds  float64 `json:"signal_s"`        // from the first signal that ends a child until the parent has completed
	SignalCPU      float64 `json:"signal_cpu_us_per_child"`
	SignalCommits  uint64  `json:"signal_commits"`
}

const (
	childTurns  = 3
	childrenOf  = 1_000 // children of a run in the turns
	childSignal = "go"
)

// familyOf is a run with n children, so many of which are open at a time.
func familyOf(n, parallel int, child string) flow.Definition {
	return flow.Definition{Steps: []flow.Step{flow.Child("each", child, flow.MaxItems(int64(n)), flow.MaxParallel(int64(parallel)),
		flow.ForEach(fmt.Sprintf("1..%d", n)))}, Output: []byte(`"${ len(steps.each.output) }"`)}
}

// children takes turns between plain runs of one step and the same runs as children of one run, and then opens --count children of one run.
func children(ctx context.Context, o *Options) (*Result, error) {
	e, f, err := o.open("children")
	if err != nil {
		return nil, err
	}
	c, err := childrenBeside(ctx, o, e, min(childrenOf, max(o.Count, 1)), max(o.InFlight, 1))
	if err = errors.Join(err, e.close()); err != nil {
		return nil, err
	}
	o.say("children", 0.5)
	if err := c.open(ctx, o, max(o.Count, 1)); err != nil {
		return nil, err
	}
	o.say("children", 1)
	return &Result{Workload: "children", Mode: "embedded", InFlight: o.InFlight, Runs: c.Open, PerSecond: c.PerSecond, CPU: c.CPU, CommitsPerStep: c.CommitsPerChild,
		BytesPerStep: c.BytesPerChild, PeakRSS: peakRSS("self"), Children: c, Floor: f}, nil
}

// childrenBeside measures the turns, with so many runs open at a time in both.
func childrenBeside(ctx context.Context, o *Options, e *embedded, n, parallel int) (*Children, error) {
	e.show = []engine.StatusOption{engine.NoSteps()}
	plain := flow.Definition{Steps: []flow.Step{flow.Task("a", "bench", "noop")}}
	if err := errors.Join(e.eng.Register("plain", plain), e.eng.Register("family", familyOf(n, parallel, "plain"))); err != nil {
		return nil, err
	}
	turn := func(name string, inFlight int, seconds float64) (rate float64, runs int, used usage, err error) {
		before, err := e.usage()
		if err != nil {
			return 0, 0, usage{}, err
		}
		took, all, err := load(ctx, o, e, name, inFlight, seconds, false)
		if err != nil {
			return 0, 0, usage{}, err
		}
		after, err := e.usage()
		return float64(len(all)) / took.Seconds(), len(all), usage{cpu: after.cpu - before.cpu, commits: after.commits - before.commits, kept: after.kept - before.kept}, err
	}
	if _, _, _, err := turn("plain", parallel, o.Seconds/10); err != nil {
		return nil, err
	}
	var rates, plains, ratios []float64
	var sum, alone usage
	started, single := 0, 0
	for range childTurns {
		one, runs, used, err := turn("plain", parallel, o.Seconds/childTurns)
		if err != nil {
			return nil, err
		}
		single, alone.cpu = single+runs, alone.cpu+used.cpu
		rate, runs, used, err := turn("family", 1, o.Seconds/childTurns)
		if err != nil {
			return nil, err
		}
		rate *= float64(n)
		started += runs * n
		sum.cpu, sum.commits, sum.kept = sum.cpu+used.cpu, sum.commits+used.commits, sum.kept+used.kept
		rates, plains, ratios = append(rates, rate), append(plains, one), append(ratios, rate/one)
	}
	per := func(v float64) float64 { return v / float64(max(started, 1)) }
	return &Children{PerSecond: median(rates), PlainPerSecond: median(plains), OfPlain: median(ratios), CommitsPerChild: per(float64(sum.commits)),
		BytesPerChild: per(float64(sum.kept)), CPU: per(float64(sum.cpu.Microseconds())), PlainCPU: float64(alone.cpu.Microseconds()) / float64(max(single, 1))}, nil
}

// open opens n children of one run in a file of their own, opens the file again, and ends each with a signal.
func (c *Children) open(ctx context.Context, o *Options, n int) error {
	dir, err := o.dir("children")
	if err != nil {
		return err
	}
	codec, err := o.codec(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "open.db")
	e, err := newEmbedded(path, codec)
	if err != nil {
		return err
	}
	if err := c.begin(ctx, e, n); err != nil {
		return errors.Join(err, e.close())
	}
	if err := e.close(); err != nil {
		return err
	}
	began := time.Now()
	if e, err = newEmbedded(path, codec); err != nil {
		return err
	}
	c.RestartSeconds = time.Since(began).Seconds()
	return errors.Join(c.end(ctx, e, n), e.close())
}

func (c *Children) begin(ctx context.Context, e *embedded, n int) error {
	waits := flow.Definition{Steps: []flow.Step{flow.WaitSignal("a", childSignal)}}
	if err := errors.Join(e.eng.Register("waits", waits), e.eng.Register("crowd", familyOf(n, n, "waits"))); err != nil {
		return err
	}
	live := liveHeap()
	before, err := e.usage()
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := e.eng.Start(ctx, "crowd", nil, engine.WithID("parent")); err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := e.eng.Stats()
		if err != nil {
			return err
		}
		if s.OpenRuns == n+1 {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.Open, c.OpenSeconds = n, time.Since(began).Seconds()
	after, err := e.usage()
	c.OpenCPU = float64((after.cpu - before.cpu).Microseconds()) / float64(n)
	c.OpenCommits, c.OpenLive = after.commits-before.commits, liveHeap()-live
	return err
}

func (c *Children) end(ctx context.Context, e *embedded, n int) error {
	all, err := e.eng.List(ctx, engine.ListFilter{Parent: "parent", Limit: n + 1})
	if err == nil && len(all) != n {
		err = fmt.Errorf("the parent has %d children, want %d", len(all), n)
	}
	if err != nil {
		return err
	}
	before, err := e.usage()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := many(n, 512, func(i int) error {
		_, err := e.eng.SignalRun(ctx, all[i].WorkflowID, childSignal, nil)
		return err
	}); err != nil {
		return err
	}
	st, err := e.eng.Wait(ctx, "parent", engine.NoSteps())
	if err == nil && (st.State != "completed" || string(st.Output) != fmt.Sprint(n)) {
		err = fmt.Errorf("the parent is %s with %s, want completed with %d", st.State, st.Output, n)
	}
	if err != nil {
		return err
	}
	c.SignalSeconds = time.Since(began).Seconds()
	after, err := e.usage()
	c.SignalCPU = float64((after.cpu - before.cpu).Microseconds()) / float64(n)
	c.SignalCommits = after.commits - before.commits
	return err
}
