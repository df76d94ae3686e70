package engine_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// A version that is deleted while somebody starts a run of it: one of the two is refused.
func TestAVersionIsDeletedWhileARunOfItStarts(t *testing.T) {
	eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	started, deleted := 0, 0
	for i := range 100 {
		name := fmt.Sprint("w", i)
		register(t, eng, name, flow.WaitSignal("s", "one"))
		register(t, eng, name, flow.WaitSignal("s", "two"))
		var wg sync.WaitGroup
		var start, gone error
		wg.Go(func() { _, start = eng.Start(t.Context(), name, nil, engine.WithVersion(1)) })
		wg.Go(func() { gone = eng.DeleteWorkflow(t.Context(), name, 1) })
		wg.Wait()
		switch {
		case start == nil && errors.Is(gone, engine.ErrWorkflowInUse):
			started++
		case gone == nil && errors.Is(start, engine.ErrWorkflowNotFound):
			deleted++
		default:
			t.Fatalf("start: %v; delete: %v", start, gone)
		}
	}
	t.Logf("%d were started, %d deleted", started, deleted)
}
