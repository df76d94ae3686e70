package shard

import (
	"errors"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/objects"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/timers"
)

// Input is something that came from outside: a caller's wish or a party's report.
type Input interface {
	// admit finds the run that the input is about and gives it a fact to fold, or answers at once.
	admit(r *Shard)
}

// refuser is an Input with somebody who waits for an answer.
type refuser interface{ refuse(err error) }

// Refuse answers an input that will not be admitted.
func Refuse(in Input, err error) {
	if f, ok := in.(refuser); ok {
		f.refuse(err)
	}
}

// reader is an Input that changes nothing; it is admitted when the disk is full, too.
type reader interface{ reads() }

// asker is an Input that may find what it wants done already, and says so; it is admitted when the disk is full, too, and must ask
// noRoom before it writes.
type asker interface{ asks() }

// fact is what one turn of a run folds: folded is called in the order in which facts came.
type fact interface {
	fold(r *Shard, run *Run, t *replay.Turn)
}

// Turn takes the inputs and everything that is due, and gives what must be written; nil when nothing must.
func (r *Shard) Turn(now Now, inputs []Input) *Batch {
	if r.broken != nil { // nothing may be built on what it knows
		return nil
	}
	r.Take(now, inputs)
	r.begin(now)
	r.forgive()
	if !r.full { // what was found damaged while there was no space comes first
		r.drain()
	}
	r.tellAgain()
	inputs, r.ready = r.ready, r.admitted[:0]
	r.admitted = inputs
	if r.full {
		r.turnFull(inputs)
		clear(inputs)
		return r.finish()
	}
	r.grant()
	r.sweepDue()
	late := r.takeDue()
	if r.catching { // what was overdue at the start fires before anything new is admitted
		if r.catching = late; late {
			r.ready = append(r.ready, inputs...)
			inputs = nil
		}
	}
	r.releaseSome()
	r.takeExpired()
	r.takeStarts()
	r.takeSilence()
	for _, in := range inputs {
		in.admit(r)
	}
	clear(r.admitted)
	r.drain()
	if r.broken != nil { // what it folded may be half of what belongs together
		return nil
	}
	r.Hub.Resume()
	r.parkSome()
	r.snapshotSlice()
	return r.finish()
}

func (r *Shard) begin(now Now) {
	r.now = now
	r.turnNo++
	r.Stats.Turns++
	r.b = &Batch{Batch: &journal.Batch{}, effects: r.spare}
	r.spare = effects{}
	if n := len(r.spaces); n > 0 {
		r.b.use(r.spaces[n-1])
		r.spaces[n-1] = space{}
		r.spaces = r.spaces[:n-1]
	}
}

func (r *Shard) finish() *Batch {
	for i := 0; i < len(r.last); i++ {
		r.last[i]()
	}
	clear(r.last)
	r.last = r.last[:0]
	r.writeSchedules()
	r.sweep()
	b := r.b
	r.b = nil
	if b.Batch.Empty() { // nothing to write: what follows from this turn follows from the last batch under way, if one is
		if n := len(r.flying); n > 0 {
			r.flying[n-1].merge(&b.effects)
		} else {
			r.publish(&b.effects)
		}
		r.recycle(b)
		return nil
	}
	b.Last = r.next - 1
	r.flying = append(r.flying, b)
	return b
}

// drain folds the facts of every run that has some, until no run has. On a full disk, those that were found damaged keep theirs.
func (r *Shard) drain() {
	kept := 0
	for i := 0; i < len(r.work); i++ {
		if run := r.work[i]; r.full && run.owesQuarantine() {
			run.turnAway()
			r.work[kept] = run
			kept++
		} else {
			r.fold(run)
		}
	}
	clear(r.work[kept:])
	r.work = r.work[:kept]
}

// give puts a fact in front of its run.
func (r *Shard) give(run *Run, f fact) {
	if len(run.facts) == 0 {
		r.work = append(r.work, run)
	}
	run.facts = append(run.facts, f)
}

// giveTo puts a fact in front of the run of an id. One that has ended comes back by its state, where the caller has it.
func (r *Shard) giveTo(id string, ended *replay.State, f interface {
	fact
	refuse(error)
}) {
	run, err := r.find(id)
	if err == ErrAway && ended != nil {
		run, err = r.comeBack(ended)
	}
	if err != nil {
		f.refuse(err)
		return
	}
	r.give(run, f)
}

// recordBytes is where a record takes no more facts: the rest makes another record of the same turn. Whoever reads one payload reads its
// record, so a thousand outputs that came together must not cost a thousand times what they all are.
const recordBytes = 1 << 20

// fold is one turn of one run: its facts, then what follows from them, as one record.
func (r *Shard) fold(run *Run) {
	t := &r.turn
	*t = replay.Turn{S: run.S, At: r.now.Wall, Seq: r.next, Boot: r.cfg.Boot, Events: t.Events[:0], Stopping: r.stopping}
	r.folding = run
	before, prev := run.S.Events, run.S.LastSeq
	run.touched = r.turnNo
	taken, size := 0, 0
	for ; taken < len(run.facts) && size < recordBytes; taken++ {
		had := len(t.Events)
		t.By = ""
		run.facts[taken].fold(r, run, t)
		for i := had; i < len(t.Events); i++ {
			size += t.Events[i].Size()
		}
	}
	if taken < len(run.facts) {
		run.facts = slices.Delete(run.facts, 0, taken)
		r.work = append(r.work, run)
	} else {
		clear(run.facts)
		run.facts = run.facts[:0]
	}
	if !r.full { // nothing that came was folded then
		t.Decide()
	}
	if t.Err != nil {
		r.fail(fmt.Errorf("shard: run %q: %w", run.S.ID, t.Err))
		return
	}
	if len(t.Events) == 0 {
		return
	}
	seq := r.record(run.S.Run, prev, before+1, t.Events)
	run.S.EndRecord(seq)
	r.follow(run, t.Events, seq)
}

// record appends one record to the batch and gives its sequence.
func (r *Shard) record(run, prev, n uint64, events []event.Event) uint64 {
	b, seq := r.b, r.next
	start := len(b.arena)
	b.arena = event.AppendBody(b.arena, events)
	b.Records = append(b.Records, journal.Record{Seq: seq, Count: uint32(len(events)), Run: run, Prev: prev, N: n, At: r.now.Wall,
		Body: b.arena[start:len(b.arena):len(b.arena)]})
	r.next += uint64(len(events))
	r.logBytes += int64(len(b.arena)-start) + 32
	r.Stats.Records++
	r.Stats.Events += uint64(len(events))
	return seq
}

// system appends a record of the engine itself.
func (r *Shard) system(e event.Event) uint64 {
	return r.record(0, 0, 0, []event.Event{e})
}

// follow hands what was decided to the parties that act on it. What must not leave before it is durable is put on the batch.
func (r *Shard) follow(run *Run, events []event.Event, seq uint64) {
	s, ended, answered, childEnded := run.S, false, false, false
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case event.RunStarted:
			r.Stats.RunsStarted++
			r.runs[s.Run], r.ids[s.ID] = run, run
			r.meters.open(s.Workflow, 1)
			r.head(run)
			if s.Held || s.Deadline != 0 {
				r.pushTimes(s)
			}
		case event.StepBlocked:
			r.table.Request(objects.Owner{Seq: seq + uint64(i), Run: s.Run, Step: e.Step}, s.Keys(e.Step))
		case event.KeysGranted:
			if st := s.At(e.Step); st != nil { // it may be over in the same turn
				r.table.Granted(st.Request)
			}
			for _, k := range s.Keys(e.Step) {
				r.needVersion(k) // so that its outcome need not wait
			}
		case event.StepScheduled:
			if st := s.At(e.Step); st == nil || !st.Kind().Children() { // a child is asked for
				r.b.offers = append(r.b.offers, offer{run: run, step: e.Step, attempt: e.Attempt})
			}
		case event.StepCompleted, event.RoundCompleted:
			if e.Kind == event.StepCompleted && s.Spec(e.Step).Type == flow.TypeTask {
				r.Stats.StepsCompleted++
			}
			for _, o := range e.Objects {
				r.b.Objects = append(r.b.Objects, journal.Object{Key: o.Key, Version: o.Version, Seq: seq + uint64(i), Fence: o.Fence, State: o.State})
				v := version{o.Version, seq + uint64(i)}
				if o.State == nil {
					v.n = 0
				}
				r.versions[o.Key] = v
			}
		case event.AttemptFailed:
			r.Stats.AttemptsFailed++
		case event.AttemptLost:
			r.Stats.AttemptsLost++
			r.meters.lost(run, e.Step)
		case event.SignalReceived:
			r.Stats.Signals++
		case event.TimerFired:
			r.Stats.TimersFired++
		case event.RetrySet, event.StepDeferred, event.SignalAwaited, event.TimerSet, event.ConditionEvaluated, event.ChildStarted:
			if e.Due != 0 {
				r.due.Push(timers.Entry{Due: e.Due, Run: s.Run, Step: e.Step})
			}
		case event.StepFailed:
			if _, over := s.List(e.Step); over && (s.Status.Live() || s.Status == replay.Completed) { // stop does it for a run that failed or was cancelled
				r.stopItems(run, e.Step)
			}
		case event.RunCompleted, event.RunFailed, event.RunCancelled:
			ended = true
			r.end(run)
		case event.RunFinishing:
			clear(run.asked)
			r.stop(run)
			r.head(run)
		case event.RunReopened:
			r.reopened(run)
		case event.StepCorrected:
			r.corrected(run, e.Step)
		case event.RunPaused:
			r.paused(run)
			r.head(run)
		case event.RunResumed:
			r.resumed(run)
			r.head(run)
		case event.RunTagged:
			r.head(run)
			if s.Status.Ended() {
				r.b.ended = append(r.b.ended, run)
			}
		case event.RunQuarantined:
			r.awaited(run)
			clear(run.asked)
			r.stop(run)
			r.head(run)
			r.mark(run)
		case event.AttemptEnded:
			if st := s.At(e.Step); s.Status.Live() && st != nil && st.State == replay.StepScheduled {
				r.b.offers = append(r.b.offers, offer{run: run, step: e.Step, attempt: st.Attempt})
			}
			answered = true
			r.moved(run)
		case event.ChildEnded:
			childEnded = true
		}
	}
	if childEnded {
		r.moved(run)
	}
	if ended || answered || childEnded {
		r.calmed(run, ended)
	}
	r.leave(s)
	for _, i := range s.Wanted() {
		r.want(run, i)
	}
	if !run.def.keyed && !s.Grown() {
		return
	}
	for _, seq := range s.Released() {
		r.table.Release(seq)
	}
	r.grant()
}

// moved writes the head of a run that has ended, which says what its last record is.
func (r *Shard) moved(run *Run) {
	if run.S.Status.Ended() {
		r.head(run)
		r.b.ended = append(r.b.ended, run)
	}
	r.retireIfDone(run)
}

// grant gives each request whose turn has come to its run, as a fact.
func (r *Shard) grant() {
	for _, o := range r.table.Grantable() {
		if run, err := r.run(o.Run); run != nil && err == nil {
			r.give(run, granted{o})
		}
	}
}

type granted struct{ o objects.Owner }

func (g granted) fold(r *Shard, run *Run, t *replay.Turn) {
	st := run.S.At(g.o.Step)
	out, isOut := run.S.Out(g.o.Step)
	switch {
	case st == nil: // it has settled
	case isOut && out.Request == g.o.Seq, st.Request == g.o.Seq && st.Fence != 0:
		r.table.Granted(g.o.Seq) // it holds them; a damaged run, of which it is not known that it gave them back, stood in front
	case run.S.Status.Live() && st.State == replay.StepBlocked && st.Request == g.o.Seq:
		t.Grant(g.o.Step)
	}
}

// end closes the books of a run that has ended.
func (r *Shard) end(run *Run) {
	r.Stats.RunsEnded++
	clear(run.asked)
	r.meters.ended(run.S)
	r.scheduleRunEnded(run.S.ID, run.S.Status == replay.Completed)
	r.awaited(run)
	if run.S.Status != replay.Completed {
		r.stop(run)
	}
	r.head(run)
	r.b.ended = append(r.b.ended, run)
	r.retireIfDone(run)
}

// stop takes back the offers of a run that has ended or is quarantined, and tells those who work for it. An attempt that is out
// and that nobody has will not answer: it ends at once.
func (r *Shard) stop(run *Run) {
	for i := range run.S.All() {
		r.stopOne(run, i, "the run is "+run.S.Status.String())
	}
}

// stopItems does the same for the items of a step that has failed, when the run goes on.
func (r *Shard) stopItems(run *Run, step replay.Instance) {
	why := fmt.Sprintf("step %q has failed", run.S.Name(step))
	delete(run.asked, step)
	for i := range run.S.Items(step) {
		delete(run.asked, i)
		r.stopOne(run, i, why)
	}
}

func (r *Shard) stopOne(run *Run, i replay.Instance, why string) {
	s := run.S
	slot := r.Hub.Slot(s.Run, i)
	out, isOut := s.Out(i)
	switch {
	case slot != nil && slot.State == leases.Queued:
		r.Hub.Withdraw(s.Run, i)
	case slot != nil && slot.State != leases.Answered && run.expects(slot):
		if slot.Given {
			if slot.State == leases.Leased {
				slot.State = leases.Cancelled
				r.b.cancels = append(r.b.cancels, cancelled{slot, why})
			}
			return
		}
		slot.State = leases.Cancelled
		r.b.release = append(r.b.release, slot) // its start was journaled, and nobody got it
	}
	if isOut {
		r.give(run, lost{out.Step, out.Attempt, ""})
	}
}

// retireIfDone drops the snapshot of a run that recovery need not know any more.
func (r *Shard) retireIfDone(run *Run) {
	if run.S.Hurt {
		r.mark(run) // it cannot be folded from its records: the snapshot is what there is
		return
	}
	if !run.S.Resident() && run.snap != 0 {
		r.b.Snapshots = append(r.b.Snapshots, journal.Snapshot{Run: run.S.Run})
		run.snap = 0
	}
}

// reopened puts the times of a run that goes on back into the queue.
func (r *Shard) reopened(run *Run) {
	r.scheduleRunReopened(run)
	r.meters.open(run.S.Workflow, 1)
	r.head(run)
	r.mark(run) // its first records may lie before the point where recovery starts
	r.pushTimes(run.S)
}

// head writes the run's row for lists and look-ups.
func (r *Shard) head(run *Run) {
	h := archive.HeadOf(run.S)
	for i := len(r.b.Heads) - 1; i >= 0 && i >= len(r.b.Heads)-2; i-- { // started and ended in one turn
		if r.b.Heads[i].Run == h.Run {
			r.b.Heads[i] = h
			return
		}
	}
	r.b.Heads = append(r.b.Heads, h)
}

// Stop ends the shard for a reason from outside. When another engine has taken the journal over, the attempts in process are
// cancelled: it may start them anew.
func (r *Shard) Stop(err error) {
	if !errors.Is(err, journal.ErrFenced) || r.cfg.Cancel == nil {
		r.fail(err)
		return
	}
	if r.broken == nil {
		for _, slot := range r.Hub.Leases() {
			if slot.Local && slot.Given {
				r.cfg.Cancel(slot, err.Error())
			}
		}
	}
	r.fail(err)
}

// fail stops the shard: an invariant is broken, and nothing may be built on it.
func (r *Shard) fail(err error) {
	if r.broken == nil {
		r.broken = err
		r.Hub.Pause()
	}
}

// Broken is why the shard has stopped; nil while it has not.
func (r *Shard) Broken() error { return r.broken }
