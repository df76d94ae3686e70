package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// disturbance is something that goes on beside w1, or stands in its place. It begins, and ends when ctx does.
type disturbance struct {
	name  string
	begin func(ctx context.Context) (end func(), err error)
	flow  func(n int) string // the workflow that caller n runs; nil: w1
}

// turns is how often w1 alone and w1 beside something take turns: the machine's own ups and downs meet both.
const turns = 4

// beside measures w1 alone and beside each disturbance, in turns.
func beside(ctx context.Context, o *Options, t target, name string, all []disturbance) (*Result, error) {
	dir, err := o.dir(name)
	if err != nil {
		return nil, err
	}
	f, err := o.floor(dir)
	if err != nil {
		return nil, err
	}
	if err := t.register(ctx, "w1", Chain()); err != nil {
		return nil, err
	}
	inFlight := max(o.InFlight, 1)
	slice := o.Seconds / turns
	rates, costs := map[string][]float64{}, map[string][]float64{}
	var worst []time.Duration
	steps, total := 0, time.Duration(0)
	one := func(what string, flow func(int) string) (runs []time.Duration, err error) {
		if flow == nil {
			flow = func(int) string { return "w1" }
		}
		before, err := t.usage()
		if err != nil {
			return nil, err
		}
		took, runs, err := loadOf(ctx, o, t, flow, inFlight, slice, false)
		if err != nil {
			return nil, err
		}
		after, err := t.usage()
		if err == nil {
			rates[what] = append(rates[what], 10*float64(len(runs))/took.Seconds())
			costs[what] = append(costs[what], float64((after.cpu-before.cpu).Microseconds())/float64(10*max(len(runs), 1)))
			steps, total = steps+10*len(runs), total+took
		}
		return runs, err
	}
	if _, _, err := load(ctx, o, t, "w1", inFlight, slice/4, false); err != nil {
		return nil, err
	}
	for turn := range turns {
		if _, err := one("alone", nil); err != nil {
			return nil, err
		}
		for _, d := range all {
			over, cancel := context.WithCancel(ctx)
			end, err := d.begin(over)
			if err != nil {
				cancel()
				return nil, err
			}
			runs, err := one(d.name, d.flow)
			cancel()
			end()
			if err != nil {
				return nil, err
			}
			worst = append(worst, runs...)
		}
		o.say(name, float64(turn+1)/turns)
	}
	r := &Result{Workload: name, Mode: o.Mode, InFlight: inFlight, Seconds: total.Seconds(), Steps: steps, Beside: map[string]float64{}, BesideCPU: map[string]float64{}, P50: percentile(worst, 0.5), P99: percentile(worst, 0.99), Floor: f}
	for what, all := range rates {
		r.Beside[what], r.BesideCPU[what] = median(all), median(costs[what])
	}
	r.StepsPerSecond = r.Beside["alone"]
	return r, nil
}

func median(all []float64) float64 {
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// several runs fn in so many goroutines until ctx ends.
func several(ctx context.Context, n int, fn func(ctx context.Context)) (end func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { fn(ctx) })
	}
	return wg.Wait
}

// status asks 50 times a second for the status of one open run of 10,000 steps, beside w1.
func status(ctx context.Context, o *Options) (*Result, error) {
	t, err := o.target("status")
	if err != nil {
		return nil, err
	}
	defer t.close()
	large := flow.Definition{}
	for i := range 10_000 {
		large.Steps = append(large.Steps, flow.WaitSignal(fmt.Sprint("s", i), fmt.Sprint("n", i)))
	}
	if err := t.register(ctx, "large", large); err != nil {
		return nil, err
	}
	if err := t.start(ctx, "large", "large"); err != nil {
		return nil, err
	}
	return beside(ctx, o, t, "status", []disturbance{{name: "50_a_second", begin: func(ctx context.Context) (func(), error) {
		return several(ctx, 1, func(ctx context.Context) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				_ = t.status(ctx, "large")
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		}), nil
	}}})
}

// feed has readers of all events, and followers of runs that do not move, beside w1.
func feed(ctx context.Context, o *Options) (*Result, error) {
	t, err := o.target("feed")
	if err != nil {
		return nil, err
	}
	defer t.close()
	if err := t.register(ctx, "quiet", flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}); err != nil {
		return nil, err
	}
	const followers = 100
	for i := range followers {
		if err := t.start(ctx, "quiet", fmt.Sprint("quiet-", i)); err != nil {
			return nil, err
		}
	}
	readers := func(n int) disturbance {
		return disturbance{name: fmt.Sprintf("%d_readers", n), begin: func(ctx context.Context) (func(), error) {
			return several(ctx, n, func(ctx context.Context) { t.follow(ctx, "") }), nil
		}}
	}
	return beside(ctx, o, t, "feed", []disturbance{readers(1), readers(10), readers(100),
		{name: "100_followers_of_quiet_runs", begin: func(ctx context.Context) (func(), error) {
			var wg sync.WaitGroup
			for i := range followers {
				wg.Go(func() { t.follow(ctx, fmt.Sprint("quiet-", i)) })
			}
			return wg.Wait, nil
		}}})
}

// busy has as many processes as there are cores that do nothing but use them, beside w1.
func busy(ctx context.Context, o *Options) (*Result, error) {
	t, err := o.target("busy")
	if err != nil {
		return nil, err
	}
	defer t.close()
	return beside(ctx, o, t, "busy", []disturbance{{name: "spinning_processes", begin: func(context.Context) (func(), error) {
		var all []*exec.Cmd
		end := func() {
			for _, cmd := range all {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}
		}
		for range runtime.NumCPU() {
			name, argv := o.Self("bench", "--as-spinner")
			cmd := exec.Command(name, argv...)
			if err := cmd.Start(); err != nil {
				end()
				return nil, err
			}
			all = append(all, cmd)
		}
		return end, nil
	}}})
}

// Spin works out digests until ctx ends, for ten minutes at most.
func Spin(ctx context.Context) {
	var block [sha256.Size]byte
	for until := time.Now().Add(10 * time.Minute); ctx.Err() == nil && time.Now().Before(until); {
		for i := range len(block) {
			block = sha256.Sum256(block[i:])
		}
	}
}

func (e *embedded) start(ctx context.Context, name, id string) error {
	_, err := e.eng.Start(ctx, name, nil, engine.WithID(id))
	return err
}

func (e *embedded) status(ctx context.Context, id string) error {
	_, err := e.eng.Status(ctx, id, engine.NoSteps())
	return err
}

func (e *embedded) follow(ctx context.Context, run string) {
	_ = e.eng.Watch(ctx, engine.WatchFilter{Run: run, After: e.eng.Durable()}, func(engine.Event) error { return nil })
}

func (r *remote) start(ctx context.Context, name, id string) error {
	_, _, err := r.c.Start(ctx, name, nil, client.StartOptions{ID: id})
	return err
}

func (r *remote) status(ctx context.Context, id string) error {
	_, err := r.c.Status(ctx, id, "none")
	return err
}

// follow takes a stream and throws it away, as cheaply as can be: what is measured is the daemon.
func (r *remote) follow(ctx context.Context, run string) {
	now, err := r.c.Version(ctx)
	if err != nil {
		return
	}
	path := "/v1/events"
	if run != "" {
		path = "/v1/runs/" + run + "/events"
	}
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s%s?after=%d", r.url, path, now.Durable), nil)
	if err != nil {
		return
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}
