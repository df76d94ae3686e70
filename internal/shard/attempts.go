package shard

import (
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
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
	Slot    *worker.Slot // in process; nil: Token names the attempt
	Token   worker.Token
	Output  []byte
	Objects []event.ObjectWrite
	Fail    *replay.AttemptError // nil: completed
	Invalid bool                 // Fail says why the outcome itself was no good
	Hash    uint64               // of the outcome as it was sent; 0 in process
	// Reply is called when the result is durable. look says that the attempt is one of before: the run's history decides then
	// whether the token was made for it (BadToken), and whether an outcome of it was recorded (Duplicate, Conflict); if neither,
	// the result given stands.
	Reply func(result Result, look bool, err error)
	// Last is the run's last sequence when Reply says look; 0: its head knows.
	Last uint64
}

func (in *Outcome) refuse(err error) {
	if in.Reply != nil {
		in.Reply("", false, err)
	}
}

func (in *Outcome) key() (run uint64, step int32, attempt uint32, boot uint64) {
	if in.Slot != nil {
		return in.Slot.Run, in.Slot.Step, in.Slot.Attempt, in.Slot.Boot
	}
	return in.Token.Run, in.Token.Step, in.Token.Attempt, in.Token.Boot
}

func (in *Outcome) admit(r *Shard) {
	number, step, _, _ := in.key()
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
		if in.Slot != nil && (in.Slot.State == worker.Leased || in.Slot.State == worker.Cancelled) {
			r.b.release = append(r.b.release, in.Slot)
		}
		in.answer(r, RunFinished, true)
		return
	}
	if st := run.S.At(step); st == nil && run.S.Dropped(step) {
		in.answer(r, in.late(run), true)
		return
	} else if st == nil {
		in.answer(r, BadToken, false)
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
	_, step, attempt, boot := in.key()
	// A damaged run may not know its own tokens. That it is damaged may be a fact of this very turn, which stands in front.
	if !run.S.Hurt && run.S.At(step).Alien(attempt, boot) {
		in.answer(r, BadToken, false)
		return
	}
	slot := r.Hub.Slot(run.S.Run, step)
	if out, ok := run.S.Out(step); ok && out.Attempt == attempt && out.Boot == boot { // its run ended meanwhile: it only gives back its keys
		if r.noRoom(in) {
			return
		}
		t.Ended(step, attempt)
		if slot != nil && slot.Attempt == attempt && (slot.State == worker.Cancelled || slot.State == worker.Leased) {
			r.b.release = append(r.b.release, slot)
		}
		in.answer(r, in.late(run), false)
		return
	}
	if !in.good(run, slot, step, attempt, boot) {
		if in.from(slot) && (slot.State == worker.Leased || slot.State == worker.Cancelled) { // the handler has returned, and nobody wants its answer
			r.Hub.Answer(slot)
			r.b.release = append(r.b.release, slot)
		}
		late := in.late(run)
		r.atEnd(func() { // the outcome that was first may stand in this very turn
			in.Last = run.S.LastSeq
			in.answer(r, late, !run.S.Hurt)
		})
		return
	}
	if r.noRoom(in) {
		return
	}
	st := run.S.At(step)
	worked := in.Token.Worker
	if slot != nil && slot.State == worker.Leased {
		r.journalStart(run, slot, t)
		r.Hub.Answer(slot)
		r.b.release = append(r.b.release, slot)
	} else if st.State == replay.StepScheduled && st.Attempt == attempt { // given out before a restart, its start not journaled
		r.Hub.Withdraw(run.S.Run, step)
		t.Started(step, attempt, worked, r.now.Wall, false)
	} else { // a lost attempt that answers before the step was given to another
		r.Hub.Withdraw(run.S.Run, step)
		if slot != nil && slot.State != worker.Queued {
			r.b.release = append(r.b.release, slot)
		}
	}
	if in.Fail == nil {
		if key, ok := in.foreign(run, step); ok {
			in.Invalid = true
			in.Fail = &replay.AttemptError{Code: "object_not_held", Final: true, Hash: in.Hash,
				Message: fmt.Sprintf("the outcome sets object %q, which is not one of the step's object_keys", key)}
		}
	}
	r.meters.answered(run, step, slot, r.now.Wall, in.Fail == nil)
	if in.Fail != nil {
		t.Fail(step, attempt, *in.Fail)
		if in.Invalid {
			in.answer(r, Invalid, false)
			return
		}
	} else {
		r.number(in.Objects, st.Fence)
		t.Complete(step, attempt, in.Output, in.Objects, in.Hash)
	}
	in.answer(r, Recorded, false)
}

// from says whether the outcome is that of the attempt which has the slot.
func (in *Outcome) from(slot *worker.Slot) bool {
	switch {
	case slot == nil:
		return false
	case in.Slot != nil:
		return in.Slot == slot
	}
	return holds(slot, in.Token)
}

// late is the result for an attempt that nobody waits for.
func (in *Outcome) late(run *Run) Result {
	if run.S.Status != replay.Running {
		return RunFinished
	}
	return StaleLease
}

// good says whether the attempt may still settle its step: it has the lease; or its step was not given to another since,
// and no outcome of it was recorded.
func (in *Outcome) good(run *Run, slot *worker.Slot, step int32, attempt uint32, boot uint64) bool {
	st := run.S.At(step)
	if run.S.Status != replay.Running || !st.Answers(attempt, boot, in.Token.Worker) {
		return false
	}
	if st.State != replay.StepScheduled && st.State != replay.StepRunning {
		return false
	}
	if slot != nil && slot.State != worker.Queued {
		if in.Slot != nil {
			return slot == in.Slot && slot.State == worker.Leased && slot.Attempt == attempt
		}
		return slot.State == worker.Leased && holds(slot, in.Token)
	}
	if in.Slot != nil {
		return false
	}
	return st.State == replay.StepScheduled
}

// foreign gives an object that the outcome sets and the step does not hold.
func (in *Outcome) foreign(run *Run, step int32) (string, bool) {
next:
	for _, o := range in.Objects {
		for _, k := range run.S.Spec(step).ObjectKeys {
			if k == o.Key {
				continue next
			}
		}
		return o.Key, true
	}
	return "", false
}

// number gives each write the key's next version.
func (r *Shard) number(writes []event.ObjectWrite, fence uint64) {
	for i := range writes {
		o := &writes[i]
		v, ok := r.versions[o.Key]
		if !ok {
			row, _, err := r.j.Object(o.Key)
			if err != nil {
				r.fail(err)
				return
			}
			v = row.Version
		}
		o.Version, o.Fence = v+1, fence
		if string(o.State) == "null" {
			o.State = nil
		}
		if o.State == nil {
			r.versions[o.Key] = 0
		} else {
			r.versions[o.Key] = o.Version
		}
	}
}

// journalStart puts the fact that the attempt started in front of what follows.
func (r *Shard) journalStart(run *Run, slot *worker.Slot, t *replay.Turn) {
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
		if slot := r.Hub.Slot(run.S.Run, i); slot != nil && slot.State == worker.Leased && slot.Attempt == st.Attempt {
			r.journalStart(run, slot, t)
		}
	}
}

// started is a start that found no record to ride on.
type started struct{ slot *worker.Slot }

func (f started) fold(r *Shard, run *Run, t *replay.Turn) {
	st := run.S.At(f.slot.Step)
	if f.slot.State == worker.Leased && !f.slot.Journaled && run.S.Status == replay.Running &&
		st.State == replay.StepScheduled && st.Attempt == f.slot.Attempt {
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
		if slot.State == worker.Leased && !slot.Journaled {
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
	slot *worker.Slot
	why  worker.Why
}

func (r *Shard) takeExpired() {
	r.Hub.Expire(r.now.Mono, func(s *worker.Slot, why worker.Why) {
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
	st := run.S.At(s.Step)
	if s.State != worker.Leased || run.S.Status != replay.Running || st.Attempt != s.Attempt ||
		(st.State != replay.StepScheduled && st.State != replay.StepRunning) {
		r.Hub.Answer(s)
		r.b.release = append(r.b.release, s)
		return
	}
	r.journalStart(run, s, t)
	why := "the attempt was lost"
	switch f.why {
	case worker.LeaseExpired:
		r.b.release = append(r.b.release, s)
		r.Hub.Answer(s)
		t.Lose(s.Step, s.Attempt, "lease_expired")
	case worker.AttemptTimeout:
		why = fmt.Sprintf("the attempt took longer than its timeout_ms of %d", s.TimeoutMS)
		r.b.release = append(r.b.release, s)
		r.b.cancels = append(r.b.cancels, cancelled{s, why})
		r.Hub.Answer(s)
		r.meters.answered(run, s.Step, s, r.now.Wall, false)
		t.Fail(s.Step, s.Attempt, replay.AttemptError{Code: "attempt_timeout", Message: why})
	case worker.HeartbeatTimeout:
		why = fmt.Sprintf("no heartbeat for heartbeat_timeout_ms of %d", s.BeatMS)
		r.b.release = append(r.b.release, s)
		r.b.cancels = append(r.b.cancels, cancelled{s, why})
		r.Hub.Answer(s)
		r.meters.answered(run, s.Step, s, r.now.Wall, false)
		t.Fail(s.Step, s.Attempt, replay.AttemptError{Code: "heartbeat_timeout", Message: why})
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
	st := run.S.At(f.step)
	if run.S.Status == replay.Running && st.Attempt == f.attempt && (st.State == replay.StepScheduled || st.State == replay.StepRunning) {
		t.Lose(f.step, f.attempt, f.why)
	}
}
