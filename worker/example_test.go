package worker_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/agnt5/agnt5d/worker"
)

// What a handler knows of its attempt stands in its context. The idempotency key is the same for every attempt of the step: with it
// a payment is made once, however often the step is tried.
func ExampleFromContext() {
	charge := func(ctx context.Context, in struct{ Cents int }) (string, error) {
		task := worker.FromContext(ctx)
		return fmt.Sprintf("charged %d with key %s, attempt %d", in.Cents, task.IdempotencyKey, task.Attempt), nil
	}
	fn, err := worker.Adapt(charge)
	if err != nil {
		panic(err)
	}
	task := &worker.Task{WorkflowID: "order-17", Step: "charge", Attempt: 2, IdempotencyKey: "order-17/charge", InputData: json.RawMessage(`{"Cents":1200}`)}
	var out worker.Outcome
	worker.Run(worker.WithTask(context.Background(), task), fn, task, &out)
	fmt.Println(out.Status, string(out.Output))
	// Output: completed "charged 1200 with key order-17/charge, attempt 2"
}
