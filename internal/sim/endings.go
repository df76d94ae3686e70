package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// withEndings lets some tasks be compensated, and adds steps of finally.
func withEndings(rng *rand.Rand, d *flow.Definition, others []string) {
	for i := range d.Steps {
		s := &d.Steps[i]
		if s.Type != flow.TypeTask || rng.IntN(2) > 0 {
			continue
		}
		s.Compensate = &flow.Compensation{Handler: s.Handler, AlsoIfStarted: rng.IntN(3) == 0}
		if rng.IntN(2) == 0 {
			s.Compensate.Retry = &flow.Retry{MaxAttempts: int64(1 + rng.IntN(2)), InitialIntervalMS: 500}
		}
	}
	for i := range rng.IntN(4) {
		var after []string
		for j := range i {
			if rng.IntN(3) == 0 {
				after = append(after, fmt.Sprintf("f%d", j))
			}
		}
		name, opts := fmt.Sprintf("f%d", i), []flow.StepOption{flow.After(after...)}
		if rng.IntN(5) == 0 {
			ms := int64(rng.IntN(5_000))
			s := flow.WaitTimer(name, "timer-"+name, opts...)
			s.Timer.DelayMS = &ms
			d.Finally = append(d.Finally, s)
			continue
		}
		s := task(rng, name, opts)
		switch rng.IntN(6) {
		case 0:
			s.When = []string{`fate.state == "failed"`, `fate.state != "completed"`, `steps.s0.state == "completed"`}[rng.IntN(3)]
		case 1:
			overList(rng, &s, nil, map[string]bool{})
		case 2:
			if len(others) > 0 {
				s.Type, s.Service, s.Handler, s.ObjectKeys, s.HeartbeatTimeoutMS, s.Workflow = flow.TypeWorkflow, "", "", nil, nil, others[rng.IntN(len(others))]
			}
		}
		d.Finally = append(d.Finally, s)
	}
}

// settling is the Judge's own copy of how a run ends. What must hold: what has completed, and what was only started where the definition asks
// for that, is compensated in that order, one at a time, each at most once, and exactly once unless somebody ends the run by force; nothing of it
// begins before all that was cancelled has answered; then comes finally. A run of which something was compensated is not reopened.
type settling struct {
	fate   string
	done   []int32        // steps and items that can be compensated, in the order in which they completed
	tried  map[int32]bool // steps and items that somebody has had
	queue  []int32        // what is to be compensated, in order
	undone int            // how many of them are over
	under  bool           // one is under way
	begun  bool           // somebody has had one
	final  bool           // finally has begun
}

// compensable says whether an instance is a step or an item that can be compensated.
func compensable(s *replay.State, i int32) bool {
	spec := s.Spec(i)
	_, _, item := s.ItemOf(i)
	return spec.Compensate != nil && (spec.ForEach == nil || item)
}

// ofEndings looks at an event that is about the end of a run, before it is folded.
func (j *Judge) ofEndings(t *track, e *event.Event) {
	s, w, end := t.s, j.w, &t.end
	if t.damaged != 0 { // with the record that is lost something of this may be
		return
	}
	undo := e.OfStep() && s.Target(e.Step) != e.Step
	switch e.Kind {
	case event.StepCompleted, event.StepFailed:
		if undo && (!end.under || end.queue[end.undone] != s.Target(e.Step)) {
			w.fail("%s/%s: %s, and it is not its turn: %+v", t.id, s.Name(e.Step), e.Kind, *end)
		}
		if undo {
			end.undone++
			end.under = false
			end.begun = end.begun || e.Kind == event.StepCompleted
			w.op("a compensation: " + e.Kind.String())
		} else if e.Kind == event.StepCompleted && compensable(s, e.Step) {
			end.done = append(end.done, e.Step)
			end.tried[e.Step] = true
		}
	case event.AttemptStarted, event.AttemptFailed, event.AttemptLost:
		if end.tried[s.Target(e.Step)] = true; undo {
			end.begun = true
		}
	case event.RunFinishing:
		if end.fate = e.Name; end.fate != "completed" {
			end.queue = t.toCompensate()
		}
	case event.CompensationBegan:
		if end.under || end.undone >= len(end.queue) || end.queue[end.undone] != e.Step || len(s.Outs) > 0 || s.Unwanted() > 0 || end.final {
			w.fail("%s: %s is compensated; it must be %v, of which %d are over, one is under way: %v, %d attempts and %d children are out", t.id, s.Name(e.Step), end.queue, end.undone, end.under, len(s.Outs), s.Unwanted())
		}
		end.under = true
	case event.FinallyBegan:
		if end.final || end.under || end.undone < len(end.queue) || len(s.Outs) > 0 || s.Unwanted() > 0 {
			w.fail("%s: finally begins; of %d %d are compensated, %d attempts and %d children are out", t.id, len(end.queue), end.undone, len(s.Outs), s.Unwanted())
		}
		end.final = true
	case event.RunCompleted, event.RunFailed, event.RunCancelled:
		j.ends(t, e.Kind)
	case event.RunReopened:
		if end.begun {
			w.fail("%s is reopened, and was compensated: %+v", t.id, *end)
		}
		if end.final {
			w.op("finally anew")
		}
		t.forgetFinally()
		end.fate, end.queue, end.undone, end.under, end.final = "", nil, 0, false, false
	}
}

// ends looks at the end of a run: nothing that was to be done is left, unless it was ended by force.
func (j *Judge) ends(t *track, by event.Kind) {
	s, end := t.s, &t.end
	if s.Status == replay.Quarantined {
		return
	}
	left := end.undone < len(end.queue) || end.fate != "" && int(s.Graph.Main) < len(s.Steps) && !end.final
	if end.fate == "" && s.Graph.Endings() {
		left = int(s.Graph.Main) < len(s.Steps) || by != event.RunCompleted && len(t.toCompensate()) > 0
	}
	for i := s.Graph.Main; end.final && int(i) < len(s.Steps); i++ {
		st := s.Steps[i].State
		left = left || st.Open() || st == replay.StepPending || st == replay.StepDormant
	}
	switch {
	case left && !j.w.forced[t.id]:
		j.w.fail("%s ends, and something is left to do: %+v", t.id, *end)
	case left:
		j.w.op("an end by force")
	case len(end.queue) > 0:
		j.w.op("all was compensated")
	}
}

// toCompensate works out what is to be compensated, in order.
func (t *track) toCompensate() (all []int32) {
	s := t.s
	for i := s.Graph.Main - 1; i >= 0; i-- {
		undo := s.Spec(i).Compensate
		if undo == nil || !undo.AlsoIfStarted {
			continue
		}
		of := []int32{i}
		if s.Spec(i).ForEach != nil {
			of = nil
			if l := t.lists[i]; l != nil {
				for k := range l.items {
					of = append(of, s.ItemNumber(i, k))
				}
			}
		}
		for _, x := range slices.Backward(of) {
			if t.end.tried[x] && !slices.Contains(t.end.done, x) {
				all = append(all, x)
			}
		}
	}
	done := slices.Clone(t.end.done)
	slices.Reverse(done)
	return append(all, done...)
}

// forgetFinally forgets what became of the steps of finally: they run anew.
func (t *track) forgetFinally() {
	s := t.s
	for _, m := range []map[int32]int{t.final, t.failed, t.fired} {
		for i := range m {
			step, _, item := s.ItemOf(i)
			if !item {
				step = i
			}
			if s.Target(i) == i && s.Graph.Final(step) {
				delete(m, i)
			}
		}
	}
	for i := range t.lists {
		if s.Graph.Final(i) {
			delete(t.lists, i)
		}
	}
}

// newForce ends a run at once, whatever is left to do.
func (w *World) newForce(r *track) {
	if r.s.Status != replay.Finishing {
		return
	}
	w.op("force")
	w.forced[r.id] = true
	w.home(r.id).send(&shard.Cancel{ID: r.id, Reason: "at once", Force: true, Reply: func(error) {}})
}
