// Program client starts, signals and reads a run with the client that oapi-codegen makes.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"generated/api"
)

func main() {
	ctx := context.Background()
	c, err := api.NewClientWithResponses(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	id, wait := "go", "wait=60"
	var input any = map[string]any{"n": 1}
	started, err := c.StartRunWithResponse(ctx, "approval", nil, api.StartBody{WorkflowId: &id, InputData: input})
	if err != nil || started.JSON201 == nil || started.JSON201.State != "running" {
		log.Fatalf("start: %s %v", started.Body, err)
	}
	signalled, err := c.SignalRunWithResponse(ctx, id, "go", nil, api.SignalBody{})
	if err != nil || signalled.JSON202 == nil {
		log.Fatalf("signal: %s %v", signalled.Body, err)
	}
	run, err := c.GetRunWithResponse(ctx, id, &api.GetRunParams{Prefer: &wait})
	if err != nil || run.JSON200 == nil || run.JSON200.State != "completed" {
		log.Fatalf("read: %s %v", run.Body, err)
	}
	fmt.Println("oapi-codegen: ok")
}
