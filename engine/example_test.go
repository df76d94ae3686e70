package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// A program with the engine in it: one file, handlers in the same process, and runs that survive the program.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	eng, err := engine.Open(filepath.Join(dir, "shop.db"), engine.Options{})
	if err != nil {
		panic(err)
	}
	defer eng.Close()

	type order struct{ Item string }
	err = engine.Handle(eng, "shop", "reserve", func(_ context.Context, in order) (string, error) {
		return "reserved " + in.Item, nil
	})
	if err != nil {
		panic(err)
	}
	err = eng.Register("order", flow.Definition{Steps: []flow.Step{
		flow.Task("reserve", "shop", "reserve"),
		flow.WaitSignal("paid", "payment", flow.After("reserve")),
	}})
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	run, err := eng.Start(ctx, "order", order{Item: "lamp"}, engine.WithID("order-17"))
	if err != nil {
		panic(err)
	}
	if err := eng.Signal(ctx, run, "payment", map[string]int{"cents": 1200}); err != nil {
		panic(err)
	}
	st, err := eng.Wait(ctx, run)
	if err != nil {
		panic(err)
	}
	fmt.Println(st.WorkflowID, st.State, string(st.Steps["reserve"].Output), string(st.Output))
	// Output: order-17 completed "reserved lamp" {"paid":{"cents":1200}}
}

// Why does a run not move? The engine says so for each open step.
func ExampleEngine_Explain() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	eng, err := engine.Open(filepath.Join(dir, "docs.db"), engine.Options{})
	if err != nil {
		panic(err)
	}
	defer eng.Close()
	if err := eng.Register("publish", flow.Definition{Steps: []flow.Step{flow.WaitSignal("approval", "approved")}}); err != nil {
		panic(err)
	}
	ctx := context.Background()
	if _, err := eng.Start(ctx, "publish", nil, engine.WithID("doc-9")); err != nil {
		panic(err)
	}
	reasons, err := eng.Explain(ctx, "doc-9")
	if err != nil {
		panic(err)
	}
	for _, r := range reasons {
		fmt.Printf("%s: %s\n%s\n", r.Step, r.Detail, r.Command)
	}
	// Output:
	// approval: waits for signal "approved"
	// agnt5d signal doc-9 approved
}
