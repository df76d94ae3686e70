package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/bench"
	"github.com/spf13/cobra"
)

type benchFlags struct {
	workload, mode, dir, format string
	inFlight, count, events     int
	workers                     int // that asWorker is
	seconds                     float64
	sealed                      bool

	asWorker, asSleeper, asWaker string // what this process is for another one
	asSpinner                    bool
	delay                        time.Duration
}

func newBenchCmd() *cobra.Command {
	var o benchFlags
	var about strings.Builder
	var far []string
	for _, w := range bench.Workloads {
		if slices.Contains(w.Modes, "daemon") {
			far = append(far, w.Name)
		}
		fmt.Fprintf(&about, "\n  %-8s %s", w.Name, w.About)
	}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine: steps a second, latency, commits, bytes and CPU a step, beside the disk's own floor",
		Long: `Runs workloads through the public API on files in a folder of its own, which is removed afterwards, and prints what they gave
beside what the same disk does without an engine, measured in the same minute.
` + about.String() + `

--mode daemon starts a daemon and a worker in processes of their own and talks to them over HTTP (` + strings.Join(far, ", ") + `).`,
		Example: "  agnt5d bench\n  agnt5d bench --workload w1 --in-flight 512 --seconds 10 -o json\n  agnt5d bench --workload w1 --mode daemon --in-flight 512",
		Args:    nargs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.workload, "workload", "w1", "what to measure: names separated by commas, or all")
	f.StringVar(&o.mode, "mode", "embedded", "embedded or daemon")
	f.IntVar(&o.inFlight, "in-flight", 0, "runs at once, of the workloads that have some; default: w1 with 1, 64 and 512, workers 512, latency 256, payload 16, others 64")
	f.Float64Var(&o.seconds, "seconds", 5, "how long each workload runs that does not end by itself")
	f.IntVar(&o.count, "count", 100_000, "how many signals, timers, items, children, sleeping runs, runs to list and (1,000 at most) workers")
	f.IntVar(&o.events, "events", 1_000_000, "how many events the file of growth holds, and keep writes")
	f.StringVar(&o.dir, "dir", "", "a folder on the disk to measure; default: one beside the current folder's files")
	f.BoolVar(&o.sealed, "sealed", false, "seal payloads in the journal, to see what it costs; not sleep and growth")
	f.StringVar(&o.asWorker, "as-worker", "", "")
	f.IntVar(&o.workers, "workers", 1, "")
	f.StringVar(&o.asSleeper, "as-sleeper", "", "")
	f.StringVar(&o.asWaker, "as-waker", "", "")
	f.BoolVar(&o.asSpinner, "as-spinner", false, "")
	f.DurationVar(&o.delay, "delay", 0, "")
	for _, hidden := range []string{"as-worker", "workers", "as-sleeper", "as-waker", "as-spinner", "delay"} {
		_ = f.MarkHidden(hidden)
	}
	addFormat(cmd, &o.format)
	return cmd
}

func (o *benchFlags) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	switch {
	case o.asSpinner:
		bench.Spin(ctx)
		return nil
	case o.asWorker != "":
		return bench.Work(ctx, o.asWorker, o.workers, cmd.OutOrStdout())
	case o.asSleeper != "":
		return bench.Sleep(ctx, o.asSleeper, o.count, o.delay, cmd.OutOrStdout())
	case o.asWaker != "":
		return bench.Wake(ctx, o.asWaker, cmd.OutOrStdout())
	}
	if err := checkFormat(o.format); err != nil {
		return err
	}
	jobs, err := o.jobs()
	if err != nil {
		return usage(err)
	}
	if o.format != "json" {
		fmt.Fprintf(cmd.OutOrStdout(), "%d cores, %s, %s/%s, %s\n", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format("2006-01-02 15:04 MST"))
		fmt.Fprintln(cmd.OutOrStdout(), benchHead)
	}
	for _, j := range jobs {
		r, err := j(ctx, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if o.format == "json" {
			err = printJSON(cmd.OutOrStdout(), r)
		} else {
			err = printBench(cmd.OutOrStdout(), r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type benchJob func(ctx context.Context, progress io.Writer) (*bench.Result, error)

// jobs is what the flags ask for, one after the other.
func (o *benchFlags) jobs() ([]benchJob, error) {
	if o.mode != "embedded" && o.mode != "daemon" {
		return nil, fmt.Errorf("--mode %q: want embedded or daemon", o.mode)
	}
	if o.seconds <= 0 || o.count < 1 || o.events < 0 || o.inFlight < 0 {
		return nil, fmt.Errorf("--seconds and --count must be positive; --events and --in-flight must not be negative")
	}
	names := strings.Split(o.workload, ",")
	if o.workload == "all" {
		names = nil
		for _, w := range bench.Workloads {
			if slices.Contains(w.Modes, o.mode) {
				names = append(names, w.Name)
			}
		}
	}
	var out []benchJob
	for _, name := range names {
		w, err := bench.Find(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(w.Modes, o.mode) {
			return nil, fmt.Errorf("workload %s runs with --mode %s only", name, w.Modes[0])
		}
		flights := []int{o.inFlight}
		switch {
		case o.inFlight == 0 && name == "w1":
			flights = []int{1, 64, 512}
		case o.inFlight == 0 && name == "payload":
			flights = []int{16}
		case o.inFlight == 0 && name == "workers":
			flights = []int{512}
		case o.inFlight == 0 && name == "latency":
			flights = []int{256}
		case o.inFlight == 0:
			flights = []int{64}
		}
		for _, n := range flights {
			out = append(out, o.job(w, n))
		}
	}
	return out, nil
}

func (o *benchFlags) job(w *bench.Workload, inFlight int) benchJob {
	return func(ctx context.Context, progress io.Writer) (*bench.Result, error) {
		dir, err := os.MkdirTemp(o.place(), "agnt5d-bench-")
		if err != nil {
			return nil, exit(exitError, "%v", err)
		}
		defer os.RemoveAll(dir)
		bar := newBar(progress)
		defer bar.end()
		return w.Run(ctx, &bench.Options{Dir: dir, Mode: o.mode, InFlight: inFlight, Seconds: o.seconds, Count: o.count, Events: o.events, Sealed: o.sealed, Progress: bar.show, Self: self})
	}
}

// place is where files are measured: the folder that was named, else the current one. A temporary folder may be no disk at all.
func (o *benchFlags) place() string {
	if o.dir != "" {
		return o.dir
	}
	return "."
}

// self starts this program again.
func self(args ...string) (string, []string) {
	name, err := os.Executable()
	if err != nil {
		name = os.Args[0]
	}
	return name, args
}

const benchHead = "workload  mode      in flight   steps/s  run p50 ms  run p99 ms  commits/step  bytes/step  written/step  CPU µs/step  peak MB  floor: commit ms   puts/s"

func printBench(out io.Writer, r *bench.Result) error {
	rate := r.StepsPerSecond
	if rate == 0 {
		rate = r.PerSecond
	}
	_, err := fmt.Fprintf(out, "%-8s  %-8s  %9d  %8.0f  %10.2f  %10.2f  %12.4f  %10.0f  %12.0f  %11.1f  %7.0f  %16.3f  %7.0f\n", r.Workload, r.Mode, r.InFlight, rate, r.P50, r.P99,
		r.CommitsPerStep, r.BytesPerStep, r.WrittenPerStep, r.CPU, float64(r.PeakRSS)/(1<<20), r.Floor.CommitMS, r.Floor.PutsPerSecond)
	for _, name := range slices.Sorted(maps.Keys(r.Times)) {
		if err == nil {
			_, err = fmt.Fprintf(out, "          %s: %.3f\n", strings.ReplaceAll(name, "_", " "), r.Times[name])
		}
	}
	for _, what := range slices.Sorted(maps.Keys(r.Beside)) {
		if err == nil && what != "alone" {
			_, err = fmt.Fprintf(out, "          beside %s: %.0f steps/s, %.0f %%; %.1f µs of CPU a step, alone %.1f\n", strings.ReplaceAll(what, "_", " "), r.Beside[what],
				100*r.Beside[what]/r.Beside["alone"], r.BesideCPU[what], r.BesideCPU["alone"])
		}
	}
	if err == nil && r.MBPerSecond > 0 {
		_, err = fmt.Fprintf(out, "          outputs: %.0f MB/s\n", r.MBPerSecond)
	}
	for _, l := range r.Latency {
		if err == nil {
			_, err = fmt.Fprintf(out, "          a run of one step at %.0f %% load: p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f ms\n", 100*l.Load, l.P50, l.P90, l.P99, l.P999)
		}
	}
	for _, i := range r.Items {
		if err == nil {
			_, err = fmt.Fprintf(out, "          %d items: %.0f a second, %.0f %% of w2's steps; an item: %.4f commits, %.0f bytes, %.1f µs of CPU; live heap %.1f MB\n",
				i.Items, i.PerSecond, 100*i.OfW2, i.CommitsPerItem, i.BytesPerItem, i.CPU, float64(i.Live)/1e6)
		}
	}
	if c := r.Children; err == nil && c != nil {
		_, err = fmt.Fprintf(out, "          children: %.0f a second, %.0f %% of the %.0f plain runs; a child: %.4f commits, %.0f bytes, %.1f µs of CPU (a plain run %.1f)\n"+
			"          %d open children of one run: after %.2f s, %.1f µs of CPU each and %d commits, live heap %.1f MB\n"+
			"          the file is open again in %.2f s; all ended by signals in %.2f s, %.1f µs of CPU each and %d commits\n",
			c.PerSecond, 100*c.OfPlain, c.PlainPerSecond, c.CommitsPerChild, c.BytesPerChild, c.CPU, c.PlainCPU,
			c.Open, c.OpenSeconds, c.OpenCPU, c.OpenCommits, float64(c.OpenLive)/1e6, c.RestartSeconds, c.SignalSeconds, c.SignalCPU, c.SignalCommits)
	}
	if err != nil || len(r.Samples) == 0 {
		return err
	}
	rows := [][]string{{"          AT", "RUNS/S", "P50 MS", "P99 MS", "MEMORY MB", "LIVE HEAP MB", "GOROUTINES", "JOURNAL MB"}}
	for _, s := range r.Samples {
		rows = append(rows, []string{fmt.Sprintf("          %.0fs", s.At), fmt.Sprintf("%.0f", s.RunsPerSecond), fmt.Sprintf("%.1f", s.P50), fmt.Sprintf("%.1f", s.P99),
			fmt.Sprintf("%.0f", float64(s.RSS)/(1<<20)), fmt.Sprintf("%.0f", float64(s.Heap)/(1<<20)), fmt.Sprint(s.Goroutines), fmt.Sprintf("%.0f", float64(s.Journal)/(1<<20))})
	}
	return table(out, rows)
}

// bar shows progress: a bar that is drawn over at a terminal, else a line for each tenth.
type bar struct {
	w     io.Writer
	redo  bool
	tenth int
	drawn bool
}

func newBar(to io.Writer) *bar {
	w := unwrap(to)
	return &bar{w: w, redo: isTerminal(w), tenth: -1}
}

// barAtTerminal is one that says nothing to what is no terminal.
func barAtTerminal(w io.Writer) *bar { return &bar{w: w, redo: isTerminal(w), tenth: 10} }

func (b *bar) show(what string, done float64) {
	tenth := int(done * 10)
	if b.redo {
		const width = 30
		n := int(done * width)
		fmt.Fprintf(b.w, "\r%-10s [%s%s] %3.0f%%", what, strings.Repeat("=", n), strings.Repeat(" ", width-n), done*100)
		b.drawn = true
		return
	}
	if tenth > b.tenth {
		b.tenth = tenth
		fmt.Fprintf(b.w, "%s %d%%\n", what, tenth*10)
	}
}

func (b *bar) end() {
	if b.drawn {
		fmt.Fprint(b.w, "\r"+strings.Repeat(" ", 60)+"\r")
		b.drawn = false
	}
}
