package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// sleep makes runs that sleep for a year, kills the process that made them, and looks at the start after it; then the same with
// 10,000 that are all due at the start.
func sleep(ctx context.Context, o *Options) (*Result, error) {
	dir, err := o.dir("sleep")
	if err != nil {
		return nil, err
	}
	f, err := o.floor(dir)
	if err != nil {
		return nil, err
	}
	n := max(o.Count, 1)
	r := &Result{Workload: "sleep", Mode: "embedded", Runs: n, Times: map[string]float64{}, Floor: f}
	slept, err := nap(ctx, o, filepath.Join(dir, "long.db"), n, 365*24*time.Hour)
	if err != nil {
		return nil, err
	}
	o.say("sleep", 0.5)
	due := min(n, 10_000)
	woke, err := nap(ctx, o, filepath.Join(dir, "due.db"), due, time.Second+time.Duration(due)*time.Millisecond)
	if err != nil {
		return nil, err
	}
	o.say("sleep", 1)
	r.PeakRSS, r.RSS, r.Seconds = slept.Peak, slept.RSS, slept.First
	r.Times["restart_new_run_done"] = slept.First
	r.Times["restart_due_new_run_done"] = woke.First
	r.Times["restart_due_all_done"] = woke.All
	return r, nil
}

// Woken is what a process says that was started on a journal full of sleeping runs.
type Woken struct {
	First float64 `json:"first"` // seconds from its start until a new run was done
	All   float64 `json:"all"`   // until every run that was due was done
	RSS   int64   `json:"rss"`   // bytes, when the new run was done
	Peak  int64   `json:"peak"`  // the most until then, mapped pages of the file included
}

func nap(ctx context.Context, o *Options, path string, n int, delay time.Duration) (*Woken, error) {
	name, argv := o.Self("bench", "--as-sleeper", path, "--count", strconv.Itoa(n), "--delay", delay.String())
	maker := exec.CommandContext(ctx, name, argv...)
	line, err := startAndRead(maker)
	if err != nil {
		return nil, err
	}
	var due int64
	if _, err := fmt.Sscanf(line, "due %d", &due); err != nil {
		return nil, fmt.Errorf("the child said %q: %w", line, err)
	}
	_ = maker.Process.Kill()
	_ = maker.Wait()
	if delay < time.Hour { // until all are due
		t := time.NewTimer(time.Until(time.UnixMilli(due)) + 100*time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	name, argv = o.Self("bench", "--as-waker", path)
	waker := exec.CommandContext(ctx, name, argv...)
	out, err := waker.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := waker.Start(); err != nil {
		return nil, err
	}
	defer func() { _ = waker.Wait() }()
	var w Woken
	in := bufio.NewReader(out)
	first, err := in.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the child said %q: %w", first, err)
	}
	w.First = time.Since(began).Seconds()
	if _, err := fmt.Sscan(first, &w.RSS, &w.Peak); err != nil {
		return nil, fmt.Errorf("the child said %q: %w", first, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		return nil, err
	}
	w.All = time.Since(began).Seconds()
	return &w, nil
}

// Sleep makes n runs that sleep, says when the last of them is due, and waits to be killed.
func Sleep(ctx context.Context, path string, n int, delay time.Duration, stdout io.Writer) error {
	e, err := newEmbedded(path, nil)
	if err != nil {
		return err
	}
	def := flow.Definition{Steps: []flow.Step{flow.WaitTimer("t", "t", flow.Delay(delay)), flow.Task("a", "bench", "noop", flow.After("t"))}}
	if err := e.eng.Register("nap", def); err != nil {
		return err
	}
	if err := many(n, 512, func(i int) error {
		_, err := e.eng.Start(ctx, "nap", nil, engine.WithID("sleeper-"+strconv.Itoa(i)))
		return err
	}); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "due %d\n", time.Now().Add(delay).UnixMilli())
	<-ctx.Done()
	return nil
}

// Wake opens the journal, says how much memory it has when a new run is done, and then that every run that was due is done.
func Wake(ctx context.Context, path string, stdout io.Writer) error {
	e, err := newEmbedded(path, nil)
	if err != nil {
		return err
	}
	if err := e.eng.Register("new", flow.Definition{Steps: []flow.Step{flow.Task("a", "bench", "noop")}}); err != nil {
		return err
	}
	if err := e.run(ctx, "new"); err != nil {
		return err
	}
	fmt.Fprintln(stdout, rss("self"), peakRSS("self"))
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := e.eng.Stats()
		if err != nil {
			return err
		}
		if s.OpenRuns == 0 || s.TimersFired == 0 && s.OpenRuns > 10_000 { // nothing is due
			break
		}
		if s.TimersFired == 0 {
			heads, err := e.eng.List(ctx, engine.ListFilter{State: "running", Limit: 1})
			if err != nil || len(heads) == 0 {
				break
			}
			if st, err := e.eng.Status(ctx, heads[0].WorkflowID); err == nil && st.Steps["t"].State == "waiting" {
				break
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fmt.Fprintln(stdout, "all")
	return e.close()
}
