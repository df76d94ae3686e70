// Command push is a web service that runs steps: the daemon POSTs each task to it, and the answer is the step's output. It
// fails now and then, as payment providers do.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"sync/atomic"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9100", "address")
	flag.Parse()
	var calls atomic.Int64
	http.HandleFunc("POST /tasks/charge", func(w http.ResponseWriter, r *http.Request) {
		var task struct {
			WorkflowID     string          `json:"workflow_id"`
			IdempotencyKey string          `json:"idempotency_key"`
			Attempt        int             `json:"attempt"`
			WorkflowInput  json.RawMessage `json:"workflow_input"`
		}
		if err := json.NewDecoder(r.Body).Decode(&task); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if calls.Add(1)%3 == 1 {
			http.Error(w, "the bank is asleep", http.StatusServiceUnavailable) // 5xx: tried again
			return
		}
		fmt.Printf("charged for %s, attempt %d\n", task.IdempotencyKey, task.Attempt)
		_ = json.NewEncoder(w).Encode(map[string]string{"receipt": "r-" + task.WorkflowID})
	})
	log.Printf("payments on http://%s/tasks", *listen)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
