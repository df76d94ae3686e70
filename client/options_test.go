package client_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

// An option that is out of its range is an error that names it, before anything is sent.
func TestOptionsAreChecked(t *testing.T) {
	if _, err := client.New("", client.Options{Patience: -time.Second}); err == nil || !strings.Contains(err.Error(), "option Patience is -1s, want 0 or more") {
		t.Errorf("got %v", err)
	}
	c, sent := answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	for says, o := range map[string]client.WorkerOptions{
		"Capacity is -1, want 1 to 100000":             {Capacity: -1},
		"Capacity is 100001":                           {Capacity: 100_001},
		"GCHeadroom is 1073741825, want at most":       {GCHeadroom: 1<<30 + 1},
		"Version has 257 bytes, want at most 256":      {Version: strings.Repeat("v", 257)},
		"Capacity is -7, want 1 to 100000, or 0 for 1": {Capacity: -7},
	} {
		w := client.NewWorker(c, "s", o)
		client.HandleRaw(w, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
		if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "worker: option "+says) {
			t.Errorf("got %v, want %s", err, says)
		}
	}
	if n := sent.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
