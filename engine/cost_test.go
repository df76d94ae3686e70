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
		{"allocations", float64(after.Mallocs-before.Mallocs) / steps, 31},
		{"bytes allocated", float64(after.TotalAlloc-before.TotalAlloc) / steps, 4700},
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
