package hub

import (
	"slices"

	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
)

// Poll brings outcomes and asks for tasks, in one call.
type Poll struct {
	Only     string // see Join
	ID       string
	Seq      uint64 // of a poll for tasks; 0: none
	Max      int    // tasks wanted; 0: none, it only brings outcomes
	WaitMS   int64
	Outcomes []*shard.Outcome // Reply is the Poll's own to set
	Reply    func(PollAnswer, error)

	open    int // outcomes without a result
	results []PollResult
	err     error
}

// PollAnswer is what a worker gets.
type PollAnswer struct {
	Tasks     []*shard.Spec
	Results   []PollResult
	Cancelled []leases.Token
}

// PollResult is the result of one outcome. Look: see shard.Outcome.Reply.
type PollResult struct {
	Result shard.Result
	Look   bool
}

// answerBytes is where an answer to a poll stops taking tasks.
const answerBytes = 8 << 20

// exchange is what a session and the hub say to each other in polls for tasks, one after the other. It is
//
//	idle       nothing waits: there was no poll yet, or the last one was given up. Any seq is a new poll
//	settling   a poll waits until each outcome that it brought has its result
//	waiting    a poll waits for tasks
//	answered   the last poll has its answer: the same seq again gives the same
//
// and goes from one to the other in ask, settled, give, drop:
//
//	idle, answered      a new seq, with outcomes -> settling, without -> waiting
//	settling, waiting   any seq but a lower one: it takes the place of the poll that waits -> settling or waiting
//	settling            every outcome has its result -> waiting; one could not be recorded -> idle
//	waiting             a task, a cancelled attempt, or its time is over -> answered; its connection is gone -> idle
//	answered            the same seq -> answered, with the same tasks but those whose lease is over
//
// A poll with a lower seq is a late copy: it brings its outcomes, and takes nothing from the one that waits. Tasks that a poll
// was given up over wait for the next one, under their leases.
type exchange struct {
	state  state
	seq    uint64     // of the last poll for tasks
	poll   *Poll      // settling, waiting
	until  int64      // waiting: monotonic ms, when it is answered though there is nothing
	answer PollAnswer // answered

	tasks     []*shard.Spec // for the next answer
	bytes     uint64        // of their payloads
	cancelled []leases.Token
	listed    bool // in Hub.answers
}

type state uint8

const (
	idle state = iota
	settling
	waiting
	answered
)

// wants says whether the poll would take one task more, when so many are asked for.
func (x *exchange) wants(asked int) bool {
	return x.state == waiting && x.bytes <= answerBytes && len(x.tasks)+asked < x.poll.Max
}

// add puts a task into the next answer.
func (x *exchange) add(spec *shard.Spec) {
	x.tasks = append(x.tasks, spec)
	x.bytes += uint64(spec.Input.Len)
	for _, d := range spec.Deps {
		x.bytes += uint64(d.Output.Len)
	}
}

func (in *Poll) refuse(err error) { in.Reply(PollAnswer{}, err) }

func (in *Poll) admit(h *Hub) {
	s, err := h.own(in.ID, in.Only)
	if err != nil {
		in.refuse(err)
		return
	}
	if h.full > 0 && h.full == len(h.shards) { // what was recorded before gets its result, and there are no tasks
		if in.Max = 0; len(in.Outcomes) == 0 {
			in.refuse(refusal.ErrDiskFull)
			return
		}
	}
	s.LastSeen = h.now.Mono
	if len(s.overs) > 0 {
		for _, o := range in.Outcomes { // a handler that hung has returned
			delete(s.overs, o.Token)
		}
	}
	x := &s.talk
	switch {
	case in.Max <= 0 || in.Seq < x.seq:
		in.Max = 0
		in.settle(h, func() { in.Reply(PollAnswer{Results: in.results}, in.err) })
	case in.Seq == x.seq && x.state == answered:
		in.repeat(h, s)
	default:
		h.ask(s, in)
	}
}

// ask makes the poll the one that waits.
func (h *Hub) ask(s *Session, in *Poll) {
	x := &s.talk
	x.supersede()
	x.seq, x.poll, x.state, x.answer = in.Seq, in, settling, PollAnswer{}
	in.settle(h, func() { h.settled(s, in) })
}

// supersede takes the place of the poll that waits. It is answered without tasks: now, or when its outcomes have their results.
func (x *exchange) supersede() {
	old := x.poll
	if x.poll = nil; x.state == waiting {
		old.Reply(PollAnswer{Results: old.results}, nil)
	}
	x.state = idle
}

// settled is called when each outcome of a poll for tasks has its result.
func (h *Hub) settled(s *Session, in *Poll) {
	x := &s.talk
	switch {
	case x.poll != in: // another took its place, or nobody waits for it any more
		in.Reply(PollAnswer{Results: in.results}, in.err)
		return
	case in.err != nil:
		x.state, x.poll = idle, nil
		in.Reply(PollAnswer{Results: in.results}, in.err)
		return
	}
	x.state, x.until = waiting, h.now.Mono+in.WaitMS
	if len(in.Outcomes) > 0 { // its worker wants to know
		x.until = h.now.Mono
	}
	if x.until > h.now.Mono {
		h.look(x.until)
	}
	h.open(s)
	h.news(s)
}

// settle hands the outcomes that the poll brings to their shards; all is called when each has its result.
func (in *Poll) settle(h *Hub, all func()) {
	in.results = make([]PollResult, len(in.Outcomes))
	if in.open = len(in.Outcomes); in.open == 0 {
		all()
		return
	}
	for i, o := range in.Outcomes {
		o.Reply = func(res shard.Result, look bool, err error) {
			in.results[i] = PollResult{res, look}
			if err != nil {
				in.err = err
			}
			if in.open--; in.open == 0 {
				all()
			}
		}
		if d := h.shardOf(o.Token.Run); d != nil {
			d.link.Send(o)
		} else {
			o.Reply(shard.BadToken, false, nil)
		}
	}
}

// repeat gives the answer to the same poll again; its outcomes, if it has any, are looked at anew.
func (in *Poll) repeat(h *Hub, s *Session) {
	in.settle(h, func() {
		a := s.talk.answer
		if s.talk.state != answered || s.talk.seq != in.Seq { // the next poll came meanwhile: what this one had is known to have arrived
			a = PollAnswer{}
		}
		a.Tasks, a.Results = s.has(slices.Clone(a.Tasks)), in.results
		in.Reply(a, in.err)
	})
}

// answerPolls answers each poll that has something to say, or must not wait any longer.
func (h *Hub) answerPolls() {
	for _, s := range h.answers {
		x := &s.talk
		x.listed = false
		if x.state != waiting || s.asked > 0 || len(s.promised) > 0 && h.full == 0 { // news of these follows
			continue
		}
		if len(x.tasks) > 0 || len(x.cancelled) > 0 || x.until <= h.now.Mono {
			s.LastSeen = h.now.Mono // its connection is open
			x.give(s)
		}
	}
	clear(h.answers)
	h.answers = h.answers[:0]
}

// give answers the poll that waits.
func (x *exchange) give(s *Session) {
	in := x.poll
	x.state, x.poll = answered, nil
	x.answer = PollAnswer{Tasks: s.has(x.tasks), Results: in.results, Cancelled: x.cancelled}
	x.tasks, x.bytes, x.cancelled = nil, 0, nil
	in.Reply(x.answer, nil)
}

// has leaves out what the session does not have any more: a task may wait for a poll that asks again for longer than its lease
// lasts.
func (s *Session) has(tasks []*shard.Spec) []*shard.Spec {
	return slices.DeleteFunc(tasks, func(spec *shard.Spec) bool {
		return !s.leases.has(spec.Slot) || s.unwanted[spec.Slot]
	})
}

// Unpoll says that nobody waits for the answer of a poll any more: its connection is gone. Tasks that were given to it already
// stay under their leases, for the next poll.
type Unpoll struct{ Poll *Poll }

func (in *Unpoll) refuse(error) {}

func (in *Unpoll) admit(h *Hub) {
	s := h.remote(in.Poll.ID)
	if s == nil || s.talk.poll != in.Poll {
		return
	}
	s.talk.state, s.talk.poll = idle, nil
	s.LastSeen = h.now.Mono
	h.look(h.now.Mono + h.cfg.LeaseMS)
}
