package engine_test

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
)

// taken is a journal that another engine may take over. Nobody is told: who asks learns it.
type taken struct {
	journal.Log
	over atomic.Bool
}

func (j *taken) Err() error {
	if j.over.Load() {
		return journal.ErrFenced
	}
	return j.Log.Err()
}

// An engine whose journal was taken over answers nothing more, reads neither: what it has in memory may not be so any more.
func TestAnEngineThatWasTakenOverAnswersNothing(t *testing.T) {
	log, err := bolt.Open(filepath.Join(t.TempDir(), "runs.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j := &taken{Log: log}
	eng, err := engine.OpenOn(j, "taken", engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	register(t, eng, "w", flow.WaitSignal("s", "go"))
	id, err := eng.Start(t.Context(), "w", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Status(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	j.over.Store(true)
	if st, err := eng.Status(t.Context(), id); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("a read is answered: %+v, %v", st, err)
	}
	<-eng.Done()
	if err := eng.Err(); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("it stopped because of %v", err)
	}
}
