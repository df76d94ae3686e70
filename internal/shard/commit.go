package shard

import (
	"errors"

	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Committed says what became of a batch: nil, it is durable; journal.ErrFull, nothing of it was recorded; anything else, it
// is not known, and the shard is broken. Batches are reported in the order in which they were made, and are the shard's again then.
func (r *Shard) Committed(b *Batch, err error, now Now) {
	r.now = now
	for i, f := range r.flying {
		if f == b {
			r.flying = append(r.flying[:i:i], r.flying[i+1:]...)
			break
		}
	}
	switch {
	case err == nil:
		r.durable = b.Last
		r.publish(&b.effects)
		r.recycle(b)
		r.shed()
	case errors.Is(err, journal.ErrFull):
		r.drop(b)
	default:
		r.Stop(err)
		for _, fn := range b.then {
			fn(err)
		}
	}
}

// publish lets out what was waiting for the batch: room in sessions, offers, news for workers, answers.
func (r *Shard) publish(b *effects) {
	for _, s := range b.release {
		r.Hub.Release(s)
	}
	for _, o := range b.offers {
		r.offer(o.run, o.step, o.attempt, o.careful)
	}
	for _, a := range b.asks {
		r.question(a)
	}
	for _, e := range b.ends {
		r.askEnd(e)
	}
	for _, c := range b.cancels {
		r.cancel(c.slot, c.why)
	}
	for _, s := range b.handout {
		run := r.runs[s.Run] // what was decided since then may have ended the attempt already
		if s.State == leases.Leased && s.Journaled && run != nil && run.expects(s) {
			r.handOut(s)
		}
	}
	for _, s := range b.stored {
		if p, ok := r.parked[s.run]; ok && p.snap == s.seq && p.last == s.seq {
			p.state, r.needs.moved = nil, true
			r.parked[s.run] = p
		}
	}
	for _, id := range b.gone { // the journal says it from now on
		r.left(id, r.gone[id])
		delete(r.gone, id)
	}
	for _, fn := range b.then {
		fn(nil)
	}
	for _, run := range b.ended {
		r.close(run)
	}
}

// recycle keeps the lists of a batch that is done, and its space, for the next one. What the journal had of it is as it was: but if it
// was committed, the journal is through with it.
func (r *Shard) recycle(b *Batch) {
	b.effects.reset()
	r.spare, b.effects = b.effects, effects{}
	if s := (space{b.arena[:0], emptied(b.Records), emptied(b.Heads)}); len(r.spaces) < mostSpaces && cap(s.arena) <= 1<<20 {
		r.spaces = append(r.spaces, s)
	}
	b.use(space{})
}

// mostSpaces is how many batches there are at a time, but in a crowd.
const mostSpaces = 4

func (r *Shard) cancel(s *leases.Slot, why string) {
	if s.Local {
		if r.cfg.Cancel != nil {
			r.cfg.Cancel(s, why)
		}
		return
	}
	r.cfg.Host.Cancelled(s.Session, s, leases.Token{Run: s.Run, Step: s.Step, Attempt: s.Attempt, Boot: s.Boot, Worker: s.Worker})
}

// offer puts a scheduled step into its handler's queue, unless the state has moved on or an attempt from before a retry of
// the run is still out.
func (r *Shard) offer(run *Run, step int32, attempt uint32, careful bool) {
	s := run.S
	st := s.At(step)
	if !s.Status.Live() || s.Pause != nil || r.isHeld(s.Run) || st == nil || st.State != replay.StepScheduled || st.Attempt != attempt {
		return
	}
	if _, out := s.Out(step); out {
		return
	}
	def := s.Spec(step)
	slot := &leases.Slot{Run: s.Run, Step: step, Workflow: s.Workflow, Attempt: attempt, Boot: st.Boot, Handler: run.handlerOf(step), OfferedAt: st.Since, Careful: careful}
	if def.TimeoutMS != nil {
		slot.TimeoutMS = *def.TimeoutMS
	}
	if def.HeartbeatTimeoutMS != nil {
		slot.BeatMS = *def.HeartbeatTimeoutMS
	}
	r.Hub.Offer(slot)
}

// close tells the waiters of a run that has ended, and lets it leave memory.
func (r *Shard) close(run *Run) {
	s := run.S
	if s.Status.Ended() && s.LastSeq <= r.durable {
		final := s
		if s.Resident() || len(run.facts) > 0 || r.ids[s.ID] != run {
			final = nil // it may still change
		}
		for _, w := range run.waiters {
			w.fn(final)
		}
		run.waiters = nil
	}
	if s.Resident() || s.LastSeq > r.durable || len(run.facts) > 0 {
		return
	}
	delete(r.runs, s.Run)
	if r.ids[s.ID] == run {
		delete(r.ids, s.ID)
	}
	r.left(s.ID, s.Run)
}

// handOut gives an attempt to who has its lease: in this process it runs.
func (r *Shard) handOut(slot *leases.Slot) {
	run := r.runs[slot.Run]
	if run == nil || slot.Given || slot.Session == nil {
		return
	}
	slot.Given = true
	switch {
	case !slot.Local:
		r.cfg.Host.Handed(slot.Session, slot, r.spec(run, slot))
	case r.cfg.Room == nil:
		r.cfg.Execute(r.spec(run, slot))
	default:
		spec := r.cfg.Room(slot)
		r.describe(spec, run, slot)
		r.cfg.Execute(spec)
	}
}

// Spec is a task before its payloads are read: what an attempt needs to know.
type Spec struct {
	Slot     *leases.Slot
	ID       string
	Workflow string
	Trace    string
	Name     string       // of the step
	What     *replay.Spec // what it does
	Step     replay.Instance
	Attempt  uint32
	Input    replay.Payload
	Deps     []Dep
	Keys     []string        // its object keys
	Filled   *replay.Payload // what the templates of its input came to; nil: it has none
	Fence    uint64
	Expires  int64                        // Unix ms; 0: never
	Refers   bool                         // who gets it reads outputs that it refers to
	Errors   map[string]*replay.StepError // of the failed steps whose on_failure names it
	Round    *Round                       // of a step that repeats
	Undo     bool                         // it is a compensation
	Output   *replay.Payload              // what the step gave that it takes back; nil: it did not complete
	Fate     []byte                       // JSON: that of the run, of a compensation or a step of finally
	Nth      uint32                       // of a step of finally: which end of its run it is, from 1
	Item     *Item                        // of the list that the step goes over; nil: it goes over none

	few [1]Dep // where Deps lies when there are not more
}

// Round is which round of a step an attempt is of, from 0, and what the round before it gave.
type Round struct {
	N        uint32
	Previous replay.Payload
}

// Dep is the output of a completed dependency.
type Dep struct {
	Name   string
	Output replay.Payload
}

func (r *Shard) spec(run *Run, slot *leases.Slot) *Spec {
	spec := new(Spec)
	r.describe(spec, run, slot)
	return spec
}

// describe fills in what the attempt of a slot is to do, in an empty Spec. It lies where it is for good.
func (r *Shard) describe(spec *Spec, run *Run, slot *leases.Slot) {
	s := run.S
	spec.Slot, spec.Step, spec.Attempt = slot, slot.Step, slot.Attempt
	spec.ID, spec.Workflow, spec.Trace, spec.Input = s.ID, s.Workflow, s.Trace, s.Input
	spec.Name, spec.What = s.Name(slot.Step), s.Spec(slot.Step)
	if spec.Keys = s.Keys(slot.Step); len(spec.Keys) > 0 {
		spec.Fence = s.At(slot.Step).Fence
	}
	spec.Refers = slot.Local || slot.Session != nil && slot.Session.Refers
	if slot.Expires != 0 {
		spec.Expires = r.now.Wall + slot.Expires - r.now.Mono
	}
	if s.Graph.Language {
		spec.Errors = s.Errors(slot.Step)
		if input, ok := s.StepInput(slot.Step); ok {
			spec.Filled = &input
		}
		if spec.What.Repeat != nil {
			n, previous := s.Round(slot.Step)
			spec.Round = &Round{n, previous}
		}
		spec.ending(s, slot.Step)
		spec.Item = itemOf(s, s.Target(slot.Step))
	}
	if deps := s.Deps(slot.Step); len(deps) > 0 {
		if spec.Deps = spec.few[:0]; len(deps) > len(spec.few) {
			spec.Deps = make([]Dep, 0, len(deps))
		}
		for _, d := range deps {
			if s.At(d).State == replay.StepCompleted {
				spec.Deps = append(spec.Deps, Dep{s.Name(d), s.At(d).Output})
			}
		}
	}
}

// drop takes back a batch that found no space, and everything that was decided after it: memory is folded again from the
// journal. What workers have, they keep; what they have answered is folded again when there is space.
func (r *Shard) drop(b *Batch) {
	r.setFull(true)
	r.kept = append(r.kept, b.given...)
	for _, slot := range b.release {
		if slot.State == leases.Answered {
			slot.Journaled = false
		}
	}
	for _, fn := range b.then {
		fn(refusal.ErrDiskFull)
	}
	if len(r.flying) > 0 {
		return // the batches behind it are dropped, too, and come in their order
	}
	if err := r.again(); err != nil {
		r.fail(err)
	}
}

func (r *Shard) setFull(full bool) {
	if r.full == full {
		return
	}
	if r.full = full; full {
		r.Hub.Pause() // until the turn after Resume: what was folded again may be damaged, and that turn says so first
	}
	r.cfg.Host.Full(full)
}

// Full says that the disk is full: only reads are admitted until Resume.
func (r *Shard) Full() bool { return r.full }

// Resume says that a probe found space again.
func (r *Shard) Resume() []Input {
	r.setFull(false)
	kept := r.kept
	r.kept = nil
	return kept
}

// tellAgain answers those whose answer was dropped with a batch from what is on disk, as if it were full still: what they wanted and
// is not there was not recorded, and in which order they came does not matter.
func (r *Shard) tellAgain() {
	if len(r.retold) == 0 || len(r.flying) > 0 || r.toldWaits {
		return
	}
	var inputs, wait []Input
	for _, in := range r.retold {
		if r.met(in) {
			inputs = append(inputs, in)
		} else {
			wait = append(wait, in)
		}
	}
	full := r.full
	r.retold, r.toldWaits, r.full = wait, len(wait) > 0, true
	r.turnFull(inputs)
	r.full = full
}

// turnFull admits what changes nothing, and what may find that it need not write; it refuses the rest. Outcomes of attempts in
// process are kept. Nothing is written.
func (r *Shard) turnFull(inputs []Input) {
	for _, in := range inputs {
		switch in := in.(type) {
		case reader, asker:
			in.admit(r)
		case *Outcome:
			if in.Slot != nil {
				r.kept = append(r.kept, in)
			} else {
				in.admit(r)
			}
		case *Gone, *Evaluated:
			r.kept = append(r.kept, in)
		case refuser:
			in.refuse(refusal.ErrDiskFull)
		}
	}
	r.drain()
}

// ending fills in what a compensation, or a step of finally, is told besides.
func (spec *Spec) ending(s *replay.State, i replay.Instance) {
	if !s.KnowsFate(i) {
		return
	}
	spec.Fate = s.FateJSON()
	target := s.Target(i)
	if target == i {
		spec.Nth = s.Ends + 1
		return
	}
	spec.Undo, spec.Name = true, s.Name(target)
	if s.StateOf(target) == replay.StepCompleted {
		out := s.OutputOf(target)
		spec.Output = &out
	}
}
