package archive

import (
	"context"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

// Attempt names an attempt of a run.
type Attempt struct {
	Step    replay.Instance
	Attempt uint32
}

// Outcomes is what a run's history records of attempts.
type Outcomes struct {
	found map[Attempt]*recorded
	whole bool // this release understands all of it
}

// recorded is what a history says of an attempt.
type recorded struct {
	scheduled bool
	answered  bool
	answer    replay.Answer
}

// Outcomes reads a run's history once, up to the record last, for the attempts that are asked about.
func (a *Archive) Outcomes(ctx context.Context, run, last uint64, asked []Attempt) (*Outcomes, error) {
	o := &Outcomes{found: make(map[Attempt]*recorded, len(asked)), whole: true}
	for _, at := range asked {
		o.found[at] = &recorded{}
	}
	boot := uint64(0) // of the run's events up to here
	for rec, err := range a.Run(run, last, 1) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = event.Read(rec.Body, rec.Count, func(_ int, ev *event.Event, opaque bool) error {
				if opaque { // perhaps the one by which it was scheduled
					o.whole = false
					return nil
				}
				if ev.Boot != 0 {
					boot = ev.Boot
				}
				o.take(ev, boot)
				return nil
			})
		}
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *Outcomes) take(ev *event.Event, boot uint64) {
	switch ev.Kind {
	case event.StepScheduled, event.StepCompleted, event.RoundCompleted, event.AttemptFailed:
	default:
		return
	}
	r := o.found[Attempt{ev.Step, ev.Attempt}]
	switch {
	case r == nil:
	case ev.Kind == event.StepScheduled:
		r.scheduled, r.answer.Boot = true, boot
	default:
		r.answered, r.answer.Hash = true, ev.Hash
	}
}

// Match says what an outcome is to what was recorded of its attempt, which was asked about.
func (o *Outcomes) Match(at Attempt, boot, hash uint64) replay.Repeat {
	r := o.found[at]
	switch {
	case o.whole && (!r.scheduled || r.answer.Boot != boot):
		return replay.Alien
	case !r.answered:
		return replay.Nothing
	}
	return r.answer.Match(r.answer.Boot, hash) // where it is not known who scheduled it, nobody is called an alien
}
