package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/examples/etl"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/agnt5/agnt5d/ui"
	"github.com/spf13/cobra"
)

const (
	demoRun    = "demo"
	demoWindow = time.Second           // instead of three in the morning
	demoPace   = 20 * time.Millisecond // after each hundred rows
	demoVictim = "clean_data"          // the process is killed inside this step
)

func newDemoCmd() *cobra.Command {
	var dir string
	var child bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a pipeline on real data, kill it midway and watch it resume",
		Long: `Runs the nightly ETL pipeline of examples/etl (four years of daily weather in two cities) in a process of its own, kills
that process with SIGKILL in the middle of a step, starts it again and lets it finish. What really ran is counted from a
ledger that the handlers write themselves. The maintenance window, three in the morning in the pipeline's own definition,
is moved to one second after the data is ready.`,
		Args: nargs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if child {
				return demoChild(cmd.Context(), dir, cmd.OutOrStdout())
			}
			if dir == "" {
				var err error
				if dir, err = os.MkdirTemp("", "agnt5d-demo-"); err != nil {
					return exit(exitError, "demo: %w", err)
				}
			}
			return demo(cmd.Context(), dir, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "an empty folder for all that the demo writes (default: a new one for temporary files)")
	cmd.Flags().BoolVar(&child, "child", false, "be the process that is killed")
	_ = cmd.Flags().MarkHidden("child")
	return cmd
}

// demoNews is a line that the child tells its parent: a step's new state, how far its body is, or how the run ended.
type demoNews struct {
	Step  string `json:"step,omitempty"`
	State string `json:"state,omitempty"`
	Done  int    `json:"done,omitempty"`
	Total int    `json:"total,omitempty"`
	End   string `json:"end,omitempty"`
}

// demoChild is the program with the engine inside: what a user would write, and news of it on stdout.
func demoChild(ctx context.Context, dir string, stdout io.Writer) error {
	news := make(chan demoNews)
	told := make(chan struct{})
	go func() {
		defer close(told)
		enc := json.NewEncoder(stdout)
		for n := range news {
			_ = enc.Encode(n) // a parent that is gone does not stop the work
		}
	}()
	err := demoWork(ctx, dir, func(n demoNews) { news <- n })
	close(news)
	<-told
	return err
}

func demoWork(ctx context.Context, dir string, tell func(demoNews)) error {
	url, stop, err := etl.ServeAPI(dir)
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	eng, err := engine.Open(filepath.Join(dir, "demo.db"), engine.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close() }() // for the ways out with an error
	p := &etl.Pipeline{Dir: dir, API: url, Pace: demoPace, Progress: func(step string, done, total int) {
		tell(demoNews{Step: step, Done: done, Total: total})
	}}
	if err := p.Handle(eng); err != nil {
		return err
	}
	if err := eng.Register("nightly_etl", etl.Definition(flow.Delay(demoWindow))); err != nil {
		return err
	}
	run, err := eng.Start(ctx, "nightly_etl", nil, engine.WithID(demoRun))
	if err != nil {
		return err
	}
	// What the journal holds already is told as it stands, not event by event: it is not happening now.
	status, err := eng.Status(ctx, run)
	if err != nil {
		return err
	}
	for _, step := range status.Order {
		if s := status.Steps[step].State; s == "completed" || s == "running" || s == "waiting" {
			tell(demoNews{Step: step, State: s})
		}
	}
	err = eng.Watch(ctx, engine.WatchFilter{Run: run, After: status.LastSeq}, func(e engine.Event) error {
		if state := demoStates[e.Kind]; state != "" && e.Step != "" {
			tell(demoNews{Step: e.Step, State: state})
		}
		if e.Kind == "RunCompleted" || e.Kind == "RunFailed" {
			return io.EOF
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	status, err = eng.Wait(ctx, run)
	if err != nil {
		return err
	}
	night, err := demoSchedule()
	if err == nil {
		_, _, err = eng.SchedulePut(ctx, night)
	}
	if err != nil {
		return err
	}
	if status.Error != nil {
		return fmt.Errorf("run %s: step %s: %s", run, status.Error.Step, status.Error.Message)
	}
	if err := eng.Close(); err != nil {
		return err
	}
	tell(demoNews{End: status.State})
	return nil
}

// demoSchedule is what starts the pipeline every night.
func demoSchedule() (*schedules.Definition, error) {
	all, problems := schedules.ReadFile(etl.Schedules)
	if len(problems) > 0 {
		return nil, problems
	}
	return all[0], nil
}

// demoStates is the state that an event leaves its step in, as far as the demo draws it.
var demoStates = map[string]string{
	"AttemptStarted": "running", "TimerSet": "waiting", "StepCompleted": "completed", "StepFailed": "failed",
}

func demo(ctx context.Context, dir string, stdout io.Writer) error {
	if there, err := os.ReadDir(dir); err == nil && len(there) > 0 {
		return exit(exitUsage, "demo: %s is not empty, %s is in it: give --dir a new or an empty folder", dir, there[0].Name())
	}
	if err := etl.Unpack(dir); err != nil {
		return exit(exitError, "demo: %w", err)
	}
	view := newDemoView(stdout)
	fmt.Fprintf(stdout, "Four years of daily weather, two cities, three sources. Everything is in %s\n\n", dir)

	first, err := demoProcess(ctx, dir, view, true)
	if err != nil {
		return exit(exitError, "demo: %w", err)
	}
	before, err := etl.Ledger(dir)
	if err != nil {
		return exit(exitError, "demo: %w", err)
	}
	view.cutOff()
	view.say("kill -9 %d: that process is gone, in the middle of %s", first, demoVictim)
	second, err := demoProcess(ctx, dir, view, false)
	if err != nil {
		return exit(exitError, "demo: %w", err)
	}
	after, err := etl.Ledger(dir)
	if err != nil {
		return exit(exitError, "demo: %w", err)
	}
	if err := demoAccount(stdout, dir, before, after[len(before):], first, second); err != nil || !isTerminal(stdout) || ui.Handler(ui.File) == nil {
		return err
	}
	return serveFile(ctx, filepath.Join(dir, "demo.db"), "127.0.0.1:0", stdout)
}

// demoProcess runs the child and shows its news. With kill, it is killed when it is half through demoVictim.
func demoProcess(ctx context.Context, dir string, view *demoView, kill bool) (pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, "demo", "--child", "--dir", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid
	view.say("process %d started", pid)
	killed, end := false, ""
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var n demoNews
		if json.Unmarshal(lines.Bytes(), &n) != nil {
			continue // cut off by the kill
		}
		view.show(n)
		if n.End != "" {
			end = n.End
		}
		if kill && !killed && n.Step == demoVictim && n.Total > 0 && n.Done*2 >= n.Total {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				return pid, err
			}
		}
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return pid, ctx.Err()
	case killed:
		return pid, nil
	case err != nil:
		return pid, fmt.Errorf("process %d: %w", pid, err)
	case kill || end != "completed":
		return pid, fmt.Errorf("process %d ended by itself, run %q", pid, end)
	}
	return pid, nil
}

// demoAccount says what ran, by the ledger alone: before are its lines at the kill, after those since.
func demoAccount(stdout io.Writer, dir string, before, after []etl.Entry, first, second int) error {
	ended, again := map[string]bool{}, map[string]bool{}
	for _, e := range before {
		if e.What == "ended" {
			ended[e.Step] = true
		}
	}
	for _, e := range after {
		if e.What == "began" {
			again[e.Step] = true
		}
	}
	fmt.Fprintf(stdout, "\nWhat ran, by the handlers' own ledger (%s):\n", filepath.Join(dir, "ledger.jsonl"))
	spared := 0
	for _, s := range etl.Definition(etl.Nightly).Steps {
		switch {
		case s.Type == flow.TypeWaitTimer:
			continue
		case ended[s.Name] && !again[s.Name]:
			spared++
			fmt.Fprintf(stdout, "  %-22s completed by process %d, not run again\n", s.Name, first)
		case ended[s.Name]:
			fmt.Fprintf(stdout, "  %-22s ended in process %d, but its outcome was not on disk yet: run again by process %d\n", s.Name, first, second)
		case began(before, s.Name) && again[s.Name]:
			fmt.Fprintf(stdout, "  %-22s cut off by the kill, run again by process %d\n", s.Name, second)
		case again[s.Name]:
			fmt.Fprintf(stdout, "  %-22s run by process %d\n", s.Name, second)
		default:
			return exit(exitError, "demo: the ledger has no line of %s, which should have run", s.Name)
		}
	}
	fmt.Fprintf(stdout, "%s had completed before the kill and were not run again.\n\n", count(spared, "step"))
	night, err := demoSchedule()
	if err != nil {
		return err
	}
	plan, err := schedules.NewPlan(night)
	if err != nil {
		return err
	}
	if next, ok := plan.Next(time.Now().UnixMilli()); ok {
		fmt.Fprintf(stdout, "A schedule beside it, %s, starts it every night; a daemon on this journal would do that next at %s.\n\n", night.Name, plan.Local(next))
	}
	fmt.Fprintf(stdout, "Report:  %s\n", filepath.Join(dir, "report.html"))
	fmt.Fprintf(stdout, "Page:    %s ui --file %s\n", demoSelf(), filepath.Join(dir, "demo.db"))
	fmt.Fprintf(stdout, "Next:    %s replay %s\n", demoSelf(), filepath.Join(dir, "demo.db"))
	fmt.Fprintf(stdout, "The demo leaves that folder for you to look at; delete it when you are done: %s\n", dir)
	return nil
}

func began(entries []etl.Entry, step string) bool {
	for _, e := range entries {
		if e.Step == step && e.What == "began" {
			return true
		}
	}
	return false
}

// demoSelf is how the person can start this program once more: one that go run built is gone when it ends.
func demoSelf() string {
	self, err := os.Executable()
	if err != nil {
		return "agnt5d"
	}
	if rel, err := filepath.Rel(os.TempDir(), self); err == nil && len(rel) > 8 && rel[:8] == "go-build" {
		return "go run ./cmd/agnt5d"
	}
	return os.Args[0]
}
