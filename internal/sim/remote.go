package sim

import (
	"errors"

	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
)

// remote is a worker on the other side of a connection: slow, forgetful, and not always honest.
type remote struct {
	w      *World
	id     string
	joined bool
	asking bool
	seq    uint64
	told   uint64   // the last seq that was answered
	tasks  []*held  // what it works on
	outbox []*reply // answered, not acknowledged
	polled bool     // the poll under way has this seq
}

type held struct {
	spec  *shard.Spec
	token leases.Token
	origin
}

type reply struct {
	token leases.Token
	origin
	in shard.Outcome // as it was made; copied for each sending
}

func (r *remote) engineGone() { r.joined, r.asking = false, false }

func (r *remote) act() {
	w := r.w
	if !r.joined {
		r.join()
		return
	}
	switch n := w.rng.IntN(100); {
	case n < 45:
		r.poll()
	case n < 80 && len(r.tasks) > 0:
		r.finish(w.rng.IntN(len(r.tasks)))
	case n < 86:
		r.beat()
	case n < 89 && !w.calm:
		w.op("worker dies")
		r.tasks, r.outbox = nil, nil
		r.joined, r.asking, r.seq = false, false, 0
	case n < 91 && !w.calm:
		w.op("worker leaves")
		w.asks = append(w.asks, &hub.Leave{ID: r.id, Reply: func(error) {}})
		r.joined, r.asking = false, false
	case n < 94 && !w.calm && len(r.outbox) > 0:
		w.op("worker forges a token")
		o := r.outbox[0].in
		o.Token.Attempt += 1000 // no step comes that far
		w.at(o.Token.Run).send(r.sent(&o, func(res shard.Result, err error) {
			if res == shard.Recorded && err == nil {
				w.fail("an outcome under attempt %d, which nobody was given, was recorded", o.Token.Attempt)
			}
		}))
	case n < 97 && !w.calm && r.asking:
		w.op("response lost")
		r.asking = false
	}
}

func (r *remote) sent(o *shard.Outcome, fn func(shard.Result, error)) *shard.Outcome {
	epoch := r.w.epoch
	o.Reply = func(res shard.Result, look bool, err error) {
		if epoch == r.w.epoch {
			fn(res, err)
		}
	}
	return o
}

func (r *remote) join() {
	w, epoch := r.w, r.w.epoch
	var tokens []leases.Token
	for _, t := range r.tasks {
		if w.chance(95) || w.calm {
			tokens = append(tokens, t.token)
		}
	}
	w.op("worker joins")
	w.asks = append(w.asks, &hub.Join{ID: r.id, Service: "far", Handlers: []string{"work", "more"}, Capacity: 4, Tokens: tokens, Reply: func(lost []leases.Token, err error) {
		if epoch != w.epoch {
			return
		}
		r.joined = err == nil
		if w.chance(50) { // an honest worker drops what it lost; another one goes on as a zombie
			for _, l := range lost {
				r.forget(l)
			}
		}
	}})
}

func (r *remote) forget(t leases.Token) {
	for i, h := range r.tasks {
		if h.token == t {
			r.tasks = append(r.tasks[:i:i], r.tasks[i+1:]...)
			return
		}
	}
}

// works says whether a handler of the worker has that task.
func (r *remote) works(s *shard.Spec) bool {
	for _, h := range r.tasks {
		if h.spec == s {
			return true
		}
	}
	return false
}

func (r *remote) poll() {
	w, epoch := r.w, r.w.epoch
	if r.asking {
		return
	}
	if !r.polled {
		r.seq++
		r.polled = true
	}
	in := &hub.Poll{ID: r.id, Seq: r.seq, Max: 1 + w.rng.IntN(3), WaitMS: int64(w.rng.IntN(2)) * 5_000}
	out := append([]*reply(nil), r.outbox...)
	for _, o := range out {
		c := o.in
		in.Outcomes = append(in.Outcomes, &c)
	}
	r.asking = true
	in.Reply = func(a hub.PollAnswer, err error) {
		if epoch != w.epoch {
			return
		}
		if err == nil {
			if r.told == in.Seq {
				w.op("an answer is repeated")
			}
			r.told = in.Seq
		}
		for _, s := range a.Tasks {
			if !w.slow {
				w.handOut(r.id, s)
			}
			if w.at(s.Slot.Run) != w.at(a.Tasks[0].Slot.Run) {
				w.op("a poll is answered by several shards")
			}
		}
		if !r.asking { // the answer got lost on its way
			return
		}
		r.asking = false
		if err != nil {
			if errors.Is(err, refusal.ErrWorkerNotFound) {
				r.joined = false
			}
			return
		}
		r.polled = false
		for _, s := range a.Tasks {
			r.tasks = append(r.tasks, &held{s, leases.Token{Run: s.Slot.Run, Step: s.Step, Attempt: s.Attempt, Boot: s.Slot.Boot, Worker: r.id}, w.judge.originOf(s)})
		}
		for i, res := range a.Results {
			w.judge.result(out[i], res)
			if w.chance(95) {
				r.acknowledge(out[i])
			} else {
				w.op("outcome sent again")
			}
		}
	}
	w.asks = append(w.asks, in)
}

func (r *remote) acknowledge(o *reply) {
	for i, x := range r.outbox {
		if x == o {
			r.outbox = append(r.outbox[:i:i], r.outbox[i+1:]...)
			return
		}
	}
}

func (r *remote) finish(i int) {
	h := r.tasks[i]
	r.tasks = append(r.tasks[:i:i], r.tasks[i+1:]...)
	o := &reply{token: h.token, origin: h.origin, in: shard.Outcome{Token: h.token, Hash: r.w.rng.Uint64()}}
	r.w.decide(&o.in, h.spec)
	if o.in.Fail != nil {
		o.in.Fail.Hash = o.in.Hash
	}
	r.outbox = append(r.outbox, o)
}

func (r *remote) beat() {
	w, epoch := r.w, r.w.epoch
	in := &hub.Beat{ID: r.id}
	for _, h := range r.tasks {
		in.Tokens = append(in.Tokens, shard.BeatToken{Token: h.token, Own: true})
	}
	in.Reply = func(gone []leases.Token, err error) {
		if epoch != w.epoch {
			return
		}
		if errors.Is(err, refusal.ErrWorkerNotFound) {
			r.joined, r.asking = false, false
		}
		if w.chance(60) || w.calm {
			for _, t := range gone {
				w.op("worker hears that an attempt is over")
				r.forget(t)
			}
		}
	}
	w.asks = append(w.asks, in)
}
