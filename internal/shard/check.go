package shard

import (
	"fmt"

	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/objects"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/timers"
)

// Check says which of the rules in the doc of Shard, or of what it is made of, is broken; nil: none. It looks at everything in
// memory: tests call it, a running engine does not.
func (r *Shard) Check() error {
	if r.broken != nil {
		return r.broken
	}
	if err := r.Hub.Check(); err != nil {
		return err
	}
	c := &check{r: r, release: map[*leases.Slot]bool{}, ended: map[*Run]bool{}, offers: map[offer]bool{}, times: map[timers.Entry]bool{}, waiting: map[*leases.Slot]bool{}}
	for _, b := range r.flying {
		c.note(&b.effects)
	}
	for _, e := range r.due.Entries() {
		c.times[e] = true
	}
	for _, dues := range r.careful.dues {
		for _, e := range dues {
			c.times[e] = true
		}
	}
	for _, s := range r.starts[r.first:] {
		c.waiting[s] = true
	}
	for _, s := range r.grants {
		c.waiting[s] = true
	}
	for _, look := range []func() string{c.turn, c.books, c.leases, c.keys} {
		if why := look(); why != "" {
			return fmt.Errorf("shard: invariant %s", why)
		}
	}
	for n, run := range r.runs {
		if err := run.S.Check(); err != nil {
			return err
		}
		if why := c.run(run); why != "" {
			return fmt.Errorf("shard: run %q (%d), %s: invariant %s", run.S.ID, n, run.S.Status, why)
		}
	}
	return nil
}

// check is one look: what the batches under way will do when they are durable, and what waits for its time.
type check struct {
	r       *Shard
	release map[*leases.Slot]bool
	ended   map[*Run]bool
	offers  map[offer]bool // careful or not
	times   map[timers.Entry]bool
	waiting map[*leases.Slot]bool // in starts or grants
}

func (c *check) note(e *effects) {
	for _, s := range e.release {
		c.release[s] = true
	}
	for _, run := range e.ended {
		c.ended[run] = true
	}
	for _, o := range e.offers {
		o.careful = false
		c.offers[o] = true
	}
}

func (c *check) turn() string {
	r := c.r
	for _, run := range r.work {
		for _, f := range run.facts {
			if _, ok := f.(quarantine); !ok {
				return fmt.Sprintf("1: run %q has facts that are not folded", run.S.ID)
			}
		}
	}
	if r.b != nil || len(r.last) > 0 || !r.spare.empty() {
		return "1: a turn is under way"
	}
	last := r.durable
	for _, b := range r.flying {
		if b.Last < last {
			return fmt.Sprintf("1: a batch that ends at %d is under way behind %d", b.Last, last)
		}
		last = b.Last
	}
	if last != r.next-1 {
		return fmt.Sprintf("1: the batches under way end at %d, the next event is %d", last, r.next)
	}
	return ""
}

func (c *check) books() string {
	r := c.r
	for n, run := range r.runs {
		_, away := r.parked[n]
		if run.S.Run != n || r.ids[run.S.ID] != run || away {
			return fmt.Sprintf("2: run %q (%d) stands under %d, under its id: %v, put away: %v", run.S.ID, run.S.Run, n, r.ids[run.S.ID] == run, away)
		}
		if !run.S.Resident() && run.S.LastSeq <= r.durable && !c.ended[run] && len(run.facts) == 0 {
			return fmt.Sprintf("3: run %q has ended and nobody lets it go", run.S.ID)
		}
	}
	for id, run := range r.ids {
		if run.S.ID != id || r.runs[run.S.Run] != run {
			return fmt.Sprintf("2: id %q leads to run %q, which is not in memory", id, run.S.ID)
		}
	}
	return ""
}

func (c *check) leases() string {
	for _, s := range c.r.Hub.Leases() {
		run := c.r.runs[s.Run]
		switch {
		case c.release[s]:
		case s.State == leases.Answered:
			return fmt.Sprintf("5: %s has answered, and nobody releases it", s)
		case run == nil || !run.expects(s):
			return fmt.Sprintf("5: nobody expects an answer from %s", s)
		case !c.holds(run, s):
			return fmt.Sprintf("8: %s works under a key that it does not hold", s)
		}
	}
	return ""
}

// holds says whether the slot's step holds each of its keys, as far as no damaged run wants them.
func (c *check) holds(run *Run, s *leases.Slot) bool {
	for _, k := range run.S.Keys(s.Step) {
		holder, _, _ := c.r.table.Key(k)
		if (holder == nil || holder.Run != s.Run || holder.Step != s.Step) && !c.disturbed(run, s.Step) {
			return false
		}
	}
	return true
}

// disturbed says whether a damaged run, or one of a newer release, holds or wants one of the step's keys.
func (c *check) disturbed(run *Run, step int32) bool {
	for _, k := range run.S.Keys(step) {
		holder, queue, _ := c.r.table.Key(k)
		if holder != nil {
			queue = append(queue, *holder)
		}
		for _, o := range queue {
			if other := c.r.runs[o.Run]; c.r.newer[o.Run] != nil || other != nil && other.damaged() {
				return true
			}
		}
	}
	return false
}

// damaged says that the run is quarantined, or will be in the next turn.
func (run *Run) damaged() bool { return run.S.Hurt || len(run.facts) > 0 }

func (c *check) run(run *Run) string {
	r, s := c.r, run.S
	leased := 0
	for i, st := range s.All() {
		slot := r.Hub.Slot(s.Run, i)
		if slot != nil && slot.State == leases.Leased && !slot.Journaled {
			leased++
			if !c.waiting[slot] {
				return fmt.Sprintf("4: nobody journals the start of %s", slot)
			}
		}
		if !s.Status.Live() || run.damaged() {
			continue
		}
		ask := s.Asks(i)
		if asks := ask != replay.AskNothing && (ask != replay.AskChild || !r.isHeld(s.Run)); asks != (run.asked[i] != 0) {
			return fmt.Sprintf("10: step %q asks: %v, it was asked: %v", s.Name(i), asks, !asks)
		}
		if why := c.works(run, i, st, slot); why != "" {
			return fmt.Sprintf("6: step %q, attempt %d, %s", s.Name(i), st.Attempt, why)
		}
		if st.Due != 0 && st.State.Open() && s.Pause == nil && !c.times[timers.Entry{Due: st.Due, Run: s.Run, Step: i}] {
			return fmt.Sprintf("9: step %q is %s until %d, and nobody looks then", s.Name(i), st.State, st.Due)
		}
	}
	if run.leased != leased || leased > 0 && !s.Status.Live() {
		return fmt.Sprintf("4: %d leases whose start is not journaled are counted, want %d", run.leased, leased)
	}
	for _, o := range s.Outs {
		if len(run.facts) > 0 {
			break // its quarantine ends those that nobody has
		}
		if slot := r.Hub.Slot(s.Run, o.Step); slot == nil || slot.Attempt != o.Attempt || slot.State != leases.Cancelled {
			return fmt.Sprintf("6: attempt %d of step %q is out, and nobody has it", o.Attempt, s.Name(o.Step))
		}
	}
	return ""
}

// works says what is wrong with a step of a running run that is offered or has an attempt under way.
func (c *check) works(run *Run, i int32, st *replay.Step, slot *leases.Slot) string {
	if st.Kind().Children() {
		return ""
	}
	_, out := run.S.Out(i)
	has := slot != nil && slot.Attempt == st.Attempt
	switch st.State {
	case replay.StepScheduled:
		if run.S.Pause != nil || c.r.isHeld(run.S.Run) {
			if has && slot.State == leases.Queued {
				return "is offered, and its run is paused or held"
			}
			return ""
		}
		if !out && !c.offers[offer{run: run, step: i, attempt: st.Attempt}] && !(has && (slot.State == leases.Queued || slot.State == leases.Leased)) {
			return "is scheduled, and nobody is offered it"
		}
	case replay.StepRunning:
		if !has || slot.State != leases.Leased || !slot.Journaled {
			return "is running, and nobody has it"
		}
	}
	return ""
}

func (c *check) keys() string {
	r := c.r
	wanted := map[uint64]bool{}
	for _, k := range r.table.Keys() {
		holder, queue, _ := r.table.Key(k)
		if holder != nil {
			if why := c.request(*holder, true, k); why != "" {
				return why
			}
			wanted[holder.Seq] = true
		}
		for _, o := range queue {
			if why := c.request(o, false, k); why != "" {
				return why
			}
			wanted[o.Seq] = true
		}
	}
	for _, run := range r.runs {
		for _, st := range run.S.All() {
			if q := st.Request; q != 0 && !wanted[q] {
				return fmt.Sprintf("7: run %q wants keys by request %d, which the table does not know", run.S.ID, q)
			}
		}
		for _, o := range run.S.Outs {
			if o.Request != 0 && !wanted[o.Request] {
				return fmt.Sprintf("7: run %q holds keys by request %d, which the table does not know", run.S.ID, o.Request)
			}
		}
	}
	return ""
}

// request says what is wrong with a request in the table, by what its run knows of it.
func (c *check) request(o objects.Owner, held bool, key string) string {
	run := c.r.runs[o.Run]
	if c.r.newer[o.Run] != nil {
		return "" // its keys stay taken
	}
	if run == nil {
		return fmt.Sprintf("7: key %q is wanted by run %d, which is not in memory", key, o.Run)
	}
	holds := false
	if out, ok := run.S.Out(o.Step); ok && out.Request == o.Seq {
		holds = true
	} else if st := run.S.At(o.Step); st.Request == o.Seq {
		holds = st.Fence != 0
	} else {
		return fmt.Sprintf("7: key %q is wanted by request %d of run %q, which does not know of it", key, o.Seq, run.S.ID)
	}
	if holds != held && !c.disturbed(run, o.Step) {
		return fmt.Sprintf("7: key %q, request %d of run %q: held %v, its run says %v", key, o.Seq, run.S.ID, held, holds)
	}
	return ""
}
