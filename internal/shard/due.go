package shard

import (
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/timers"
)

// DueLimit is how many due times one turn takes before it looks at its inputs again.
const DueLimit = 2_500

// dueNow is a time that has come.
type dueNow struct {
	step int32
	due  int64
}

func (f dueNow) fold(r *Shard, _ *Run, t *replay.Turn) {
	if t.Due(f.step, f.due) {
		r.meters.timerLag.Milliseconds(t.At - f.due)
	}
}

// sweepDue throws away the times for which nobody waits any more, of waits that were answered, say, and those that stand there twice, when there may be as many of them as
// of others. What a run that sleeps waits for is not known here, so all of its times stay.
func (r *Shard) sweepDue() {
	if r.due.Len() <= 2*r.dueKept+r.cfg.StaleTimes {
		return
	}
	seen := make(map[timers.Entry]struct{}, r.due.Len())
	r.due.Keep(func(e timers.Entry) bool {
		n := len(seen)
		if seen[e] = struct{}{}; len(seen) == n { // a run that was paused and resumed has put it there anew
			return false
		}
		if run := r.runs[e.Run]; run != nil {
			return run.S.DueAt(e.Step, e.Due)
		}
		_, sleeps := r.parked[e.Run]
		return sleeps
	})
	r.dueKept = r.due.Len()
}

// takeDue gives what is due to its runs, as far as Take found it. It reports whether more is due.
func (r *Shard) takeDue() (more bool) {
	due := r.needs.due
	r.needs.due = due[:0]
	for _, e := range due {
		if e.Due > r.now.Wall { // the clock was put back since Take: its time comes again
			r.due.Push(e)
			continue
		}
		run, err := r.run(e.Run)
		if err != nil {
			r.fail(err)
			return false
		}
		if run != nil {
			r.give(run, dueNow{e.Step, e.Due})
		}
	}
	return r.overdue()
}

func (r *Shard) pushTimes(s *replay.State) {
	s.Dues(func(i replay.Instance, due int64) { r.due.Push(timers.Entry{Due: due, Run: s.Run, Step: i}) })
}
