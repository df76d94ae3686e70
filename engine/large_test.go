package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// A definition of as many steps as there may be, with names as long as real ones, is taken, read again and started.
func TestTheLargestDefinition(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds, and a minute under the race detector")
	}
	def := flow.Definition{Steps: []flow.Step{flow.WaitSignal("begin", "begin")}}
	for i := 1; i < flow.MaxSteps; i++ {
		def.Steps = append(def.Steps, flow.Task(fmt.Sprintf("individuals_ID%07d_ALL.chr%d.phase3_v5a.20130502.genotypes", i, i%22), "bioinformatics-pipeline", "individuals_merge_of_one_chromosome",
			flow.After("begin"), flow.Input(map[string]any{"first": i * 1000, "last": i*1000 + 999})))
	}
	path := t.TempDir() + "/j.db"
	for try := range 2 {
		e, err := engine.Open(path, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if try == 0 {
			if err := e.Register("large", def); err != nil {
				t.Fatal(err)
			}
		}
		if w, err := e.Workflow(context.Background(), "large", 0); err != nil || w.Version != 1 || len(w.Definition) < 16<<20 {
			t.Errorf("%d: version %d of %d bytes, %v", try, w.Version, len(w.Definition), err)
		}
		if id, err := e.Start(context.Background(), "large", nil); err != nil || id == "" {
			t.Errorf("%d: %v", try, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
