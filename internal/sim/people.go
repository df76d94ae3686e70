package sim

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// clientActs lets somebody ask for something new.
func (w *World) clientActs() {
	runs := w.judge.order
	if len(runs) == 0 || w.chance(35) && len(runs) < 24 {
		w.newStart()
		return
	}
	r := runs[w.rng.IntN(len(runs))]
	switch w.rng.IntN(20) {
	case 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
		w.newSignal(r, fmt.Sprintf("sig%d", w.rng.IntN(3)))
	case 11:
		if w.newCancel(r); w.chance(50) {
			w.newForce(r)
		}
	case 12, 13, 14:
		w.newRetry(r)
	case 15:
		w.newFire(r)
	case 16:
		w.newDelete(r)
	case 17:
		w.newTags(r)
	default:
		w.look(r)
	}
}

// ask sends a request, and again until it is answered.
func (w *World) ask(what string, send func(c *client)) {
	w.op(what)
	c := &client{what: what, again: send}
	w.clients = append(w.clients, c)
	c.wait, c.tries = true, 1
	send(c)
}

func (w *World) retryClients() {
	left := w.clients[:0]
	for _, c := range w.clients {
		if c.done || !w.calm && c.tries > 3 && w.chance(20) { // it gives up
			continue
		}
		if !c.wait {
			w.op("request sent again")
			c.wait = true
			c.tries++
			c.again(c)
		}
		left = append(left, c)
	}
	w.clients = left
}

// answered says whether an answer settles the request; a full disk and a fenced engine mean "not recorded", ask again.
func (w *World) answered(c *client, epoch int, err error) bool {
	if epoch != w.epoch || c.done {
		return false // the connection is gone
	}
	c.wait = false
	if errors.Is(err, refusal.ErrDiskFull) {
		w.op("answer: disk full")
		return false
	}
	if errors.Is(err, journal.ErrFenced) {
		w.op("answer: fenced")
		return false
	}
	c.done = true
	return true
}

func (w *World) newStart() {
	w.start(fmt.Sprintf("run-%d", w.Ops["start"]))
}

// start asks for a run. Where ids of deleted runs are used again, somebody else may have been faster.
func (w *World) start(id string) {
	name := w.flows[w.rng.IntN(len(w.flows))]
	input := []byte(fmt.Sprintf(`{"list":%s,"n":%d}`, must(json.Marshal(randomList(w.rng))), w.rng.IntN(100)))
	delay := int64(0)
	if w.chance(10) {
		delay = int64(w.rng.IntN(30_000))
	}
	marks := w.someTags([]int{0, 3, 16}[w.rng.IntN(3)], false)
	w.tagsAsked[id] = append(w.tagsAsked[id], tagsOf(marks).String(), "")
	w.ask("start", func(c *client) {
		epoch := w.epoch
		w.home(id).send(&shard.Start{DelayMS: delay, ID: id, Tags: marks, Given: true, Workflow: name, Input: input, Reply: func(got shard.Started, err error) {
			if !w.answered(c, epoch, err) {
				return
			}
			if err != nil && !errors.Is(err, refusal.ErrRunExpired) && !(w.keeps && errors.Is(err, refusal.ErrRunConflict)) {
				w.fail("start of %s: %v", id, err)
			}
			if err == nil && !got.Away { // else the journal has to say whether it is the same start
				w.judge.started(id, name)
			}
		}})
	})
	if w.chance(10) {
		w.op("start with another input")
		epoch := w.epoch
		w.home(id).send(&shard.Start{ID: id, Given: true, Workflow: name, Input: []byte(`"other"`), Reply: func(got shard.Started, err error) {
			if epoch == w.epoch && err == nil && got.Created && w.judge.byID[id] != nil && string(w.judge.byID[id].s.Input.Data) != `"other"` {
				w.fail("a start of %s with another input was taken for a new one", id)
			}
			if epoch == w.epoch && err == nil && got.Created {
				w.judge.byInput[id] = true
			}
		}})
	}
}

func (w *World) newSignal(r *track, name string) {
	sid := fmt.Sprintf("signal-%d", w.Ops["signal"])
	payload := []byte(fmt.Sprintf(`{"by":%q}`, sid))
	w.ask("signal", func(c *client) {
		epoch := w.epoch
		w.home(r.id).send(&shard.Signal{ID: r.id, Name: name, SignalID: sid, Payload: payload, Reply: func(by string, err error) {
			if !w.answered(c, epoch, err) {
				return
			}
			switch {
			case err == nil:
				w.judge.signalled(r, sid, by)
			case errors.Is(err, refusal.ErrRunFinishing) && w.judge.some(r.id, func(t *track) bool { return t.end.fate != "" || t.damaged != 0 }):
			case errors.Is(err, refusal.ErrRunFinished), errors.Is(err, shard.ErrAway), errors.Is(err, refusal.ErrRunNotFound), errors.Is(err, refusal.ErrRunExpired):
			case errors.Is(err, refusal.ErrRunQuarantined) && w.judge.byID[r.id].damaged != 0:
			default:
				w.fail("signal %s to %s: %v", sid, r.id, err)
			}
		}})
	})
	if w.chance(10) {
		w.op("signal with another payload")
		epoch := w.epoch
		w.home(r.id).send(&shard.Signal{ID: r.id, Name: name, SignalID: sid, Payload: []byte(`"other"`), Reply: func(_ string, err error) {
			if epoch == w.epoch && err == nil && r.s.Status == replay.Running && string(r.payloads[sid]) == string(payload) {
				w.fail("signal id %s was taken for two payloads", sid)
			}
		}})
	}
}

func (w *World) newCancel(r *track) {
	w.ask("cancel", func(c *client) {
		epoch := w.epoch
		w.home(r.id).send(&shard.Cancel{ID: r.id, Reason: "sim", Reply: func(err error) {
			if w.answered(c, epoch, err) && err == nil && !w.judge.some(r.id, func(t *track) bool { return t.cancels > 0 }) {
				w.fail("cancel of %s was acknowledged and is not in the journal", r.id)
			}
		}})
	})
}

func (w *World) newRetry(r *track) {
	epoch := w.epoch
	if r.gone {
		return
	}
	w.op("retry")
	in := &shard.Retry{ID: r.id, Reply: func(err error) {
		if epoch == w.epoch && err == nil && !w.judge.some(r.id, func(t *track) bool { return t.reopened > 0 }) {
			w.fail("retry of %s was acknowledged and is not in the journal", r.id)
		}
	}}
	if r.s.Status == replay.Failed || r.s.Status == replay.Cancelled {
		s, err := w.judge.refold(r)
		var damage *journal.DamageError
		switch {
		case errors.As(err, &damage) && r.damaged == damage.Seq:
			w.meets(r)
			return
		case err != nil:
			w.fail("%v", err)
		}
		in.State = s
	}
	w.home(r.id).send(in)
}

func (w *World) newFire(r *track) {
	if len(r.s.Graph.Timers) == 0 {
		return
	}
	w.op("fire")
	for i := range r.s.All() {
		if t := r.s.Spec(i).Timer; t != nil {
			w.home(r.id).send(&shard.Fire{ID: r.id, Timer: t.Key, Reply: func(error) {}})
			return
		}
	}
}

func (w *World) newDelete(r *track) {
	if !r.s.Status.Ended() || w.calm {
		return
	}
	w.op("delete")
	epoch := w.epoch
	ids := []string{r.id}
	for i, other := range w.judge.order { // now and then some at once, of which not all can be deleted
		if (i+len(w.judge.order))%7 == 0 && other != r && w.home(other.id) == w.home(r.id) {
			ids = append(ids, other.id)
		}
	}
	w.home(r.id).send(&shard.Delete{IDs: ids, Reply: func(got shard.Deleted, err error) {
		if epoch != w.epoch || err != nil {
			return
		}
		gone := 0
		for _, id := range ids {
			if _, ok := w.home(r.id).disk.ids[id]; !ok {
				gone++
			}
		}
		if got.Seen != len(ids) || gone < got.Done {
			w.fail("of %d runs %d were deleted, it is said, and %d are gone", len(ids), got.Done, gone)
		}
	}})
}

// look reads a run: what is shown must be durable.
func (w *World) look(r *track) {
	w.op("status")
	epoch := w.epoch
	var encoded []byte
	var graph *flow.Graph
	w.home(r.id).send(&shard.Query{ID: r.id, Read: func(_ *shard.Shard, run *shard.Run) { encoded, graph = run.S.Append(nil), run.S.Graph }, Reply: func(err error) {
		if epoch != w.epoch || err != nil {
			return
		}
		s, derr := replay.Decode(encoded, graph)
		if derr != nil {
			w.fail("status of %s: %v", r.id, derr)
		}
		t := w.judge.byRun[s.Run] // not r: that one may have been deleted, and its id be another run's
		if t == nil || t.id != r.id || s.LastSeq > t.s.LastSeq {
			w.fail("status of %s shows record %d of run %d, of which less is durable: %+v", r.id, s.LastSeq, s.Run, t)
		}
	}})
}
