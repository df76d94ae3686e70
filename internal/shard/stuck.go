package shard

import (
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/replay"
)

// Stillness is what is known of whether an open run moves.
type Stillness struct {
	Last   uint64 // its last event; 0: the run is not open
	Stuck  bool   // nothing moves it by itself: no attempt of it runs and no clock is set
	Asleep bool   // it is put away, and does nothing but wait: Waits tells for what
}

// Still says whether a run moves by itself. One that does nothing but wait for signals is stuck only when signals are to count.
func (r *Shard) Still(number uint64, signals bool) Stillness {
	if p, ok := r.parked[number]; ok {
		return Stillness{Last: p.last, Asleep: true}
	}
	run := r.runs[number]
	if run == nil || !run.S.Status.Live() {
		return Stillness{}
	}
	return Stillness{Last: run.S.LastSeq, Stuck: waits(run.S, signals, r.isHeld(number), func(i replay.Instance) bool {
		slot := r.Hub.Slot(number, i)
		return slot != nil && slot.State == leases.Leased
	})}
}

// Waits says of a run that is put away whether it waits for signals alone.
func Waits(s *replay.State) bool {
	return waits(s, true, false, func(replay.Instance) bool { return false })
}

// waits says it. still: the run is held, which is as a pause of its own.
func waits(s *replay.State, signals, still bool, works func(replay.Instance) bool) (stuck bool) {
	if still = still || s.Pause != nil; !still && (s.Held || s.Deadline != 0) {
		return false
	}
	for i, st := range s.All() {
		switch {
		case !st.State.Open():
		case !still && st.Due != 0 && st.State != replay.StepScheduled && st.State != replay.StepRunning, works(i):
			return false
		case still || st.State != replay.StepWaiting || s.Spec(i).Type != flow.TypeWaitSignal || signals:
			stuck = true
		}
	}
	return stuck
}
