package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// BenchmarkSteps runs chains of ten no-op steps, so many runs in flight.
func BenchmarkSteps(b *testing.B) {
	for _, flight := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("inflight=%d", flight), func(b *testing.B) {
			eng, err := engine.Open(filepath.Join(b.TempDir(), "runs.db"), engine.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer eng.Close()
			if err := engine.HandleRaw(eng, "svc", "noop", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }); err != nil {
				b.Fatal(err)
			}
			var steps []flow.Step
			for i := range 10 {
				var opts []flow.StepOption
				if i > 0 {
					opts = append(opts, flow.After(fmt.Sprint("s", i-1)))
				}
				steps = append(steps, flow.Task(fmt.Sprint("s", i), "svc", "noop", opts...))
			}
			if err := eng.Register("chain", flow.Definition{Steps: steps}); err != nil {
				b.Fatal(err)
			}
			runs := make(chan struct{}, flight)
			var wg sync.WaitGroup
			b.ResetTimer()
			for range flight {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for range runs {
						id, err := eng.Start(context.Background(), "chain", nil)
						if err == nil {
							_, err = eng.Wait(context.Background(), id)
						}
						if err != nil {
							b.Error(err)
						}
					}
				}()
			}
			for range (b.N + 9) / 10 {
				runs <- struct{}{}
			}
			close(runs)
			wg.Wait()
		})
	}
}
