package client_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// daemon stands for "agnt5d serve".
func daemon() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	eng, err := engine.Open(filepath.Join(dir, "runs.db"), engine.Options{})
	if err != nil {
		panic(err)
	}
	handler := api.New(eng, api.Options{})
	srv := httptest.NewServer(handler)
	return srv.URL, func() {
		handler.Stop()
		srv.Close()
		_ = eng.Close()
		_ = os.RemoveAll(dir)
	}
}

// A program registers a workflow, starts a run of it and waits; a worker serves its handler.
func Example() {
	url, stop := daemon()
	defer stop()
	c, err := client.New(url, client.Options{}) // "" is AGNT5_URL, else http://127.0.0.1:8080
	if err != nil {
		panic(err)
	}
	ctx, leave := context.WithCancel(context.Background())

	w := client.NewWorker(c, "greeter", client.WorkerOptions{Capacity: 10})
	client.Handle(w, "greet", func(_ context.Context, in struct{ Name string }) (string, error) {
		return "hello " + in.Name, nil
	})
	left := make(chan error, 1)
	go func() { left <- w.Run(ctx) }()
	if _, _, err := c.RegisterDefinition(ctx, "greeting", flow.Definition{Steps: []flow.Step{flow.Task("greet", "greeter", "greet")}}); err != nil { // or w.Publish
		panic(err)
	}

	st, created, err := c.Start(ctx, "greeting", map[string]string{"Name": "Ann"}, client.StartOptions{ID: "greeting-1"})
	if err != nil {
		panic(err)
	}
	if st, err = c.Wait(ctx, st.WorkflowID); err != nil {
		panic(err)
	}
	fmt.Println(created, st.WorkflowID, st.State, string(st.Output))
	leave()
	<-left
	// Output: true greeting-1 completed {"greet":"hello Ann"}
}
