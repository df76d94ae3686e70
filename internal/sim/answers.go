package sim

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// started checks an acknowledged start.
func (j *Judge) started(id, workflow string) {
	if t := j.byID[id]; t == nil {
		j.w.fail("start of %s was acknowledged and is not in the journal", id)
	} else if !j.some(id, func(t *track) bool { return t.s.Workflow == workflow }) {
		j.w.fail("run %s is of workflow %s, asked for was %s", id, t.s.Workflow, workflow)
	}
}

// some says whether it is so of a run that has the id, or had it and was deleted: who asked by the id does not know which one it is.
func (j *Judge) some(id string, is func(*track) bool) bool {
	return slices.ContainsFunc(j.order, func(t *track) bool { return t.id == id && is(t) })
}

// signalled checks an acknowledged signal.
func (j *Judge) signalled(t *track, id, by string) {
	if t = j.byID[t.id]; j.some(t.id, func(t *track) bool { return t.gone }) {
		return
	}
	a, ok := t.s.Mail.Find(id)
	if !ok {
		j.w.fail("signal %s to %s was acknowledged and is not in the journal", id, t.id)
	}
	if by != "" && (a.By < 0 || t.s.Name(a.By) != by) {
		j.w.fail("signal %s to %s: the answer says that %s took it, the journal does not", id, t.id, by)
	}
}

// result checks what a worker was told of its outcome.
func (j *Judge) result(o *reply, res hub.PollResult) {
	t := j.byRun[o.token.Run]
	if t == nil {
		return
	}
	hash, recorded := t.outcomes[attemptOf{o.token.Step, o.token.Attempt}]
	j.w.op("result " + string(res.Result))
	if !t.ours(o) {
		j.w.op("result of another history")
		if res.Result == shard.Recorded || res.Result != shard.BadToken && !res.Look && !t.gone && !t.hurt { // a damaged run may not know
			j.w.fail("%s step %d: the token of attempt %d is of another history, and its outcome is %s", t.id, o.token.Step, o.token.Attempt, res.Result)
		}
		return
	}
	switch res.Result {
	case shard.BadToken:
		j.w.fail("%s step %d: the token of attempt %d was made for it, and its outcome is bad_token", t.id, o.token.Step, o.token.Attempt)
	case shard.Recorded, shard.Invalid:
		if who := t.had[attemptOf{o.token.Step, o.token.Attempt}]; who != o.token.Worker {
			j.w.fail("%s step %d: an outcome of attempt %d by %s is recorded, which %s had", t.id, o.token.Step, o.token.Attempt, o.token.Worker, who)
		}
		if !recorded || hash != o.in.Hash {
			j.w.fail("%s step %d: outcome %d of attempt %d was acknowledged as %s; the journal has %v %d", t.id, o.token.Step, o.in.Hash, o.token.Attempt, res.Result, recorded, hash)
		}
	case shard.Duplicate, shard.Conflict:
		if !recorded || (hash == o.in.Hash) != (res.Result == shard.Duplicate) {
			j.w.fail("%s step %d: outcome %d of attempt %d is a %s; the journal has %v %d", t.id, o.token.Step, o.in.Hash, o.token.Attempt, res.Result, recorded, hash)
		}
	default:
		if recorded && !res.Look && !t.gone && !t.hurt {
			j.w.fail("%s step %d: an outcome of attempt %d is recorded, and the answer %s does not say so", t.id, o.token.Step, o.token.Attempt, res.Result)
		}
	}
}

// handedOut checks the moment in which a worker gets a task.
func (j *Judge) handedOut(who string, s *shard.Spec) {
	w, t := j.w, j.byRun[s.Slot.Run]
	if t == nil {
		w.fail("a task of run %d is handed out, which is not in the journal", s.Slot.Run)
	}
	at := place{s.Slot.Run, s.Step}
	g := j.given[at]
	if g == (given{w.epoch, s.Attempt, who}) {
		return // the same answer to the same poll again
	}
	j.handsOut(t, s)
	if t.s.StartCounts(s.Step) && t.s.Status.Live() && !t.begun[attemptOf{s.Step, s.Attempt}] && t.damaged == 0 {
		w.fail("%s/%s attempt %d is handed out to %s, and the journal does not know: that it began counts at the end of the run", t.id, t.s.Name(s.Step), s.Attempt, who)
	}
	st := t.s.At(s.Step)
	if st == nil {
		w.fail("%s step %d attempt %d is handed out to %s; the journal has it %s", t.id, s.Step, s.Attempt, who, t.s.StateOf(s.Step))
	}
	if (st.State != replay.StepScheduled && st.State != replay.StepRunning) || st.Attempt != s.Attempt {
		if t.s.Status.Live() {
			w.fail("%s step %d attempt %d is handed out to %s; the journal has it %s at attempt %d", t.id, s.Step, s.Attempt, who, st.State, st.Attempt)
		}
	}
	if g.epoch == w.epoch && g.attempt == s.Attempt {
		w.fail("%s step %d attempt %d is handed out to %s, and was to %s", t.id, s.Step, s.Attempt, who, g.who)
	}
	j.given[at] = given{w.epoch, s.Attempt, who}
	if o, out := t.s.Out(s.Step); out && o.Attempt != s.Attempt { // the same: its run has ended while the task was on its way
		w.fail("%s step %d is handed out while an attempt from before its retry is out", t.id, s.Step)
	}
	for _, k := range t.s.Keys(s.Step) {
		if j.holders[key(s.Slot.Run, k)] != at {
			w.fail("%s step %d is handed out without its key %s", t.id, s.Step, k)
		}
	}
	j.alone(who, s)
	j.bounded(s)
}

// alone checks that nobody works under a key of the task that is handed out. An attempt in process ends with it.
func (j *Judge) alone(who string, s *shard.Spec) {
	j.working = slices.DeleteFunc(j.working, func(h handler) bool { return !j.w.works(h.spec) })
	for _, h := range j.working {
		o := h.spec
		t, attempt := j.byRun[o.Slot.Run], attemptOf{o.Step, o.Attempt}
		same := o.Slot.Run == s.Slot.Run && o.Step == s.Step && o.Attempt == s.Attempt
		if _, answered := t.outcomes[attempt]; answered { // by another handler of that worker: it was given one token twice, in two histories
			continue
		}
		if same && h.who == who || t.over[attempt] || t.damaged != 0 {
			continue
		}
		for _, k := range o.Keys {
			if slices.Contains(s.Keys, k) && journal.ShardOf(o.Slot.Run) == journal.ShardOf(s.Slot.Run) {
				j.w.fail("%s step %d is handed out to %s with key %s, under which %s works at %s step %d attempt %d", s.ID, s.Step, who, k, h.who, o.ID, o.Step, o.Attempt)
			}
		}
	}
	j.working = append(j.working, handler{s, who, j.w.epoch})
}

// bounded checks the bound of a service, over all shards.
func (j *Judge) bounded(s *shard.Spec) {
	if s.What.Service != "bounded" {
		return
	}
	for _, o := range j.w.local {
		if o.What.Service == s.What.Service && o.Slot != s.Slot && o.Slot.State == leases.Leased {
			j.w.fail("%s step %d is handed out while %s step %d runs, which is all that its service may", s.ID, s.Step, o.ID, o.Step)
		}
	}
}

// end looks once more when everything is quiet.
func (j *Judge) end() {
	w := j.w
	for _, t := range j.order {
		if t.gone {
			continue
		}
		h := w.at(t.s.Run).disk.heads[t.s.Run]
		if t.damaged == 0 {
			j.again(t)
			j.sameTags(t)
		} else if !t.hurt && replay.RunState(h.State) == replay.Quarantined {
			continue // it had ended when somebody met the damage
		}
		if t.s.Status.Ended() && len(t.s.Outs) == 0 && h.State != uint8(t.s.Status) {
			w.fail("the head of %s says %d, the run is %s", t.id, h.State, t.s.Status)
		}
		if !t.s.Status.Ended() {
			w.fail("run %s has not ended in the quiet phase: %s", t.id, open(t.s))
		}
		if len(t.s.Outs) > 0 {
			w.fail("run %s has ended and attempts of it are still out: %+v", t.id, t.s.Outs)
		}
	}
	j.stayGone()
	j.childrenEnd()
	for k, at := range j.holders {
		w.fail("key %s is held by run %d step %d when everything has ended", k.key, at.run, at.step)
	}
	for _, n := range w.nodes {
		if keys := n.shard.Keys(); len(keys) > 0 {
			w.fail("the table of shard %d still has %v", n.no, keys)
		}
	}
	for k, n := range j.counts {
		o, _, _ := w.nodes[k.shard].disk.Object(k.key)
		if string(o.State) != strconv.Itoa(n) {
			w.fail("object %s is %s, it was counted up %d times", k.key, o.State, n)
		}
	}
}

// again folds a run once more.
func (j *Judge) again(t *track) {
	s, err := j.refold(t)
	if err != nil {
		j.w.fail("folding %s again: %v", t.id, err)
	}
	if !bytes.Equal(s.Digest(), t.s.Digest()) {
		j.w.fail("run %s folds to two states", t.id)
	}
}

func open(s *replay.State) string {
	text := s.Status.String()
	for i, st := range s.All() {
		if !st.State.Settled() {
			text += fmt.Sprintf("; %s %s attempt %d due %d", s.Name(i), st.State, st.Attempt, st.Due)
		}
	}
	return text
}
