package replay_test

import (
	"testing"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

// Near names every step whose state an event changes, in every history that is recorded.
func TestNearMissesNoStep(t *testing.T) {
	events := 0
	for _, h := range histories(t) {
		s := replay.New(graphOf(t, h))
		before := make([]replay.StepState, len(s.Steps))
		for _, rec := range h.Records {
			err := event.Decode(rec.Body, func(i int, e *event.Event) error {
				for k := range s.Steps {
					before[k] = s.Steps[k].State
				}
				if err := s.Apply(rec.Seq+uint64(i), rec.At, e); err != nil {
					return err
				}
				events++
				s.Near(e, func(k int32) { before[k] = s.Steps[k].State })
				for k := range s.Steps {
					if before[k] != s.Steps[k].State {
						t.Errorf("%s: %s changes step %d from %s to %s", h.Name, e.Kind, k, before[k], s.Steps[k].State)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			s.EndRecord(rec.Seq)
		}
	}
	if events == 0 {
		t.Error("no events")
	}
}
