package shard

import (
	"slices"

	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
)

// answerBytes is where an answer to a poll stops taking tasks.
const answerBytes = 8 << 20

// remote is what the shard keeps of a session on the other side of a connection.
type remote struct {
	wait      *Poll // the poll that waits for tasks
	until     int64 // monotonic ms: when it is answered though there is nothing
	tasks     []*Spec
	bytes     uint64
	cancelled []worker.Token
	seq       uint64 // of the last poll for tasks
	answered  bool   // that one has its answer
	answer    PollAnswer
}

func remoteOf(s *worker.Session) *remote {
	m, _ := s.Data.(*remote)
	return m
}

// Join opens a session of a worker.
type Join struct {
	ID       string
	Service  string
	Version  string
	Handlers []string
	Capacity int
	Tokens   []worker.Token // attempts that it still works on
	Reply    func(lost []worker.Token, err error)
}

func (in *Join) refuse(err error) { in.Reply(nil, err) }

func (in *Join) admit(r *Shard) {
	if old := r.Hub.Session(in.ID); old != nil {
		if old.Local {
			in.refuse(refusal.ErrWorkerNotFound)
			return
		}
		r.leave(old, failure.WorkerCameBack, in.Tokens)
	}
	s := &worker.Session{ID: in.ID, Service: in.Service, Version: in.Version, Capacity: in.Capacity, LastSeen: r.now.Mono, JoinedAt: r.now.Wall, Data: &remote{}}
	for _, h := range in.Handlers {
		s.Handlers = append(s.Handlers, r.Hub.Handler(in.Service, h))
	}
	r.Hub.Join(s)
	r.heard(in.ID)
	r.sweep(r.now.Mono + r.cfg.LeaseMS)
	var gone []worker.Token
	named := map[uint64]map[int32]bool{}
	for _, t := range in.Tokens {
		slot := r.Hub.Slot(t.Run, t.Step)
		if slot == nil || slot.State == worker.Queued || slot.State == worker.Cancelled || !holds(slot, t) {
			if !r.adoptUnjournaled(t, s) {
				gone = append(gone, t)
			}
			continue
		}
		if named[t.Run] == nil {
			named[t.Run] = map[int32]bool{}
		}
		named[t.Run][t.Step] = true
		if slot.State == worker.Leased { // else its outcome is on the way to the journal: it takes no room any more
			r.Hub.Adopt(slot, s, r.now.Mono)
		}
	}
	// Whatever else the worker was given before is offered to others at once: it does not know of it.
	for _, slot := range r.Hub.Leases() {
		if slot.Worker == in.ID && slot.Session == nil && slot.State == worker.Leased && !named[slot.Run][slot.Step] {
			r.lose(slot, failure.WorkerCameBack)
		}
	}
	r.whenDurable(func(err error) { in.Reply(gone, err) })
}

// adoptUnjournaled takes a token of this worker whose attempt started before a restart, so shortly that the journal does
// not know: if the step is still to be offered, the worker has it.
func (r *Shard) adoptUnjournaled(t worker.Token, s *worker.Session) bool {
	run, err := r.run(t.Run)
	if err != nil || run == nil || run.S.Status != replay.Running {
		return false
	}
	st := run.S.At(t.Step)
	if st == nil || st.State != replay.StepScheduled || st.Attempt != t.Attempt || st.Boot != t.Boot || !r.Hub.Withdraw(t.Run, t.Step) {
		return false
	}
	slot := r.Hub.Restore(r.restored(run, t.Step, t.Attempt, t.Boot, s.ID, worker.Leased), r.now.Mono, r.cfg.LeaseMS)
	slot.Journaled, slot.StartedMono, slot.StartedAt = false, r.now.Mono, r.now.Wall
	run.leased++
	r.starts = append(r.starts, slot)
	r.Hub.Adopt(slot, s, r.now.Mono)
	return true
}

// holds says whether the slot is the attempt that the token was made for, in the hands of its worker.
func holds(slot *worker.Slot, t worker.Token) bool {
	return slot.Attempt == t.Attempt && slot.Boot == t.Boot && slot.Worker == t.Worker
}

// lose journals that an attempt was lost, and gives its slot back.
func (r *Shard) lose(slot *worker.Slot, why string) {
	run, err := r.run(slot.Run)
	if err != nil || run == nil {
		r.Hub.Release(slot)
		return
	}
	r.give(run, lostSlot{slot, why})
}

// lostSlot is a lease whose session has left.
type lostSlot struct {
	slot *worker.Slot
	why  string
}

func (f lostSlot) fold(r *Shard, run *Run, t *replay.Turn) {
	s := f.slot
	if s.State != worker.Leased && s.State != worker.Cancelled {
		return
	}
	if s.State == worker.Leased && !s.Journaled {
		st := run.S.At(s.Step)
		if run.S.Status == replay.Running && st.State == replay.StepScheduled && st.Attempt == s.Attempt {
			r.journalStart(run, s, t)
		}
	}
	r.Hub.Answer(s)
	r.b.release = append(r.b.release, s)
	lost{s.Step, s.Attempt, f.why}.fold(r, run, t)
}

// leave closes a session. What it had, but for the tokens that it still names, is offered to others.
func (r *Shard) leave(s *worker.Session, why string, but []worker.Token) {
	m := remoteOf(s)
	if m != nil && m.wait != nil {
		m.wait.Reply(PollAnswer{}, refusal.ErrWorkerNotFound)
		m.wait = nil
	}
	keep := make(map[worker.Token]bool, len(but))
	for _, t := range but {
		keep[worker.Token{Run: t.Run, Step: t.Step, Attempt: t.Attempt, Boot: t.Boot}] = true
	}
	for _, slot := range r.Hub.Leave(s) {
		if !keep[worker.Token{Run: slot.Run, Step: slot.Step, Attempt: slot.Attempt, Boot: slot.Boot}] {
			r.lose(slot, why)
		}
	}
}

// Known asks whether there is a session of that worker.
type Known struct {
	ID    string
	Reply func(error) // refusal.ErrWorkerNotFound: there is none
}

func (in *Known) refuse(err error) { in.Reply(err) }
func (in *Known) reads()           {}

func (in *Known) admit(r *Shard) {
	if s := r.Hub.Session(in.ID); s == nil || s.Local {
		in.Reply(refusal.ErrWorkerNotFound)
		return
	}
	in.Reply(nil)
}

// Leave closes a worker's session: its open tasks are offered to others at once.
type Leave struct {
	ID    string
	Reply func(error)
}

func (in *Leave) refuse(err error) { in.Reply(err) }

func (in *Leave) admit(r *Shard) {
	s := r.Hub.Session(in.ID)
	if s == nil || s.Local {
		in.refuse(refusal.ErrWorkerNotFound)
		return
	}
	r.leave(s, failure.WorkerLeft, nil)
	r.whenDurable(in.Reply)
}

// Poll brings outcomes and asks for tasks, in one call.
type Poll struct {
	ID       string
	Seq      uint64 // of a poll for tasks; 0: none
	Max      int    // tasks wanted
	WaitMS   int64
	Outcomes []*Outcome // Reply is the Poll's own to set
	Reply    func(PollAnswer, error)

	open    int
	results []PollResult
	err     error
	durable bool // every outcome is: answer with what there is
}

// PollAnswer is what a worker gets.
type PollAnswer struct {
	Tasks     []*Spec
	Results   []PollResult
	Cancelled []worker.Token
}

// PollResult is the result of one outcome. Look: see Outcome.Reply.
type PollResult struct {
	Result Result
	Look   bool
}

func (in *Poll) refuse(err error) { in.Reply(PollAnswer{}, err) }

func (in *Poll) admit(r *Shard) {
	s := r.Hub.Session(in.ID)
	m := (*remote)(nil)
	if s != nil {
		m = remoteOf(s)
	}
	if m == nil {
		in.refuse(refusal.ErrWorkerNotFound)
		return
	}
	s.LastSeen = r.now.Mono
	if in.Seq != 0 && in.Seq == m.seq { // asked again: the answer got lost, or its connection did
		if m.answered {
			in.repeat(r, s, m)
			return
		}
		m.supersede()
	}
	if in.Seq < m.seq { // a late copy of an earlier poll: it brings its outcomes, and takes nothing from the one that waits
		in.Max = 0
	}
	in.admitOutcomes(r, func() { in.recorded(r) })
	if in.Max <= 0 {
		if len(in.Outcomes) == 0 {
			r.whenDurable(func(err error) { in.recorded(r) })
		}
		return
	}
	m.supersede() // a session waits for tasks once
	m.seq, m.answered, m.answer = in.Seq, false, PollAnswer{}
	m.wait, m.until = in, r.now.Mono+in.WaitMS
	if in.WaitMS > 0 { // else it is answered in this turn, or when its outcomes are durable
		r.sweep(m.until)
	}
	if len(in.Outcomes) == 0 {
		r.whenDurable(func(error) { r.want(s, m) })
	}
}

// admitFull is admit while the disk is full: an outcome that was recorded before gets its result, and there are no tasks.
func (in *Poll) admitFull(r *Shard) {
	if s := r.Hub.Session(in.ID); s == nil || remoteOf(s) == nil || len(in.Outcomes) == 0 {
		in.refuse(refusal.ErrDiskFull)
		return
	}
	in.Max = 0
	in.admitOutcomes(r, func() { in.recorded(r) })
}

// supersede takes the right to tasks from the poll that waits. It is answered now, or when its outcomes are durable.
func (m *remote) supersede() {
	old := m.wait
	if old == nil {
		return
	}
	m.wait = nil
	if len(old.Outcomes) > 0 && !old.durable {
		old.Max = 0
		return
	}
	old.Reply(PollAnswer{Results: old.results}, nil)
}

// Unpoll says that nobody waits for the answer of a poll any more: its connection is gone. Tasks that were given to it
// already stay under their leases, for the same seq asked again.
type Unpoll struct {
	Poll *Poll
}

func (in *Unpoll) reads() {}

func (in *Unpoll) admit(r *Shard) {
	s := r.Hub.Session(in.Poll.ID)
	if s == nil {
		return
	}
	m := remoteOf(s)
	if m == nil || m.wait != in.Poll {
		return
	}
	m.wait = nil
	s.Wants = 0
	s.LastSeen = r.now.Mono
	r.sweep(r.now.Mono + r.cfg.LeaseMS)
}

// repeat gives the answer to the same poll again, but for tasks whose lease is over; its outcomes, if it has any, are looked at anew.
func (in *Poll) repeat(r *Shard, s *worker.Session, m *remote) {
	answer := m.answer
	answer.Tasks = held(s, slices.Clone(answer.Tasks))
	answer.Results = nil
	if len(in.Outcomes) == 0 {
		r.whenDurable(func(err error) { in.Reply(answer, err) })
		return
	}
	in.admitOutcomes(r, func() {
		answer.Results = in.results
		in.Reply(answer, in.err)
	})
}

// admitOutcomes admits the outcomes that the poll brings; all is called when each has its result.
func (in *Poll) admitOutcomes(r *Shard, all func()) {
	in.results = make([]PollResult, len(in.Outcomes))
	in.open = len(in.Outcomes)
	for i, o := range in.Outcomes {
		o.Reply = func(res Result, look bool, err error) {
			in.results[i] = PollResult{res, look}
			if err != nil {
				in.err = err
			}
			if in.open--; in.open == 0 {
				all()
			}
		}
		o.admit(r)
	}
}

// recorded is called when every outcome of the poll is durable, or refused.
func (in *Poll) recorded(r *Shard) {
	s := r.Hub.Session(in.ID)
	if in.err != nil || s == nil || in.Max <= 0 {
		if s != nil && remoteOf(s).wait == in {
			remoteOf(s).wait = nil
			s.Wants = 0
		}
		in.Reply(PollAnswer{Results: in.results}, in.err)
		return
	}
	in.durable = true
	r.want(s, remoteOf(s))
}

// want lets a session whose poll waits take tasks.
func (r *Shard) want(s *worker.Session, m *remote) {
	if m.wait == nil {
		return
	}
	r.Hub.Want(s, m.wait.Max-len(m.tasks)) // some may be left of a poll that was given up
	r.answers = append(r.answers, s)
}

// deliver puts a task into the answer of the session's poll.
func (r *Shard) deliver(s *worker.Session, spec *Spec) {
	m := remoteOf(s)
	m.tasks = append(m.tasks, spec)
	m.bytes += uint64(spec.Input.Len)
	for _, d := range spec.Deps {
		m.bytes += uint64(d.Output.Len)
	}
	if m.bytes > answerBytes {
		s.Wants = 0
	}
	r.answers = append(r.answers, s)
}

// tellCancelled tells the worker that nobody waits for the attempt any more.
func (r *Shard) tellCancelled(slot *worker.Slot) {
	s := slot.Session
	if s == nil {
		s = r.Hub.Session(slot.Worker)
	}
	if s == nil {
		return
	}
	if m := remoteOf(s); m != nil {
		m.cancelled = append(m.cancelled, worker.Token{Run: slot.Run, Step: slot.Step, Attempt: slot.Attempt, Boot: slot.Boot, Worker: slot.Worker})
		r.answers = append(r.answers, s)
	}
}

// answerPolls answers each waiting poll that has something to say, or must not wait any longer.
func (r *Shard) answerPolls() {
	for _, s := range r.answers {
		m := remoteOf(s)
		if m == nil || m.wait == nil {
			continue
		}
		in := m.wait
		if len(in.Outcomes) > 0 && !in.durable {
			continue
		}
		if len(m.tasks) == 0 && len(m.cancelled) == 0 && !in.durable && in.WaitMS > 0 {
			continue
		}
		r.answer(s, m)
	}
	clear(r.answers)
	r.answers = r.answers[:0]
}

func (r *Shard) answer(s *worker.Session, m *remote) {
	in := m.wait
	a := PollAnswer{Tasks: held(s, m.tasks), Results: in.results, Cancelled: m.cancelled}
	m.wait, m.tasks, m.bytes, m.cancelled = nil, nil, 0, nil
	m.answered, m.answer = true, a
	s.Wants = 0
	in.Reply(a, nil)
}

// held leaves out what the session does not have any more: a task may wait for a poll that asks again for longer than its
// lease lasts.
func held(s *worker.Session, tasks []*Spec) []*Spec {
	return slices.DeleteFunc(tasks, func(spec *Spec) bool {
		return spec.Slot.State != worker.Leased || spec.Slot.Attempt != spec.Attempt || spec.Slot.Session != s
	})
}

// takeWaits answers the polls that have waited long enough, and closes sessions that have not been heard of.
func (r *Shard) takeWaits() {
	if r.sweepAt > r.now.Mono {
		return
	}
	r.sweepAt = 0
	for _, s := range r.Hub.Sessions() {
		m := remoteOf(s)
		if m == nil {
			continue
		}
		if m.wait != nil {
			s.LastSeen = r.now.Mono
			if m.until <= r.now.Mono && (len(m.wait.Outcomes) == 0 || m.wait.durable) {
				in := m.wait
				r.whenDurable(func(error) {
					if m.wait == in {
						r.answer(s, m)
					}
				})
				continue
			}
			r.sweep(max(m.until, r.now.Mono+100)) // one whose outcomes are on their way is answered when they are durable
			continue
		}
		if over := s.LastSeen + r.cfg.LeaseMS; over <= r.now.Mono {
			r.leave(s, failure.WorkerSilent, nil)
		} else {
			r.sweep(over)
		}
	}
}

func (r *Shard) sweep(at int64) {
	if r.sweepAt == 0 || at < r.sweepAt {
		r.sweepAt = at
	}
}

// Waiting says whether a poll of the session waits for tasks.
func Waiting(s *worker.Session) bool {
	m := remoteOf(s)
	return m != nil && m.wait != nil
}

// Beat is a worker's sign of life for some of its attempts.
type Beat struct {
	ID     string
	Tokens []BeatToken
	Reply  func(gone []worker.Token, err error)
}

// BeatToken is one attempt of a Beat. Own: the handler itself spoke.
type BeatToken struct {
	worker.Token
	Own     bool
	Details []byte
}

func (in *Beat) refuse(err error) { in.Reply(nil, err) }
func (in *Beat) reads()           {}

func (in *Beat) admit(r *Shard) {
	s := r.Hub.Session(in.ID)
	if s == nil || s.Local {
		in.refuse(refusal.ErrWorkerNotFound)
		return
	}
	s.LastSeen = r.now.Mono
	var gone []worker.Token
	for _, t := range in.Tokens {
		slot := r.Hub.Slot(t.Run, t.Step)
		if slot == nil || slot.State == worker.Queued || !holds(slot, t.Token) {
			gone = append(gone, t.Token)
			continue
		}
		r.Hub.Beat(slot, r.now.Mono, t.Own, t.Details)
		if slot.State == worker.Cancelled {
			gone = append(gone, t.Token)
		}
	}
	r.tell(in, func(err error) { in.Reply(gone, err) })
}
