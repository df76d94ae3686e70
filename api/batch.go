package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
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
	WorkflowName string            `json:"workflow_name"`
	InputData    json.RawMessage   `json:"input_data,omitempty"`  // any JSON; absent: null
	WorkflowID   *string           `json:"workflow_id,omitempty"` // the caller's own id; absent: a ULID
	Version      uint32            `json:"version,omitempty"`     // of the workflow; absent or 0: the current one
	Signal       *startSignalBody  `json:"signal,omitempty"`      // delivered together with the start
	Tags         map[string]string `json:"tags,omitempty"`        // names and values by which lists find the run
	startLater
}

type batchAnswer struct {
	Runs []model.BatchStarted `json:"runs"` // in the order of the request
}

// startLater says when the first steps of a run start. The run is there at once.
type startLater struct {
	StartAt string `json:"start_at,omitempty"` // RFC 3339: its first steps wait until then
	Delay   string `json:"delay,omitempty"`    // the same, counted from the start: a duration such as 90s, 5m, 2h or 1d
	DelayMS *int64 `json:"delay_ms,omitempty"` // the same, in milliseconds
}

func (l *startLater) options() ([]engine.StartOption, error) {
	var opts []engine.StartOption
	if l.StartAt != "" {
		at, err := time.Parse(time.RFC3339, l.StartAt)
		if err != nil {
			return nil, problem("invalid_request", fmt.Sprintf("start_at: %q is no time as RFC 3339 writes it, like 2026-11-26T02:00:00Z", l.StartAt))
		}
		opts = append(opts, engine.WithStartAt(at))
	}
	ms := l.DelayMS
	if l.Delay != "" {
		n, err := flow.ParseDuration(l.Delay)
		if err != nil {
			return nil, problem("invalid_request", fmt.Sprintf("delay: %v", err))
		}
		if ms != nil {
			return nil, problem("invalid_request", "delay and delay_ms are the same key: leave one out")
		}
		ms = &n
	}
	if ms != nil {
		if *ms < 0 || *ms > flow.MaxMS {
			return nil, problem("invalid_request", fmt.Sprintf("delay_ms: %d, want 0 to %d", *ms, int64(flow.MaxMS)))
		}
		opts = append(opts, engine.WithDelay(time.Duration(*ms)*time.Millisecond))
	}
	return opts, nil
}

// startOptions are those of one start.
func startOptions(version uint32, signal *startSignalBody, tags map[string]string, later *startLater) ([]engine.StartOption, error) {
	opts, err := later.options()
	if err != nil {
		return nil, err
	}
	if version != 0 {
		opts = append(opts, engine.WithVersion(version))
	}
	if len(tags) > 0 {
		opts = append(opts, engine.WithTags(tags))
	}
	if signal != nil {
		opts = append(opts, engine.WithSignal(signal.Name, signal.SignalID, signal.Payload))
	}
	return opts, nil
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
		opts, err := startOptions(b.Version, b.Signal, b.Tags, &b.startLater)
		if b.WorkflowID != nil {
			got.WorkflowID = *b.WorkflowID
			opts = append(opts, engine.WithID(*b.WorkflowID))
		}
		if err != nil {
			got.Error = s.problemOf(err)
			continue
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
