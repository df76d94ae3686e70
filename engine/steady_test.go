package engine_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// With a steady load and retention neither the file nor what is in use of it nor the memory grows: the last rounds end with what the
// first ones did. AGNT5_EVENTS says for how many events; 30,000 if it does not.
func TestWithRetentionNothingGrows(t *testing.T) {
	want, err := strconv.ParseUint(os.Getenv("AGNT5_EVENTS"), 10, 64)
	if err != nil {
		want = 30_000
	}
	const kept, rounds = time.Hour, 10
	eng, _ := open(t, engine.Options{Clock: engine.NewTestClock(), Tombstones: kept, Retention: engine.Retention{Completed: kept}})
	handle(t, eng, "h", null)
	steps := []flow.Step{flow.Task("s0", "svc", "h")}
	for i := range 9 {
		steps = append(steps, flow.Task(fmt.Sprint("s", i+1), "svc", "h", flow.After(fmt.Sprint("s", i))))
	}
	register(t, eng, "chain", steps...)
	stats := func() engine.Stats {
		t.Helper()
		s, err := eng.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	batch := func() { // runs that end, and of which the time is over
		t.Helper()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 6 {
					id, err := eng.Start(t.Context(), "chain", nil)
					if err == nil {
						_, err = eng.Wait(t.Context(), id)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if _, err := eng.Advance(t.Context(), kept+time.Minute); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool { return runsOf(t, eng) == "" }, func() string { return "left: " + runsOf(t, eng) })
	}
	var file, used int64
	var heap uint64
	for round := range rounds {
		for end := want / rounds * uint64(round+1); stats().Durable < end && !t.Failed(); {
			batch()
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		s := stats()
		t.Logf("%d events: %d bytes, %d of them in use, %d in memory", s.Durable, s.Journal.FileBytes, s.Journal.UsedBytes, m.HeapAlloc)
		if round < 2 { // after them it is as large as it gets
			file, used, heap = s.Journal.FileBytes, max(used, s.Journal.UsedBytes), max(heap, m.HeapAlloc)
		}
		if s.Journal.FileBytes > file+file/4+1<<20 || s.Journal.UsedBytes > 2*used || m.HeapAlloc > heap+4<<20 { // a file grows by large parts
			t.Errorf("it grows: after the first rounds %d bytes, %d in use, %d in memory", file, used, heap)
		}
	}
}
