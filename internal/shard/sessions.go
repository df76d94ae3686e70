package shard

import (
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
)

// Host is what the shard has of the workers and of this process: package hub. What it is told may arrive later, in order.
type Host interface {
	leases.Host
	// Given says that the session was given the slot, as it asked, and whether the handler has more offers. spec is what it is to
	// do; nil: in this process Execute does it, and elsewhere Handed follows when the start is on disk.
	Given(s *leases.Session, slot *leases.Slot, spec *Spec, more bool)
	// Handed brings what the slot is to do, of which its session, elsewhere, knows since Given.
	Handed(s *leases.Session, slot *leases.Slot, spec *Spec)
	// Cancelled says that nobody waits for the attempt any more. The session is the one that has it; nil: its worker has yet to
	// come back.
	Cancelled(*leases.Session, *leases.Slot, leases.Token)
	// Full says that the disk is full, or has space again.
	Full(bool)
}

// Lend gives one of the handler's offers to a session, or says that there is none. It may be called between turns, too.
func (r *Shard) Lend(f *leases.Handler, s *leases.Session) {
	slot := r.Hub.Take(f, s, r.now.Mono, r.now.Wall)
	if slot == nil {
		return
	}
	more := f.Queued() > 0
	run := r.runs[slot.Run]
	if run == nil { // an offer outlives its run only by a mistake of ours
		r.cfg.Host.Given(s, slot, nil, more)
		r.Hub.Release(slot)
		return
	}
	slot.StartedMono = r.now.Mono
	run.leased++
	r.meters.started(run, slot)
	keyed := len(run.S.Keys(slot.Step)) > 0
	switch {
	case s.Local && slot.Careful, !s.Local && keyed, run.S.StartCounts(slot.Step): // its start comes first
		r.grants = append(r.grants, slot)
		r.cfg.Host.Given(s, slot, nil, more)
	case !s.Local:
		slot.Given = true
		r.starts = append(r.starts, slot)
		r.cfg.Host.Given(s, slot, r.spec(run, slot), more)
	default:
		r.starts = append(r.starts, slot)
		r.cfg.Host.Given(s, slot, nil, more)
		r.handOut(slot)
	}
}

// Lend is Lend as an input, for a hub on another goroutine.
type Lend struct {
	Handler *leases.Handler
	Session *leases.Session
}

func (in *Lend) reads()         {}
func (in *Lend) admit(r *Shard) { r.Lend(in.Handler, in.Session) }

// Adopt says that a worker has opened a session. The leases that it names are of that session from then on; whatever else it was
// given before is offered to others at once: it does not know of it.
type Adopt struct {
	Only    string // the one service whose attempts the worker may have; "": any
	Session *leases.Session
	Before  *leases.Session // of the same worker, which ends; nil: there was none
	Tokens  []leases.Token  // attempts that it still works on
	Reply   func(gone []leases.Token, err error)
}

func (in *Adopt) refuse(err error) { in.Reply(nil, err) }

func (in *Adopt) admit(r *Shard) {
	if in.Before != nil {
		r.lost(in.Before, failure.WorkerCameBack, in.Tokens)
	}
	r.heard(in.Session.ID)
	var gone []leases.Token
	named := map[uint64]map[int32]bool{}
	for _, t := range in.Tokens {
		if in.foreign(r, t) {
			gone = append(gone, t)
			continue
		}
		slot := r.Hub.Slot(t.Run, t.Step)
		if slot == nil || slot.State == leases.Queued || slot.State == leases.Cancelled || !holds(slot, t) {
			if !r.adoptUnjournaled(t, in.Session) {
				gone = append(gone, t)
			}
			continue
		}
		if named[t.Run] == nil {
			named[t.Run] = map[int32]bool{}
		}
		named[t.Run][t.Step] = true
		r.Hub.Adopt(slot, in.Session, r.now.Mono)
	}
	for _, slot := range r.Hub.Leases() { // it came back after a restart
		if slot.Worker == in.Session.ID && slot.Session == nil && slot.State == leases.Leased && !named[slot.Run][slot.Step] && (in.Only == "" || slot.Handler.Service == in.Only) {
			r.lose(slot, failure.WorkerCameBack)
		}
	}
	r.whenDurable(func(err error) { in.Reply(gone, err) })
}

// foreign says that the attempt is of another service than the worker may speak for.
func (in *Adopt) foreign(r *Shard, t leases.Token) bool {
	if in.Only == "" {
		return false
	}
	run, err := r.run(t.Run)
	return err == nil && run != nil && run.of(t.Step) != in.Only
}

// of is the service of a step; "": there is no such step.
func (run *Run) of(step int32) string {
	if run.S.At(step) == nil {
		return ""
	}
	return run.S.Spec(step).Service
}

// Gone says that a session has ended: its open tasks are offered to others at once.
type Gone struct {
	Session *leases.Session
	Why     string // a code of package failure
	Reply   func(error)
}

func (in *Gone) admit(r *Shard) {
	r.lost(in.Session, in.Why, nil)
	r.whenDurable(in.Reply)
}

// lost gives back what a session has, but for the tokens that its worker still names.
func (r *Shard) lost(s *leases.Session, why string, but []leases.Token) {
	keep := make(map[leases.Token]bool, len(but))
	for _, t := range but {
		keep[leases.Token{Run: t.Run, Step: t.Step, Attempt: t.Attempt, Boot: t.Boot}] = true
	}
	for _, slot := range r.Hub.Leases() {
		if slot.Session != s {
			continue
		}
		has := slot.State == leases.Leased || slot.State == leases.Cancelled
		if has && !keep[leases.Token{Run: slot.Run, Step: slot.Step, Attempt: slot.Attempt, Boot: slot.Boot}] {
			r.lose(slot, why)
		}
	}
}

// adoptUnjournaled takes a token of this worker whose attempt started before a restart, so shortly that the journal does
// not know: if the step is still to be offered, the worker has it. While its run is paused or held it is not offered.
func (r *Shard) adoptUnjournaled(t leases.Token, s *leases.Session) bool {
	run, err := r.run(t.Run)
	if err != nil || run == nil || !run.S.Status.Live() {
		return false
	}
	st := run.S.At(t.Step)
	if st == nil || st.State != replay.StepScheduled || st.Attempt != t.Attempt || st.Boot != t.Boot || !r.Hub.Withdraw(t.Run, t.Step) && (run.S.Pause == nil && !r.isHeld(t.Run) || r.Hub.Slot(t.Run, t.Step) != nil) {
		return false
	}
	slot := r.Hub.Restore(r.restored(run, t.Step, t.Attempt, t.Boot, s.ID, leases.Leased), r.now.Mono, r.cfg.LeaseMS, 0)
	slot.Journaled, slot.StartedMono, slot.StartedAt = false, r.now.Mono, r.now.Wall
	run.leased++
	r.starts = append(r.starts, slot)
	r.Hub.Adopt(slot, s, r.now.Mono)
	return true
}

// holds says whether the slot is the attempt that the token was made for, in the hands of its worker.
func holds(slot *leases.Slot, t leases.Token) bool {
	return slot.Attempt == t.Attempt && slot.Boot == t.Boot && slot.Worker == t.Worker
}

// lose journals that an attempt was lost, and gives its slot back.
func (r *Shard) lose(slot *leases.Slot, why string) {
	run, err := r.run(slot.Run)
	if err != nil || run == nil {
		r.Hub.Release(slot)
		return
	}
	r.give(run, lostSlot{slot, why})
}

// lostSlot is a lease whose session has left.
type lostSlot struct {
	slot *leases.Slot
	why  string
}

func (f lostSlot) fold(r *Shard, run *Run, t *replay.Turn) {
	s := f.slot
	if s.State != leases.Leased && s.State != leases.Cancelled {
		return
	}
	if s.State == leases.Leased && !s.Journaled {
		st := run.S.At(s.Step)
		if run.S.Status.Live() && st != nil && st.State == replay.StepScheduled && st.Attempt == s.Attempt {
			r.journalStart(run, s, t)
		}
	}
	r.Hub.GiveUp(s)
	r.b.release = append(r.b.release, s)
	lost{s.Step, s.Attempt, f.why}.fold(r, run, t)
}

// Beat is a worker's sign of life for some of its attempts.
type Beat struct {
	Tokens []BeatToken
	Reply  func(gone []leases.Token, err error)
}

// BeatToken is one attempt of a Beat. Own: the handler itself spoke.
type BeatToken struct {
	leases.Token
	Own     bool
	Details []byte
	Log     *worker.LogPart // what the handler wrote to its log; nil: nothing
}

func (in *Beat) refuse(err error) { in.Reply(nil, err) }
func (in *Beat) reads()           {}

func (in *Beat) admit(r *Shard) {
	var gone []leases.Token
	for _, t := range in.Tokens {
		slot := r.Hub.Slot(t.Run, t.Step)
		if slot == nil || slot.State == leases.Queued || !holds(slot, t.Token) {
			gone = append(gone, t.Token)
			continue
		}
		r.Hub.Beat(slot, r.now.Mono, t.Own, t.Details)
		r.said(t.Token, t.Log)
		if slot.State == leases.Cancelled {
			gone = append(gone, t.Token)
		}
	}
	r.tell(in, func(err error) { in.Reply(gone, err) })
}
