// The report of a night: it counts what each branch of a shop has sold, and writes a report whatever happened: when all was counted, when a branch
// did not answer, and when somebody cancelled it. Kill it and start it again: what was counted is not counted again, and there is one report.
//
//	go run ./examples/report
//	go run ./examples/report -run night-2 -closed lyon
//
// A schedule can start it every night: docs/schedules.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

type options struct {
	file   string // of the engine; the report is written beside it
	run    string // id of the run
	closed string // a branch that does not answer
}

// definition is the workflow: count each branch, and add up. The steps of finally are told what becomes of the run, and see all other steps.
func definition() flow.Definition {
	return flow.Definition{
		Description: "counts what was sold, and reports whatever happened",
		Output:      []byte(`{"sold":"${ sum(steps.count.output) }"}`),
		Steps: []flow.Step{flow.Task("count", "night", "count", flow.ForEach("input"), flow.MaxParallel(1),
			flow.WithRetry(flow.Retry{MaxAttempts: 1}))},
		Finally: []flow.Step{
			flow.Task("report", "night", "report", flow.Templates(map[string]string{
				"run": "${ run.id }", "state": "${ fate.state }", "why": "${ fate.error?.message ?? 'nothing is wrong' }"})),
			flow.Task("send", "night", "send", flow.After("report")),
		},
	}
}

// night has the handlers.
type night struct {
	closed, dir string
	out         io.Writer
}

func (n night) count(_ context.Context, branch string) (int, error) {
	fmt.Fprintln(n.out, "count", branch)
	if branch == n.closed {
		return 0, flow.NonRetryable(fmt.Errorf("%s does not answer", branch))
	}
	return 10 * len(branch), nil
}

// report writes a file of the run's own, so that writing it again changes nothing.
func (n night) report(_ context.Context, in struct {
	Run   string `json:"run"`
	State string `json:"state"`
	Why   string `json:"why"`
}) (string, error) {
	fmt.Fprintln(n.out, "report", in.State)
	path := filepath.Join(n.dir, in.Run+".txt")
	return path, os.WriteFile(path, []byte(in.State+": "+in.Why+"\n"), 0o600)
}

func (n night) send(_ context.Context, path string) (string, error) {
	fmt.Fprintln(n.out, "send", filepath.Base(path))
	return "", nil
}

func run(ctx context.Context, o options, out io.Writer) error {
	eng, err := engine.Open(o.file, engine.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	n := night{o.closed, filepath.Dir(o.file), out}
	if err := errors.Join(engine.Handle(eng, "night", "count", n.count), engine.Handle(eng, "night", "report", n.report),
		engine.Handle(eng, "night", "send", n.send), eng.Register("night", definition())); err != nil {
		return err
	}
	if _, err := eng.Start(ctx, "night", []string{"oslo", "lyon", "berlin"}, engine.WithID(o.run)); err != nil {
		return err
	}
	status, err := eng.Wait(ctx, o.run)
	if err != nil {
		return err
	}
	if status.Error != nil {
		fmt.Fprintf(out, "%s: %s\n", status.State, status.Error.Code)
		return nil
	}
	fmt.Fprintf(out, "%s: %s\n", status.State, status.Output)
	return nil
}

func main() {
	o := options{}
	flag.StringVar(&o.file, "file", filepath.Join(os.TempDir(), "agnt5-report.db"), "the engine's file")
	flag.StringVar(&o.run, "run", "night-1", "id of the run")
	flag.StringVar(&o.closed, "closed", "", "a branch that does not answer: oslo, lyon or berlin")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
