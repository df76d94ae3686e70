package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// A signal that no step will ever take is recorded, and the caller and the log are told; so is one who waits for a run whose handler
// nobody has registered.
func TestWhatWillNeverHappenIsSaid(t *testing.T) {
	var log safe
	eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	register(t, eng, "w", flow.WaitSignal("s", "reviewed"), flow.Task("a", "svc", "forgotten"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if _, err := eng.Start(ctx, "w", nil, engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]engine.Signalled{
		"revieved": {SignalID: "revieved", Hint: "no step of its workflow waits for that name, so it will never be taken; it waits for: reviewed"},
		"reviewed": {SignalID: "reviewed", ConsumedBy: "s"},
	} {
		if got, err := eng.SignalRun(ctx, "r", name, nil, engine.WithSignalID(name)); err != nil || got != want {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	var waits sync.WaitGroup
	for range 2 {
		waits.Go(func() { _, _ = eng.Wait(ctx, "r") })
	}
	until(t, func() bool { return strings.Contains(log.String(), "no worker or push service serves svc/forgotten") }, func() string { return log.String() })
	stop()
	waits.Wait()
	if n := strings.Count(log.String(), "svc/forgotten"); n != 1 || !strings.Contains(log.String(), "a signal will never be taken") {
		t.Errorf("the log names the handler %d times:\n%s", n, log.String())
	}
}

// safe is a buffer that several goroutines write to.
type safe struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safe) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

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
		"retry":           {eng.Retry(ctx, "open", ""), engine.ErrRunNotFailed, `run "open": `},
		"retry, ended":    {eng.Retry(ctx, "done", ""), engine.ErrRunNotFailed, `run "done": `},
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
