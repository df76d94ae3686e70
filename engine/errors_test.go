package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// Errors of the Go API say which run, workflow or signal they are about, once, and are still known by errors.Is.
func TestErrorsNameWhatTheyAreAbout(t *testing.T) {
	eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	register(t, eng, "w", flow.WaitSignal("s", "go"))
	ctx := t.Context()
	for _, id := range []string{"open", "done"} {
		if _, err := eng.Start(ctx, "w", 1, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := eng.Signal(ctx, "done", "go", 1, engine.WithSignalID("sig")); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(ctx, "done"); err != nil {
		t.Fatal(err)
	}
	if err := eng.Signal(ctx, "open", "other", 1, engine.WithSignalID("sig")); err != nil {
		t.Fatal(err)
	}
	over, stop := context.WithTimeout(ctx, time.Millisecond)
	defer stop()
	ignore := func(_ any, err error) error { return err }
	start := func(workflow, id string, input any) error {
		_, err := eng.Start(ctx, workflow, input, engine.WithID(id))
		return err
	}
	for what, c := range map[string]struct {
		err, is error
		name    string
	}{
		"signal":          {eng.Signal(ctx, "o-22", "go", nil), engine.ErrRunNotFound, `run "o-22": no such run`},
		"signal, ended":   {eng.Signal(ctx, "done", "go", nil), engine.ErrRunFinished, `run "done": the run has finished`},
		"signal id":       {eng.Signal(ctx, "open", "go", 2, engine.WithSignalID("sig")), engine.ErrSignalConflict, `run "open": signal id "sig": `},
		"cancel":          {eng.Cancel(ctx, "o-22", ""), engine.ErrRunNotFound, `run "o-22": `},
		"cancel, ended":   {eng.Cancel(ctx, "done", ""), engine.ErrRunFinished, `run "done": `},
		"retry":           {eng.Retry(ctx, "open"), engine.ErrRunNotFailed, `run "open": `},
		"retry, ended":    {eng.Retry(ctx, "done"), engine.ErrRunNotFailed, `run "done": `},
		"fire":            {eng.FireTimer(ctx, "open", "t"), engine.ErrTimerNotFound, `run "open": `},
		"delete":          {eng.Delete(ctx, "open"), engine.ErrRunOpen, `run "open": `},
		"status":          {ignore(eng.Status(ctx, "o-22")), engine.ErrRunNotFound, `run "o-22": `},
		"status at":       {ignore(eng.StatusAt(ctx, "o-22", 1)), engine.ErrRunNotFound, `run "o-22": `},
		"explain":         {ignore(eng.Explain(ctx, "o-22")), engine.ErrRunNotFound, `run "o-22": `},
		"history":         {ignore(eng.History(ctx, "o-22", 0, 0)), engine.ErrRunNotFound, `run "o-22": `},
		"wait":            {ignore(eng.Wait(ctx, "o-22")), engine.ErrRunNotFound, `run "o-22": `},
		"wait, too short": {ignore(eng.Wait(over, "open")), context.DeadlineExceeded, `run "open" has not ended: context deadline exceeded`},
		"start":           {start("nope", "x", nil), engine.ErrWorkflowNotFound, `"nope"`},
		"start, conflict": {start("w", "open", 2), engine.ErrRunConflict, `run "open": `},
		"start, ended":    {start("w", "done", 2), engine.ErrRunConflict, `run "done": `},
	} {
		if !errors.Is(c.err, c.is) || !strings.Contains(c.err.Error(), c.name) || strings.Count(c.err.Error(), "run \"") > 1 {
			t.Errorf("%s: %v, want %q and %v", what, c.err, c.name, c.is)
		}
	}
}
