// Command embed is a program with a durable workflow inside. Kill it whenever you like and start it again: it goes on where
// it was, and no step is completed twice.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

type order struct {
	Order string `json:"order"`
}

// step prints what it does, and takes its time so that there is a moment to kill it.
func step(what string) func(context.Context, order) (string, error) {
	return func(_ context.Context, in order) (string, error) {
		fmt.Println(what, in.Order)
		time.Sleep(2 * time.Second)
		return what + " done", nil
	}
}

func main() {
	eng, err := engine.Open("orders.db", engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"reserve", "charge", "ship"} {
		if err := engine.Handle(eng, "shop", name, step(name)); err != nil {
			log.Fatal(err)
		}
	}
	if err := eng.Register("order", flow.Definition{Steps: []flow.Step{
		flow.Task("reserve", "shop", "reserve"),
		flow.Task("charge", "shop", "charge", flow.After("reserve")),
		flow.Task("ship", "shop", "ship", flow.After("charge")),
	}}); err != nil {
		log.Fatal(err)
	}
	run, err := eng.Start(context.Background(), "order", order{"17"}, engine.WithID("order-17"))
	if err != nil {
		log.Fatal(err)
	}
	status, err := eng.Wait(context.Background(), run)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.State, string(status.Output))
	if err := eng.Close(); err != nil {
		log.Fatal(err)
	}
}
