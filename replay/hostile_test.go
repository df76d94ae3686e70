package replay_test

import (
	"math/rand/v2"
	"testing"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

// A record whose checksum is right may still hold events that no release wrote. Apply refuses what cannot follow; it never
// panics, whatever it is given.
func TestApplyTakesAnyEvent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := histories(t)
	for range 8_000 {
		h := all[rng.IntN(len(all))]
		s := replay.New(graphOf(t, h))
		stop := rng.IntN(len(h.Records))
		for i, rec := range h.Records {
			wild := i >= stop
			err := event.Decode(rec.Body, func(k int, e *event.Event) error {
				if wild && rng.IntN(2) == 0 {
					spoil(rng, e, len(s.Steps))
				}
				return s.Apply(rec.Seq+uint64(k), rec.At, e)
			})
			if err != nil {
				if !wild {
					t.Fatalf("%s: %v", h.Name, err)
				}
				break
			}
			s.EndRecord(rec.Seq)
			if wild { // what it does take can be put away and taken up again
				if _, err := replay.Decode(s.Append(nil), s.Graph); err != nil {
					t.Fatalf("%s: a state that Apply made cannot be read: %v", h.Name, err)
				}
			}
		}
	}
}

func spoil(rng *rand.Rand, e *event.Event, steps int) {
	switch rng.IntN(6) {
	case 0:
		e.Kind = event.Kind(rng.IntN(48))
	case 1:
		e.Step = int32(rng.IntN(steps+2)) - 1
	case 2:
		e.Attempt = uint32(rng.IntN(4))
	case 3:
		e.Timer = int32(rng.IntN(steps+2)) - 1
	case 4:
		e.Ref = uint64(rng.IntN(100))
	default:
		e.Due, e.Payload, e.ID = 0, nil, ""
	}
}
