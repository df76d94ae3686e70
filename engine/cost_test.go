//go:build !race

package engine_test

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/bench"
)

// What a step takes of memory, and of the disk's time, is counted: clocks say nothing on a machine that others use. 64 chains of ten steps go at a
// time, so that some thirty steps share a commit. The bounds are an eighth above what it takes.
func TestWhatAStepTakes(t *testing.T) {
	eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	if err := eng.Register("chain", bench.Chain()); err != nil {
		t.Fatal(err)
	}
	if err := engine.Handle(eng, "bench", "noop", func(context.Context, struct{}) (int, error) { return 1, nil }); err != nil {
		t.Fatal(err)
	}
	chains := func(each int) {
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range each {
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
	}
	chains(2)
	before, commits := memory(t, eng)
	const each = 8
	chains(each)
	after, more := memory(t, eng)
	const steps = 64 * 10 * each
	for _, c := range []struct {
		what      string
		got, most float64
	}{
		{"allocations", float64(after.Mallocs-before.Mallocs) / steps, 30},
		{"bytes allocated", float64(after.TotalAlloc-before.TotalAlloc) / steps, 4950},
		{"commits", float64(more-commits) / steps, 0.06},
	} {
		t.Logf("%s a step: %.2f", c.what, c.got)
		if c.got > c.most {
			t.Errorf("%s a step: %.2f, want at most %.2f", c.what, c.got, c.most)
		}
	}
}

func memory(t *testing.T, eng *engine.Engine) (m runtime.MemStats, commits uint64) {
	t.Helper()
	s, err := eng.Stats()
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&m)
	return m, s.Journal.Commits
}

// What an item of a list takes does not grow with the list: of 10,000 it takes as many events, bytes and allocations as of 1,000, and the
// whole run keeps under 5 MB while its last items are open.
func TestWhatAnItemTakes(t *testing.T) {
	type cost struct{ events, bytes, allocated, live float64 }
	take := func(n int) (c cost) {
		eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer eng.Close()
		before, err := eng.Stats()
		if err != nil {
			t.Fatal(err)
		}
		was, _ := memory(t, eng)
		live, err := bench.HeapOfItems(t.Context(), eng, n)
		if err != nil {
			t.Fatal(err)
		}
		is, _ := memory(t, eng)
		after, err := eng.Stats()
		if err != nil {
			t.Fatal(err)
		}
		c = cost{float64(after.Durable - before.Durable), float64(after.Journal.UsedBytes - before.Journal.UsedBytes), float64(is.TotalAlloc - was.TotalAlloc), float64(live)}
		t.Logf("%d items: %.2f events, %.0f bytes and %.0f bytes allocated each; %.2f MB live in all", n, c.events/float64(n), c.bytes/float64(n), c.allocated/float64(n), c.live/1e6)
		return c
	}
	take(1_000) // what is made once and reused
	thousand, most := take(1_000), take(10_000)
	if most.events > 3*10_000+10 {
		t.Errorf("%.0f events of 10,000 items, want three of each and those of the run", most.events)
	}
	for _, c := range []struct {
		what        string
		small, most float64
		limit       float64 // of one item
	}{{"bytes in the file", thousand.bytes, most.bytes, 80}, {"bytes allocated", thousand.allocated, most.allocated, 8000}} {
		if each := c.most / 10_000; each > 1.25*c.small/1_000 || each > c.limit {
			t.Errorf("%s of an item: %.0f of 1,000 items, %.0f of 10,000, want at most %.0f", c.what, c.small/1_000, each, c.limit)
		}
	}
	if most.live > 5e6 {
		t.Errorf("a run of 10,000 items keeps %.1f MB while its last items are open, want under 5", most.live/1e6)
	}
}
