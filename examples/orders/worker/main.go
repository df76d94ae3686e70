// Command worker serves the shop's handlers for a daemon. Start as many as you like, kill any of them: steps go to another.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

// reserve counts the stock down. The new count is committed together with the step's completion: an order is never counted
// twice, however often this function runs.
func reserve(ctx context.Context, in order) (map[string]int, error) {
	task := worker.FromContext(ctx)
	left := 100
	if state := task.Objects["stock"].State; string(state) != "null" {
		if _, err := fmt.Sscan(string(state), &left); err != nil {
			return nil, err
		}
	}
	left -= in.Count
	if err := task.SetObject("stock", left); err != nil {
		return nil, err
	}
	fmt.Printf("reserved %d %s, %d left\n", in.Count, in.Item, left)
	return map[string]int{"left": left}, nil
}

func ship(ctx context.Context, in order) (string, error) {
	task := worker.FromContext(ctx)
	fmt.Printf("shipped order %s\n", task.WorkflowID)
	return "parcel-" + task.WorkflowID, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := client.New("", client.Options{}) // AGNT5_URL, else http://127.0.0.1:8080
	if err != nil {
		log.Fatal(err)
	}
	w := client.NewWorker(c, "shop", client.WorkerOptions{Logger: slog.Default()})
	client.Handle(w, "reserve", reserve)
	client.Handle(w, "ship", ship)
	if err := w.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
