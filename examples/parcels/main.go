// The parcels of a large order: a run of one workflow for each, which are the children of one run. Each can be looked at by itself, and the parent
// has their outputs when all have ended. Kill it and start it again: each child is started once.
//
//	go run ./examples/parcels
//	go run ./examples/parcels -run order-2 -parcels 50
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
	file     string // of the engine
	run      string // id of the run
	parcels  int
	parallel int64 // children open at a time
}

// parcel is the workflow of a child: pack it, and ship it.
func parcel() flow.Definition {
	return flow.Definition{
		Description: "packs a parcel and ships it",
		Output:      []byte(`{"parcel":"${ input.number }","grams":"${ steps.pack.output }"}`),
		Steps: []flow.Step{
			flow.Task("pack", "parcels", "pack"),
			flow.Task("ship", "parcels", "ship", flow.RunAfter("pack")),
		},
	}
}

// order is the workflow of the parent: a child for each parcel, whose input is the item.
func order(o options) flow.Definition {
	return flow.Definition{
		Description: "ships an order of many parcels",
		Output:      []byte(`{"shipped":"${ len(steps.parcels.output) }","grams":"${ sum(steps.parcels.output, .grams) }"}`),
		Steps: []flow.Step{flow.Child("parcels", "parcel", flow.ForEach("map(1..input.parcels, ({number: #}))"),
			flow.MaxParallel(o.parallel))},
	}
}

// belt has the handlers.
type belt struct{ out io.Writer }

type item struct {
	Number int `json:"number" agnt5:"required"` // of the child's input
}

func (b belt) pack(_ context.Context, p item) (grams int, err error) {
	fmt.Fprintln(b.out, "pack", p.Number)
	return 100 + p.Number, nil
}

func (b belt) ship(_ context.Context, p item) (string, error) {
	fmt.Fprintln(b.out, "ship", p.Number)
	return "", nil
}

func run(ctx context.Context, o options, out io.Writer) error {
	eng, err := engine.Open(o.file, engine.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	b := belt{out}
	if err := errors.Join(engine.Handle(eng, "parcels", "pack", b.pack), engine.Handle(eng, "parcels", "ship", b.ship),
		eng.Register("parcel", parcel()), eng.Register("order", order(o))); err != nil {
		return err
	}
	if _, err := eng.Start(ctx, "order", map[string]int{"parcels": o.parcels}, engine.WithID(o.run)); err != nil {
		return err
	}
	status, err := eng.Wait(ctx, o.run)
	if err != nil {
		return err
	}
	if status.Error != nil {
		return errors.New(status.Error.Message)
	}
	children, err := eng.List(ctx, engine.ListFilter{Parent: o.run, State: "completed", Limit: o.parcels + 1})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d children completed\n%s: %s\n", len(children), status.State, status.Output)
	return nil
}

func main() {
	o := options{}
	flag.StringVar(&o.file, "file", filepath.Join(os.TempDir(), "agnt5-parcels.db"), "the engine's file")
	flag.StringVar(&o.run, "run", "order-1", "id of the run")
	flag.IntVar(&o.parcels, "parcels", 1000, "how many parcels there are, up to 10,000")
	flag.Int64Var(&o.parallel, "parallel", 32, "children open at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
