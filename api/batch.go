package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/model"
)

// maxBatch is how many runs one request may start, maxBatchBody how large it may be.
const (
	maxBatch     = 1_000
	maxBatchBody = 32 << 20
)

// startSignalBody is a signal that is delivered together with a start.
type startSignalBody struct {
	Name     string          `json:"name"`
	Payload  json.RawMessage `json:"payload,omitempty"`   // any JSON; absent: null
	SignalID string          `json:"signal_id,omitempty"` // the caller's own id; absent: a ULID
}

type batchBody struct {
	Runs []batchStart `json:"runs"` // 1 to 1,000
}

type batchStart struct {
	WorkflowName string           `json:"workflow_name"`
	InputData    json.RawMessage  `json:"input_data,omitempty"`  // any JSON; absent: null
	WorkflowID   *string          `json:"workflow_id,omitempty"` // the caller's own id; absent: a ULID
	Version      uint32           `json:"version,omitempty"`     // of the workflow; absent or 0: the current one
	Signal       *startSignalBody `json:"signal,omitempty"`      // delivered together with the start
}

type batchAnswer struct {
	Runs []model.BatchStarted `json:"runs"` // in the order of the request
}

// startOptions are those of one start.
func startOptions(version uint32, signal *startSignalBody) []engine.StartOption {
	var opts []engine.StartOption
	if version != 0 {
		opts = append(opts, engine.WithVersion(version))
	}
	if signal != nil {
		opts = append(opts, engine.WithSignal(signal.Name, signal.SignalID, signal.Payload))
	}
	return opts
}

// startBatch starts many runs at once: each has its own answer, and those that can be started are.
func (s *Server) startBatch(w http.ResponseWriter, r *http.Request) error {
	if s.stopping.Load() {
		return problem("shutting_down", "")
	}
	var in batchBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	if n := len(in.Runs); n == 0 || n > maxBatch {
		return problem("invalid_request", fmt.Sprintf("runs: %d of them, want 1 to %d", n, maxBatch))
	}
	out := batchAnswer{Runs: make([]model.BatchStarted, len(in.Runs))}
	var all sync.WaitGroup
	for i := range in.Runs {
		b, got := &in.Runs[i], &out.Runs[i]
		opts := startOptions(b.Version, b.Signal)
		if b.WorkflowID != nil {
			got.WorkflowID = *b.WorkflowID
			opts = append(opts, engine.WithID(*b.WorkflowID))
		}
		sent := make(chan struct{})
		all.Add(1)
		go func() {
			defer all.Done()
			var once sync.Once
			release := func() { once.Do(func() { close(sent) }) }
			defer release()
			id, created, err := s.eng.StartRun(r.Context(), b.WorkflowName, b.InputData, append(opts, engine.WithSent(release))...)
			if err != nil {
				got.Error = s.problemOf(err)
				return
			}
			got.WorkflowID, got.Created = id, created
		}()
		<-sent // they begin in the order of the request
	}
	all.Wait()
	return s.reply(w, http.StatusOK, out)
}
