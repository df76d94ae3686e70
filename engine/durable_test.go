package engine

import (
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/shard"
)

// Whoever has his answer finds in the feed what it is about: Durable has moved on when the answer is given, not soon after.
func TestDurableMovesBeforeTheAnswer(t *testing.T) {
	e, err := Open(filepath.Join(t.TempDir(), "runs.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Register("w", flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}); err != nil {
		t.Fatal(err)
	}
	type answer struct{ run, durable uint64 }
	answers := make(chan answer, 1)
	e.send(&shard.Start{ID: "one", Workflow: "w", Input: []byte("null"), Reply: func(got shard.Started, err error) {
		if err != nil {
			t.Error(err)
		}
		answers <- answer{got.Run, e.Durable()}
	}})
	if a := <-answers; a.run == 0 || a.durable < a.run {
		t.Errorf("the start of run %d is answered when %d is durable", a.run, a.durable)
	}
}
