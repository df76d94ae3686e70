package api_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// A program that embeds the engine serves the API on a port of its own, so that one can look at the engine while it runs: with the
// verbs of agnt5d (AGNT5_URL=http://127.0.0.1:PORT agnt5d list), with a client, with Prometheus.
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

	listener, err := net.Listen("tcp", "127.0.0.1:0") // others on this machine only; a fixed port in a real program
	if err != nil {
		panic(err)
	}
	server := api.New(eng, api.Options{Listen: listener.Addr().String()})
	defer server.Stop()
	go func() { _ = http.Serve(listener, server) }()

	ctx := context.Background()
	if err := eng.Register("order", flow.Definition{Steps: []flow.Step{flow.WaitSignal("paid", "payment")}}); err != nil {
		panic(err)
	}
	if _, err := eng.Start(ctx, "order", nil, engine.WithID("order-17")); err != nil {
		panic(err)
	}

	c, err := client.New("http://"+listener.Addr().String(), client.Options{}) // another program
	if err != nil {
		panic(err)
	}
	runs, _, err := c.List(ctx, client.Filter{State: "running"}, 10, "")
	if err != nil {
		panic(err)
	}
	for _, r := range runs {
		fmt.Println(r.WorkflowID, r.WorkflowName, r.State)
	}
	// Output: order-17 order running
}
