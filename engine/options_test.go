package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
)

// An option that would not do what it says is an error that names it and its range, before a file is made.
func TestOptionsAreChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	for says, o := range map[string]engine.Options{
		"Lease is 500µs, want 100ms to 24h0m0s":         {Lease: 500 * time.Microsecond},
		"Lease is -1s":                                  {Lease: -time.Second},
		"Lease is 25h0m0s":                              {Lease: 25 * time.Hour},
		"Concurrency is -1, want 1 to 100000":           {Concurrency: -1},
		"Concurrency is 100001":                         {Concurrency: 100_001},
		"MaxPayload is -1, want 1 to 67108864":          {MaxPayload: -1},
		"MaxPayload is 67108865":                        {MaxPayload: 64<<20 + 1},
		"CheckpointBytes is -1":                         {CheckpointBytes: -1},
		"MaxLive is -1":                                 {MaxLive: -1},
		"Tombstones is 500µs, want 1s or more":          {Tombstones: 500 * time.Microsecond},
		"GCHeadroom is 1073741825, want at most":        {GCHeadroom: 1<<30 + 1},
		`Services["svc"] is 0, want 1 or more`:          {Services: map[string]int{"svc": 0}},
		"Services: the service's name":                  {Services: map[string]int{"a b": 1}},
		"MaxLive is -5, want 1 to 9223372036854775807,": {MaxLive: -5},
	} {
		eng, err := engine.Open(path, o)
		if err == nil {
			_ = eng.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "engine: option ") {
			t.Errorf("got %v, want %s", err, says)
		}
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file was made: %v", err)
	}
	least := engine.Options{Lease: 100 * time.Millisecond, Concurrency: 1, MaxPayload: 1, CheckpointBytes: 1, MaxLive: 1, Tombstones: time.Second, Drain: -1,
		GCHeadroom: -1, Services: map[string]int{"svc": 1}}
	eng, err := engine.Open(path, least)
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Error(err)
	}
}
