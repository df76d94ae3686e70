package replay_test

import (
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/replay"
)

// In every state of a run and of its step: whoever offers, or waits for an answer, knows it from these two alone.
func TestOwed(t *testing.T) {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("s", "svc", "h")}})
	if err != nil {
		t.Fatal(err)
	}
	type both struct {
		run  replay.RunState
		step replay.StepState
	}
	owed := map[both]replay.Owed{
		{replay.Running, replay.StepScheduled}:   replay.OwedOffer,
		{replay.Running, replay.StepRunning}:     replay.OwedAnswer,
		{replay.Quarantined, replay.StepRunning}: replay.OwedEnd,
	}
	for run := replay.Running; run <= replay.Quarantined; run++ {
		for step := replay.StepPending; step <= replay.StepCancelled; step++ {
			s := replay.New(g)
			s.Status, s.Steps[0].State = run, step
			if got, want := s.Owed(0), owed[both{run, step}]; got != want {
				t.Errorf("run %s, step %s: owed %d, want %d", run, step, got, want)
			}
		}
	}
}
