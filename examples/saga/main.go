// The saga takes an order: it reserves the goods, charges for them and ships them. An order that cannot be shipped, or that somebody cancels, is
// taken back: the money first, and then the goods. Kill it and start it again: each thing is taken back once, in order.
//
//	go run ./examples/saga
//	go run ./examples/saga -run order-2 -broken
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
	"github.com/agnt5/agnt5d/worker"
)

type options struct {
	file   string // of the engine
	run    string // id of the run
	broken bool   // nothing can be shipped
}

// definition is the workflow. The compensation of a step is told what the step was told, and what it gave. A charge of which nobody knows
// whether it was made is taken back, too.
func definition() flow.Definition {
	once := flow.WithRetry(flow.Retry{MaxAttempts: 1})
	return flow.Definition{
		Description: "takes an order, and takes it back when it cannot be shipped",
		Output:      []byte(`{"shipped":"${ steps.ship.output }"}`),
		Steps: []flow.Step{
			flow.Task("reserve", "shop", "reserve", flow.Compensate("release")),
			flow.Task("charge", "shop", "charge", flow.After("reserve"), once,
				flow.WithCompensation(flow.Compensation{Handler: "refund", AlsoIfStarted: true})),
			flow.Task("ship", "shop", "ship", flow.RunAfter("charge"), once),
		},
		Finally: []flow.Step{flow.Task("tell", "shop", "tell", flow.Templates(map[string]string{
			"order": "${ input.order }", "state": "${ fate.state }"}))},
	}
}

// shop has the handlers. A real one passes the task's IdempotencyKey on, so that what is done again after a crash is done once there.
type shop struct {
	broken bool
	out    io.Writer
}

type order struct {
	Order string `json:"order"`
	Price int    `json:"price"`
}

func (s shop) reserve(_ context.Context, o order) (string, error) {
	fmt.Fprintln(s.out, "reserve", o.Order)
	return "shelf 7", nil
}

func (s shop) charge(_ context.Context, o order) (string, error) {
	fmt.Fprintln(s.out, "charge", o.Price)
	return "receipt of " + o.Order, nil
}

func (s shop) ship(_ context.Context, o order) (string, error) {
	fmt.Fprintln(s.out, "ship", o.Order)
	if s.broken {
		return "", flow.NonRetryable(errors.New("no van"))
	}
	return o.Order, nil
}

// refund and release take back: the output of the step that they belong to is in the task.
func (s shop) refund(ctx context.Context, o order) (string, error) {
	task := worker.FromContext(ctx)
	fmt.Fprintln(s.out, "refund", o.Price, string(task.Output))
	return "refunded", nil
}

func (s shop) release(ctx context.Context, o order) (string, error) {
	task := worker.FromContext(ctx)
	fmt.Fprintln(s.out, "release", o.Order, string(task.Output))
	return "released", nil
}

// tell comes last, whatever happened.
func (s shop) tell(_ context.Context, in struct {
	Order string `json:"order"`
	State string `json:"state"`
}) (string, error) {
	fmt.Fprintln(s.out, "tell", in.Order, in.State)
	return "", nil
}

func (s shop) handle(eng *engine.Engine) error {
	return errors.Join(
		engine.Handle(eng, "shop", "reserve", s.reserve),
		engine.Handle(eng, "shop", "release", s.release),
		engine.Handle(eng, "shop", "charge", s.charge),
		engine.Handle(eng, "shop", "refund", s.refund),
		engine.Handle(eng, "shop", "ship", s.ship),
		engine.Handle(eng, "shop", "tell", s.tell))
}

func run(ctx context.Context, o options, out io.Writer) error {
	eng, err := engine.Open(o.file, engine.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	if err := errors.Join(shop{o.broken, out}.handle(eng), eng.Register("order", definition())); err != nil {
		return err
	}
	if _, err := eng.Start(ctx, "order", order{"books", 12}, engine.WithID(o.run)); err != nil {
		return err
	}
	status, err := eng.Wait(ctx, o.run)
	if err != nil {
		return err
	}
	if status.Error != nil {
		fmt.Fprintf(out, "%s: %s: %s\n", status.State, status.Error.Step, status.Error.Message)
		return nil
	}
	fmt.Fprintf(out, "%s: %s\n", status.State, status.Output)
	return nil
}

func main() {
	o := options{}
	flag.StringVar(&o.file, "file", filepath.Join(os.TempDir(), "agnt5-saga.db"), "the engine's file")
	flag.StringVar(&o.run, "run", "order-1", "id of the run")
	flag.BoolVar(&o.broken, "broken", false, "there is no van: nothing can be shipped")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
