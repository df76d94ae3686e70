package archive

import (
	"fmt"
	"strconv"

	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/replay"
)

// OutputOf finds where the output of a step of a run stands, or of an item such as fetch[3]. refusal.ErrStepNotFound: the run has no such
// step; refusal.ErrStepNotCompleted: it has no output yet, or never will.
func OutputOf(s *replay.State, step string) (replay.Payload, error) {
	switch i, ok := s.Graph.Instance(step); {
	case !ok || !s.Known(i):
		return replay.Payload{}, fmt.Errorf("step %s: %w", strconv.Quote(step), refusal.ErrStepNotFound)
	case s.StateOf(i) != replay.StepCompleted:
		return replay.Payload{}, fmt.Errorf("step %s is %s: %w", strconv.Quote(step), s.Shown(i), refusal.ErrStepNotCompleted)
	default:
		return s.OutputOf(i), nil
	}
}
