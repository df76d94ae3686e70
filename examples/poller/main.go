// The poller asks another system for an export and looks again and again until it is done: rounds with a growing pause, a time limit, a
// branch for when it never is, and an output of its own. Kill it and start it again: it goes on with the round that comes next.
//
//	go run ./examples/poller
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
	"strconv"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

type options struct {
	file     string        // of the engine; beside it lies what the other system knows
	run      string        // id of the run
	interval time.Duration // after the first round; each is half as long again
	looks    int           // how often somebody must look until the export is done
	rounds   int64         // how often the workflow looks
}

// definition is the workflow: begin an export, look until it is done, fetch it; or say that it was given up.
func definition(o options) flow.Definition {
	return flow.Definition{
		Description: "fetches a report that another system takes its time to make",
		TimeoutMS:   ms(time.Hour),
		Output:      []byte(`{"rows":"${ steps.fetch.output?.rows ?? 0 }","given_up":"${ steps.give_up.state == 'completed' }"}`),
		Steps: []flow.Step{
			flow.Task("begin", "reports", "begin"),
			{Name: "poll", Service: "reports", Handler: "poll", Dependencies: []string{"begin"},
				Input:      []byte(`{"export":"${ steps.begin.output.export }"}`),
				ObjectKeys: []string{"export:${ steps.begin.output.export }"},
				Repeat:     &flow.Repeat{Until: "output.done", IntervalMS: ms(o.interval), BackoffCoefficient: 1.5, MaxIntervalMS: ms(10 * o.interval), MaxRounds: &o.rounds},
				OnFailure:  "give_up"},
			flow.Task("fetch", "reports", "fetch", flow.After("poll"), flow.Templates(map[string]string{"url": "${ steps.poll.output.url }"})),
			flow.Task("give_up", "reports", "give_up"),
		},
	}
}

func ms(d time.Duration) *int64 {
	n := d.Milliseconds()
	return &n
}

// exports is the other system: a file that counts how often somebody looked.
type exports struct{ path string }

func (x exports) look() (n int, err error) {
	b, err := os.ReadFile(x.path)
	if err == nil {
		n, err = strconv.Atoi(strings.TrimSpace(string(b)))
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return 0, err
	}
	return n + 1, os.WriteFile(x.path, []byte(strconv.Itoa(n+1)), 0o600)
}

type begun struct {
	Export string `json:"export"`
}

type seen struct {
	Done bool   `json:"done"`
	URL  string `json:"url"`
}

type rows struct {
	Rows int `json:"rows"`
}

func handle(eng *engine.Engine, o options, out io.Writer) error {
	x := exports{o.file + ".export"}
	return errors.Join(
		engine.Handle(eng, "reports", "begin", func(context.Context, struct{}) (begun, error) {
			fmt.Fprintln(out, "export begun")
			return begun{"e-17"}, nil
		}),
		engine.Handle(eng, "reports", "poll", func(_ context.Context, in begun) (seen, error) {
			n, err := x.look()
			fmt.Fprintf(out, "look %d at %s\n", n, in.Export)
			if n < o.looks || err != nil {
				return seen{}, err
			}
			return seen{true, "https://reports.example/" + in.Export}, nil
		}),
		engine.Handle(eng, "reports", "fetch", func(_ context.Context, in struct {
			URL string `json:"url"`
		}) (rows, error) {
			fmt.Fprintln(out, "fetched", in.URL)
			return rows{1200}, nil
		}),
		engine.Handle(eng, "reports", "give_up", func(context.Context, struct{}) (string, error) {
			fmt.Fprintln(out, "given up")
			return "", nil
		}))
}

func run(ctx context.Context, o options, out io.Writer) error {
	eng, err := engine.Open(o.file, engine.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	if err := errors.Join(handle(eng, o, out), eng.Register("report", definition(o))); err != nil {
		return err
	}
	if _, err := eng.Start(ctx, "report", nil, engine.WithID(o.run)); err != nil {
		return err
	}
	status, err := eng.Wait(ctx, o.run)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s\n", status.State, status.Output)
	return nil
}

func main() {
	o := options{}
	flag.StringVar(&o.file, "file", filepath.Join(os.TempDir(), "agnt5-poller.db"), "the engine's file")
	flag.StringVar(&o.run, "run", "report-1", "id of the run")
	flag.DurationVar(&o.interval, "interval", time.Second, "pause after the first look")
	flag.IntVar(&o.looks, "looks", 6, "how often somebody must look until the export is done")
	flag.Int64Var(&o.rounds, "rounds", 100, "how often the workflow looks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
