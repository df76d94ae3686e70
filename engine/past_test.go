package engine_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// The past of a damaged run is shown up to the damage; what lies behind it is refused, and so is what needs all of it.
func TestThePastOfADamagedRunIsShownUpToTheDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	handle(t, eng, "h", null)
	register(t, eng, "w", flow.Task("a", "svc", "h"), flow.Task("b", "svc", "h", flow.After("a")))
	for _, id := range []string{"hurt", "well"} {
		if _, err := eng.Start(t.Context(), "w", nil, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
		if _, err := eng.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	events, err := eng.History(t.Context(), "hurt", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	bad := recordOf(t, path, events[3].Seq)
	damage(t, path, bad)
	if eng, err = engine.Open(path, engine.Options{}); err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	for _, ev := range events {
		st, err := eng.StatusAt(t.Context(), "hurt", ev.Seq)
		if ev.Seq < bad && (err != nil || st.Events != ev.N || st.AsOf.Seq != ev.Seq) {
			t.Errorf("at %d, before the damage: %+v, %v", ev.Seq, st, err)
		}
		if ev.Seq >= bad && !errors.Is(err, engine.ErrRunQuarantined) {
			t.Errorf("at %d, behind the damage: %v", ev.Seq, err)
		}
	}
	if _, _, err := eng.Timeline(t.Context(), "hurt", 0, 0); !errors.Is(err, engine.ErrRunQuarantined) {
		t.Errorf("the timeline: %v", err)
	}
	if _, err := eng.Diff(t.Context(), "well", "hurt", false); !errors.Is(err, engine.ErrRunQuarantined) || !strings.HasPrefix(err.Error(), `run "hurt"`) {
		t.Errorf("a diff: %v", err)
	}
	if _, err := eng.StepOutput(t.Context(), "well", "b"); err != nil {
		t.Error(err)
	}
}
