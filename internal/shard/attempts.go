package shard

import (
	"errors"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
)

// startWithin is how long a lease may stand before its start is journaled by itself, when no other record came to carry it.
const startWithin = 100 // ms

// Result says what became of an outcome. The values stand in the API.
type Result string

const (
	Recorded    Result = "recorded"
	Duplicate   Result = "duplicate"
	Conflict    Result = "conflict"
	RunFinished Result = "run_finished"
	StaleLease  Result = "stale_lease"
	Invalid     Result = "invalid"
	BadToken    Result = "bad_token"
	NewerRun    Result = "newer_release" // the run waits for a newer release; nothing was recorded
)

// Outcome is a worker's answer for one attempt.
type Outcome struct {
	Slot    *leases.Slot // in process; nil: Token names the attempt
	Token   leases.Token
	Output  []byte
	Objects []event.ObjectWrite
	Fail    *replay.AttemptError // nil: completed
	Invalid bool                 // Fail says why the outcome itself was no good
	Hash    uint64               // of the outcome as it was sent; 0 in process
	Only    string               // the one service whose attempts the sender may answer for; "": any
	Log     *worker.LogPart      // what the handler wrote to its log and was not brought before
	// Reply is called when the result is durable. look says that the attempt is one of which memory knows nothing: the run's history
	// decides then whether the token was made for it (BadToken), and whether an outcome of it was recorded (Duplicate, Conflict); if
	// neither, the result given stands.
	Reply func(result Result, look bool, err error)
	// Last is the run's last sequence when Reply says look; 0: its head knows.
	Last uint64
}

func (in *Outcome) refuse(err error) {
	if in.Reply != nil {
		in.Reply("", false, err)
	}
}

// claim is the attempt that the outcome says it is of.
func (in *Outcome) claim() claim {
	if s := in.Slot; s != nil {
		return claim{Token: leases.Token{Run: s.Run, Step: s.Step, Attempt: s.Attempt, Boot: s.Boot}, slot: s}
	}
	return claim{Token: in.Token}
}

func (in *Outcome) admit(r *Shard) {
	number := in.claim().Run
	if in.Slot != nil {
		r.b.given = append(r.b.given, in)
	}
	run, err := r.run(number)
	if err != nil {
		in.refuse(err)
		return
	}
	if r.newer[number] != nil {
		in.answer(r, NewerRun, false)
		return
	}
	if run == nil { // ended, deleted, or never was
		if in.Slot != nil && (in.Slot.State == leases.Leased || in.Slot.State == leases.Cancelled) {
			r.b.release = append(r.b.release, in.Slot)
		}
		in.answer(r, RunFinished, true)
		return
	}
	r.give(run, in)
}

func (in *Outcome) answer(r *Shard, result Result, look bool) {
	if in.Reply == nil {
		return
	}
	reply := func(err error) { in.Reply(result, look, err) }
	if in.Slot != nil { // it is kept until there is space
		r.whenDurable(reply)
		return
	}
	r.tell(in, reply)
}

func (in *Outcome) fold(r *Shard, run *Run, t *replay.Turn) {
	c := in.claim()
	if in.Only != "" && run.of(c.Step) != in.Only {
		in.answer(r, BadToken, false)
		return
	}
	slot := in.Slot
	if slot == nil || !slot.Stands() {
		slot = r.Hub.Slot(run.S.Run, c.Step)
	}
	switch where := standing(run, slot, c); where {
	case alien:
		in.answer(r, BadToken, false)
	case ended: // it only gives back its keys
		if r.noRoom(in) {
			return
		}
		t.Ended(c.Step, c.Attempt)
		r.said(c.Token, in.Log)
		if slot != nil && slot.Attempt == c.Attempt && (slot.State == leases.Cancelled || slot.State == leases.Leased) {
			r.b.release = append(r.b.release, slot)
		}
		in.answer(r, unwanted(run, c.Step), false)
	case late, stale:
		if c.has(slot) && (slot.State == leases.Leased || slot.State == leases.Cancelled) { // the handler has returned, and nobody wants its answer
			r.Hub.Answer(slot)
			r.b.release = append(r.b.release, slot)
		}
		result := unwanted(run, c.Step)
		r.atEnd(func() { in.repeats(r, run, result) }) // the outcome that was first may stand in this very turn
	case holding, lostButOpen:
		if r.noRoom(in) {
			return
		}
		if where == holding {
			r.journalStart(run, slot, t)
			r.Hub.Answer(slot)
			r.b.release = append(r.b.release, slot)
		} else {
			r.Hub.Withdraw(run.S.Run, c.Step)
			if run.S.At(c.Step).Attempt == c.Attempt { // given out before a restart, its start not journaled
				t.Started(c.Step, c.Attempt, c.Worker, r.now.Wall, false)
			}
		}
		in.settle(r, run, t, slot)
	}
}

// settle folds what the attempt came to.
func (in *Outcome) settle(r *Shard, run *Run, t *replay.Turn, slot *leases.Slot) {
	c := in.claim()
	r.said(c.Token, in.Log)
	if in.Fail == nil {
		if key, ok := in.foreign(run, c.Step); ok {
			in.Invalid = true
			in.Fail = &replay.AttemptError{Code: failure.ObjectNotHeld, Final: true, Hash: in.Hash,
				Message: fmt.Sprintf("the outcome sets object %q, which is not one of the step's object_keys", key)}
		} else if key, why := in.unread(r); why != nil {
			in.Invalid = true
			in.Fail = &replay.AttemptError{Code: failure.TaskUnreadable, Final: true, Hash: in.Hash,
				Message: fmt.Sprintf("the outcome sets object %q, whose state is damaged in the journal (%v): \"agnt5d objects delete\" removes that", key, why)}
		}
	}
	r.meters.answered(run, c.Step, slot, r.now.Wall, in.Fail == nil)
	if in.Fail != nil {
		t.Fail(c.Step, c.Attempt, *in.Fail)
		if in.Invalid {
			in.answer(r, Invalid, false)
			return
		}
	} else {
		r.number(in.Objects, run.S.At(c.Step).Fence)
		t.Complete(c.Step, c.Attempt, in.Output, in.Objects, in.Hash)
	}
	in.answer(r, Recorded, false)
}

// repeats answers an outcome of an attempt that nobody waits for.
func (in *Outcome) repeats(r *Shard, run *Run, result Result) {
	c := in.claim()
	look := false
	if !run.S.Hurt && in.Slot == nil { // it may not know its own; and nobody sends an outcome of this process again
		switch run.S.MatchOutcome(c.Step, c.Attempt, c.Boot, in.Hash) {
		case replay.Same:
			result = Duplicate
		case replay.Other:
			result = Conflict
		case replay.Alien:
			result = BadToken
		default:
			look = true
		}
	}
	if look {
		in.Last = run.S.LastSeq
	}
	in.answer(r, result, look)
}

// unwanted is the result for an attempt that nobody waits for.
func unwanted(run *Run, i replay.Instance) Result {
	if s := run.S; !s.Status.Live() || s.Status == replay.Finishing && !s.KnowsFate(i) {
		return RunFinished
	}
	return StaleLease
}

// foreign gives an object that the outcome sets and the step does not hold.
func (in *Outcome) foreign(run *Run, step int32) (string, bool) {
	for _, o := range in.Objects {
		if !slices.Contains(run.S.Keys(step), o.Key) {
			return o.Key, true
		}
	}
	return "", false
}

// unread gives an object that the outcome writes and of which the journal cannot say how often it was written.
func (in *Outcome) unread(r *Shard) (key string, why error) {
	for i := range in.Objects {
		o := &in.Objects[i]
		if _, known := r.versions[o.Key]; known {
			continue
		}
		var damage *journal.DamageError
		if row, told := r.needs.objects.row(o.Key); told && errors.As(*row, &damage) {
			return o.Key, damage
		}
	}
	return "", nil
}

// number gives each write the key's next version.
func (r *Shard) number(writes []event.ObjectWrite, fence uint64) {
	for i := range writes {
		o := &writes[i]
		v, ok := r.versions[o.Key]
		if !ok {
			err := errNotRead
			if why, told := r.needs.objects.row(o.Key); told {
				err = *why
			}
			r.fail(fmt.Errorf("object %q: %w", o.Key, err))
			return
		}
		o.Version, o.Fence = v.n+1, fence
		if string(o.State) == "null" {
			o.State = nil
		}
	}
}

// journalStart puts the fact that the attempt started in front of what follows.
func (r *Shard) journalStart(run *Run, slot *leases.Slot, t *replay.Turn) {
	if slot.Journaled {
		return
	}
	slot.Journaled = true
	run.leased--
	name := slot.Worker
	if slot.Local {
		name = ""
	}
	t.Started(slot.Step, slot.Attempt, name, slot.StartedAt, slot.Local)
}

// flushStarts journals every start of the run that the journal does not know. The turn calls it by itself in front of whatever
// stops the run.
func (r *Shard) flushStarts(t *replay.Turn) {
	run := r.folding
	if run.leased == 0 {
		return
	}
	for i, st := range run.S.All() {
		if st.State != replay.StepScheduled {
			continue
		}
		if slot := r.Hub.Slot(run.S.Run, i); slot != nil && slot.State == leases.Leased && slot.Attempt == st.Attempt {
			r.journalStart(run, slot, t)
		}
	}
}

// started is a start that found no record to ride on.
type started struct{ slot *leases.Slot }

func (f started) fold(r *Shard, run *Run, t *replay.Turn) {
	st := run.S.At(f.slot.Step)
	if f.slot.State == leases.Leased && !f.slot.Journaled && run.S.Status.Live() &&
		st != nil && st.State == replay.StepScheduled && st.Attempt == f.slot.Attempt {
		r.journalStart(run, f.slot, t)
	}
}

// takeStarts journals the careful starts, which are handed out afterwards, and those that have waited long enough.
func (r *Shard) takeStarts() {
	for _, slot := range r.grants {
		if run, _ := r.run(slot.Run); run != nil {
			r.give(run, started{slot})
			r.b.handout = append(r.b.handout, slot)
		}
	}
	r.grants = r.grants[:0]
	for r.first < len(r.starts) {
		slot := r.starts[r.first]
		if slot.State == leases.Leased && !slot.Journaled {
			if slot.StartedMono+startWithin > r.now.Mono {
				break
			}
			if run, _ := r.run(slot.Run); run != nil {
				r.give(run, started{slot})
			}
		}
		r.starts[r.first] = nil
		r.first++
	}
	if r.first > 1024 && r.first*2 > len(r.starts) {
		n := copy(r.starts, r.starts[r.first:])
		clear(r.starts[n:])
		r.starts, r.first = r.starts[:n], 0
	}
}

// expired is a lease whose time is over.
type expired struct {
	slot *leases.Slot
	why  leases.Why
}

func (r *Shard) takeExpired() {
	r.Hub.Expire(r.now.Mono, func(s *leases.Slot, why leases.Why) {
		run, err := r.run(s.Run)
		if err != nil || run == nil {
			r.Hub.Release(s)
			return
		}
		r.give(run, expired{s, why})
	})
}

func (f expired) fold(r *Shard, run *Run, t *replay.Turn) {
	s := f.slot
	if out, ok := run.S.Out(s.Step); ok && out.Attempt == s.Attempt {
		t.Ended(s.Step, s.Attempt)
		r.b.release = append(r.b.release, s)
		return
	}
	if s.State != leases.Leased || !run.S.UnderWay(s.Step, s.Attempt) {
		r.Hub.Answer(s)
		r.b.release = append(r.b.release, s)
		return
	}
	r.journalStart(run, s, t)
	r.Hub.GiveUp(s)
	r.b.release = append(r.b.release, s)
	switch f.why {
	case leases.LeaseExpired:
		t.Lose(s.Step, s.Attempt, failure.LeaseExpired)
	case leases.AttemptTimeout:
		why := fmt.Sprintf("the attempt took longer than its timeout_ms of %d", s.TimeoutMS)
		r.b.cancels = append(r.b.cancels, cancelled{s, why})
		r.meters.answered(run, s.Step, s, r.now.Wall, false)
		t.Fail(s.Step, s.Attempt, replay.AttemptError{Code: failure.AttemptTimeout, Message: why})
	case leases.HeartbeatTimeout:
		why := fmt.Sprintf("no heartbeat for heartbeat_timeout_ms of %d", s.BeatMS)
		r.b.cancels = append(r.b.cancels, cancelled{s, why})
		r.meters.answered(run, s.Step, s, r.now.Wall, false)
		t.Fail(s.Step, s.Attempt, replay.AttemptError{Code: failure.HeartbeatTimeout, Message: why})
	}
}

// lost is an attempt whose session has left.
type lost struct {
	step    int32
	attempt uint32
	why     string
}

func (f lost) fold(r *Shard, run *Run, t *replay.Turn) {
	if out, ok := run.S.Out(f.step); ok && out.Attempt == f.attempt {
		t.Ended(f.step, f.attempt)
		return
	}
	if run.S.UnderWay(f.step, f.attempt) {
		t.Lose(f.step, f.attempt, f.why)
	}
}
