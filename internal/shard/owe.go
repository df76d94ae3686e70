package shard

import (
	"cmp"
	"slices"

	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/objects"
	"github.com/agnt5/agnt5d/replay"
)

// expects says whether the run's state knows of the attempt as one that may still answer.
func (run *Run) expects(slot *leases.Slot) bool {
	if o, out := run.S.Out(slot.Step); out && o.Attempt == slot.Attempt {
		return true
	}
	st := run.S.At(slot.Step)
	return st != nil && st.Attempt == slot.Attempt && run.S.Owed(slot.Step) != replay.OwedNothing
}

// payment is what is done about an attempt when memory has been folded anew.
type payment uint8

const (
	payNothing payment = iota
	payOffer           // it is offered to workers
	payLease           // its worker gets a lease again, and the time to come back
	payEnd             // the same, but it is told that nobody waits for it
	payLost            // its worker was this process, which is another one now
	keepLease          // its worker is here and keeps its lease
	keepEnd            // its worker is here, and nobody waits for it
)

// pay says what is done about an attempt that is owed something. has: somebody has it here and now, as after a full disk; local: it
// runs, or ran, in this process; boot: the process has just started.
func pay(what replay.Owed, has, local, boot bool) payment {
	switch {
	case what == replay.OwedNothing:
		return payNothing
	case has && what == replay.OwedEnd:
		return keepEnd
	case has:
		return keepLease
	case what == replay.OwedOffer:
		return payOffer
	case local && boot:
		return payLost
	case local: // it has answered, and that answer is kept until there is space
		return payNothing
	case what == replay.OwedEnd:
		return payEnd
	}
	return payLease
}

// owe hands what every run in memory's books is owed to the parties. At boot it also decides what became of the attempts
// that were under way when the engine stopped.
func (r *Shard) owe(boot bool) {
	var wants []objects.Owner
	keys := map[uint64][]string{}
	var held []uint64
	wantAll := func(s *replay.State) {
		claims(s, func(o objects.Owner, of []string, holds bool) {
			wants = append(wants, o)
			keys[o.Seq] = of
			if holds {
				held = append(held, o.Seq)
			}
		})
	}
	for _, n := range r.newer { // its keys stay taken; nothing else is done for it
		if n.State != nil {
			wantAll(n.State)
		}
	}
	numbers := make([]uint64, 0, len(r.runs))
	for n := range r.runs {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		run := r.runs[n]
		s := run.S
		s.Released()
		wantAll(s)
		for _, o := range s.Outs {
			r.oweAttempt(run, o, replay.OwedEnd, boot)
		}
		r.oweChildren(s)
		if run.hurt != nil {
			r.give(run, quarantineFor(run.hurt))
			run.hurt = nil
		}
		if s.Status.Ended() {
			continue
		}
		r.pushTimes(s)
		r.want(run, replay.RunItself)
		for i, st := range s.All() {
			r.oweAttempt(run, replay.Out{Step: i, Attempt: st.Attempt, Local: st.Local, Worker: st.Worker, Boot: st.Boot}, s.Owed(i), boot)
			r.want(run, i)
		}
	}
	r.b.ends = append(r.b.ends, r.ends...)
	r.ends = nil
	slices.SortFunc(wants, func(a, b objects.Owner) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, o := range wants {
		r.table.Request(o, keys[o.Seq])
	}
	for _, seq := range held {
		r.table.Granted(seq)
	}
	if boot {
		r.grant()
		r.drain()
	}
}

// claims gives each request for keys that the state knows of, and whether it holds them.
func claims(s *replay.State, yield func(o objects.Owner, keys []string, holds bool)) {
	claim := func(step int32, request uint64, holds bool) {
		if request != 0 {
			yield(objects.Owner{Seq: request, Run: s.Run, Step: step}, s.Keys(step), holds)
		}
	}
	for _, o := range s.Outs {
		claim(o.Step, o.Request, true)
	}
	for i, st := range s.All() {
		claim(i, st.Request, st.Fence != 0)
	}
}

// oweAttempt pays what is owed to one attempt.
func (r *Shard) oweAttempt(run *Run, o replay.Out, what replay.Owed, boot bool) {
	slot := r.Hub.Slot(run.S.Run, o.Step)
	switch pay(what, slot != nil && slot.Attempt == o.Attempt, o.Local, boot) {
	case payOffer:
		r.b.offers = append(r.b.offers, offer{run: run, step: o.Step, attempt: o.Attempt, careful: true})
	case payLease:
		r.restore(run, o, leases.Leased)
	case payEnd:
		r.restore(run, o, leases.Cancelled)
	case payLost:
		r.give(run, lost{o.Step, o.Attempt, failure.EngineStopped})
	case keepLease:
		r.keepLease(run, slot)
	case keepEnd:
		slot.State = leases.Cancelled
		r.Hub.Rearm(slot)
	}
}

// restore gives an attempt whose start is journaled its lease again.
func (r *Shard) restore(run *Run, o replay.Out, state leases.SlotState) {
	slot := r.restored(run, o.Step, o.Attempt, o.Boot, o.Worker, state)
	r.Hub.Restore(slot, r.now.Mono, r.leaseLeft(o.Worker), r.now.Wall-slot.StartedAt)
}

// keepLease lets a worker that is here go on with what it has.
func (r *Shard) keepLease(run *Run, slot *leases.Slot) {
	slot.State = leases.Leased
	slot.Journaled = run.S.At(slot.Step).State == replay.StepRunning
	switch {
	case !slot.Journaled && slot.Given:
		run.leased++
		r.starts = append(r.starts, slot)
	case !slot.Journaled: // a careful one whose start was dropped with its batch
		run.leased++
		r.grants = append(r.grants, slot)
	case !slot.Given:
		r.b.handout = append(r.b.handout, slot)
	}
	r.Hub.Rearm(slot)
}

func (r *Shard) restored(run *Run, step int32, attempt uint32, boot uint64, name string, state leases.SlotState) leases.Slot {
	slot := leases.Slot{Run: run.S.Run, Step: step, Attempt: attempt, Boot: boot, Handler: run.handlerOf(step), State: state, Given: true, Worker: name}
	if st := run.S.At(step); st != nil { // else it is out, and its step is over
		slot.StartedAt = st.Since
	}
	def := run.S.Spec(step)
	if state == leases.Leased && def.TimeoutMS != nil {
		slot.TimeoutMS = *def.TimeoutMS
	}
	if state == leases.Leased && def.HeartbeatTimeoutMS != nil {
		slot.BeatMS = *def.HeartbeatTimeoutMS
	}
	return slot
}
