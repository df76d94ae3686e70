package shard

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Children. A step that wants one asks for it (replay.AskChild). Its input may have to be read, and so may the definition of its workflow,
// or the child that the step had before; then the parent records that the child starts, and the child its start, in one batch. The end of a
// child is told to its parent in the batch of that end (or of what brought it to rest: calmed), when memory has all that it gives and its parent. Otherwise the batch has a row
// that says so, which goes with the batch in which the parent knows.

// endRows are the keys of ends of children that their parents do not know yet.
const endRows = "child-end/"

func endRow(child uint64) string { return endRows + fmt.Sprintf("%016x", child) }

// endOf is an end of a child, whose run is Child, that its parent does not know yet.
type endOf struct {
	Child  uint64 `json:"child"`
	ID     string `json:"id"`
	Parent uint64 `json:"parent"`
	Step   int32  `json:"step"`
}

// How many children begin, and are cancelled, in one turn at most; how many bytes their inputs may have together; and how many inputs are
// read at a time.
const (
	birthsAtOnce = 512
	birthBytes   = 1 << 20
	readsAtOnce  = 1024
	goneAtOnce   = 256
)

// nursery has the children that are to be started or cancelled.
type nursery struct {
	births  []*birth
	lacking map[string][]*birth // whose workflow is not there, by its name
	ending  map[uint64][]*birth // whose last child is finishing, and will not complete, by its run
	reads   map[uint64]*birth   // for which something is read, by number
	strays  []stray
}

// birth starts a child for a step.
type birth struct {
	run   uint64
	step  replay.Instance
	no    uint64        // as in Run.asked
	input []byte        // nil: it must be looked for
	last  *replay.State // the step's last child, as it ended; nil: it must be looked for
	fresh bool          // whatever became of the last one
}

// stray is a child that is to be cancelled.
type stray struct {
	run  uint64
	step replay.Instance
	id   string
}

// comeChildren gives the inputs that start and cancel children, as many as one turn may have.
func (r *Shard) comeChildren() (inputs []Input) {
	n := &r.nursery
	if len(n.reads) >= readsAtOnce {
		for no, b := range n.reads {
			if b.of(r) == nil {
				delete(n.reads, no)
			}
		}
	}
	count, size := 0, 0
	for count < len(n.births) && count < birthsAtOnce && size < birthBytes && len(n.reads)+count < readsAtOnce {
		size += len(n.births[count].input)
		inputs = append(inputs, n.births[count])
		count++
	}
	n.births = shifted(n.births, count)
	count = min(len(n.strays), goneAtOnce)
	for i := range n.strays[:count] {
		inputs = append(inputs, &n.strays[i])
	}
	n.strays = n.strays[count:]
	return inputs
}

// shifted drops the first of a list, and the list when none is left.
func shifted[T any](list []*T, n int) []*T {
	clear(list[:n])
	if list = list[n:]; len(list) == 0 {
		return nil
	}
	return list
}

// waits says that something is to be done for children in the next turn.
func (n *nursery) waits() bool {
	return len(n.strays) > 0 || len(n.births) > 0 && len(n.reads) < readsAtOnce
}

// waits adds a birth to those that wait for the same. Before their list grows, those go for which nobody waits any more: of a run that has ended,
// or that was paused and has asked anew since.
func (r *Shard) waits(list []*birth, in *birth) []*birth {
	return append(roomy(list, func(all []*birth) []*birth {
		return slices.DeleteFunc(all, func(b *birth) bool { return b.of(r) == nil })
	}), in)
}

// roomy gives a list room for one more. Before it takes more memory, tidy throws away what need not stay.
func roomy[T any](list []T, tidy func([]T) []T) []T {
	if len(list) < cap(list) {
		return list
	}
	if list = tidy(list); len(list) > cap(list)/2 {
		list = slices.Grow(list, len(list)+1)
	}
	return list
}

// version gives the version that a new run of a workflow gets.
func (r *Shard) version(workflow string, version uint32) (*Version, bool) {
	w := r.flows[workflow]
	if w == nil || w.Current == 0 || int(version) > len(w.Versions) {
		return nil, false
	}
	v := &w.Versions[cmp.Or(version, w.Current)-1]
	return v, v.Digest != ""
}

// Lacks says that a step wants a child whose workflow, or its version, is not registered.
func (r *Shard) Lacks(spec *replay.Spec) bool {
	_, ok := r.version(childOf(spec))
	return !ok
}

// Of gives the run of an id if it is in memory.
func (r *Shard) Of(id string) *Run { return r.ids[id] }

func childOf(spec *replay.Spec) (workflow string, version uint32) {
	if spec.WorkflowVersion != nil {
		version = uint32(*spec.WorkflowVersion)
	}
	return spec.Workflow, version
}

func (in *birth) of(r *Shard) *Run {
	if run := r.runs[in.run]; run != nil && run.asked[in.step] == in.no && run.S.Asks(in.step) == replay.AskChild {
		return run
	}
	return nil
}

func (in *birth) needs(r *Shard) bool {
	run := in.of(r)
	if run == nil {
		return true
	}
	all := true
	if v, ok := r.version(childOf(run.S.Spec(in.step))); ok {
		all = r.needDef(v.Digest)
	}
	if c, had := run.S.Child(in.step); had && !in.fresh {
		all = r.needID(c.ID) && all
	}
	return all
}

func (in *birth) admit(r *Shard) {
	run := in.of(r)
	if run == nil {
		return
	}
	s := run.S
	if c, had := s.Child(in.step); had && !in.fresh {
		in.reuse(r, run, c)
		return
	}
	spec := s.Spec(in.step)
	v, ok := r.version(childOf(spec))
	if !ok {
		if r.nursery.lacking == nil {
			r.nursery.lacking = map[string][]*birth{}
		}
		r.nursery.lacking[spec.Workflow] = r.waits(r.nursery.lacking[spec.Workflow], in)
		return
	}
	def, err := r.Def(v.Digest)
	if err != nil {
		r.give(run, childFault{in, err})
		return
	}
	if in.input == nil {
		if in.input, ok = s.ChildInput(in.step).Inline(); !ok {
			in.read(r, run)
			return
		}
	}
	v.started++
	r.give(run, childStart{in, *v, def})
}

// read asks for what only the journal has: the input of the child, or the last child as it ended.
func (in *birth) read(r *Shard, run *Run) {
	if r.nursery.reads == nil {
		r.nursery.reads = map[uint64]*birth{}
	}
	r.nursery.reads[in.no] = in
	r.b.asks = append(r.b.asks, pending{run, in.step, in.no})
}

// born goes on with a birth for which something was read.
func (in *Evaluated) born(r *Shard, b *birth) {
	delete(r.nursery.reads, in.No)
	run := b.of(r)
	if run == nil {
		return
	}
	if in.Got.Err != "" {
		r.give(run, childFault{b, errors.New(in.Got.Err)})
		return
	}
	b.input, b.last = in.Got.Input, in.Child
	b.again(r)
}

// again goes on in this turn, if what it needs is there.
func (in *birth) again(r *Shard) {
	if in.needs(r) {
		in.admit(r)
		return
	}
	r.nursery.births = append(r.nursery.births, in)
}

// reuse lets the last child of a step that was reopened go on, takes what it gave, or retries it. One that can do neither is replaced.
func (in *birth) reuse(r *Shard, run *Run, c replay.Child) {
	old, err := r.find(c.ID)
	if r.deleting[c.ID] || old != nil && !in.started(old.S) { // its deletion has begun, or the child was deleted, and somebody has used its id again
		old, err = nil, refusal.ErrRunNotFound
	}
	reuse := replay.ReuseNot
	switch {
	case old == nil && err != ErrAway, old != nil && old.S.Status == replay.Quarantined:
	case old != nil && !old.S.Status.Ended():
		reuse, _ = old.S.Reuse(in.run, in.step)
	case in.last == nil:
		in.read(r, run)
		return
	case in.last.ID == c.ID:
		reuse, _ = in.last.Reuse(in.run, in.step)
	}
	switch reuse {
	case replay.ReuseLater: // it is retried when it has ended
		if r.nursery.ending == nil {
			r.nursery.ending = map[uint64][]*birth{}
		}
		r.nursery.ending[old.S.Run] = r.waits(r.nursery.ending[old.S.Run], in)
	case replay.ReuseGoesOn:
		r.give(run, childAgain{in, nil})
	case replay.ReuseGives:
		if in.input == nil {
			in.input = []byte("null")
		}
		r.give(run, childAgain{in, &replay.ChildEnd{ID: c.ID, State: replay.Completed, Output: in.input}})
	case replay.ReuseRetry:
		if old == nil {
			if old, err = r.comeBack(in.last); err != nil {
				in.last = nil
				in.read(r, run)
				return
			}
		}
		r.give(run, childAgain{in, nil})
		r.give(old, childReopen{})
	default:
		in.fresh, in.input = true, nil
		in.again(r)
	}
}

// started says whether a run is one that the step has started.
func (in *birth) started(s *replay.State) bool {
	return s.Parent != nil && s.Parent.Run == in.run && s.Parent.Step == in.step
}

// childStart is the start of a child, as its parent records it.
type childStart struct {
	*birth
	v   Version
	def *Def
}

func (f childStart) fold(r *Shard, run *Run, t *replay.Turn) {
	if f.of(r) == nil { // it has ended, or is paused, by another fact of this turn
		f.askAgain(r, run)
		return
	}
	delete(run.asked, f.step)
	id, parent := t.StartChild(f.step, f.v.Version)
	if parent == nil || t.Err != nil {
		return
	}
	child := &Run{S: replay.New(f.def.Graph), def: f.def}
	r.ids[id] = child
	r.give(child, childBegin{parent, id, run.S.Spec(f.step).Workflow, f.v.Version, f.input, run.S.Trace})
}

// askAgain forgets a question that is not the one of the step any more.
func (in *birth) askAgain(r *Shard, run *Run) {
	if run.asked[in.step] == in.no {
		delete(run.asked, in.step)
		r.want(run, in.step)
	}
}

// childBegin is the same, as the child does.
type childBegin struct {
	parent       *event.Parent
	id, workflow string
	version      uint32
	input        []byte
	trace        string
}

func (f childBegin) fold(_ *Shard, _ *Run, t *replay.Turn) {
	t.StartUnder(f.parent, f.id, f.workflow, f.version, f.input, f.trace)
}

// childAgain lets the last child go on for its step, or takes what it gave.
type childAgain struct {
	*birth
	end *replay.ChildEnd
}

func (f childAgain) fold(r *Shard, run *Run, t *replay.Turn) {
	if f.of(r) == nil {
		f.askAgain(r, run)
		return
	}
	delete(run.asked, f.step)
	t.TakeChild(f.step)
	if f.end != nil {
		t.ChildOver(f.step, *f.end)
	}
}

// childReopen is the retry of a child with its parent.
type childReopen struct{}

func (childReopen) fold(_ *Shard, run *Run, t *replay.Turn) {
	if run.S.Status == replay.Failed || run.S.Status == replay.Cancelled {
		t.Reopen("")
	}
}

// childFault fails an attempt whose child cannot start.
type childFault struct {
	*birth
	why error
}

func (f childFault) fold(r *Shard, run *Run, t *replay.Turn) {
	if f.of(r) == nil {
		f.askAgain(r, run)
		return
	}
	delete(run.asked, f.step)
	t.NoChild(f.step, f.why.Error())
}

// registered lets the steps go on that wait for a workflow of that name.
func (r *Shard) registered(name string) {
	n := &r.nursery
	n.births = append(n.births, n.lacking[name]...)
	delete(n.lacking, name)
}

// awaited lets the steps go on that wait for the end of a run, to take it up again.
func (r *Shard) awaited(run *Run) {
	n := &r.nursery
	n.births = append(n.births, n.ending[run.S.Run]...)
	delete(n.ending, run.S.Run)
}

// calmed tells the parent of a run that it has ended, when a record was its end, or the answer of an attempt, or a child, that it had cancelled.
// Under a run that has something to compensate, or steps of finally, it has ended when it is at rest: those steps must not meet a handler that
// is still at work for it.
func (r *Shard) calmed(run *Run, ended bool) {
	switch p := run.S.Parent; {
	case p == nil || !run.S.Status.Ended():
	case ended && !p.Rest, p.Rest && !run.S.Resident():
		r.childEnded(run, p)
	}
}

// childEnded tells the parent of a run that has ended, if it is open or waits for that.
func (r *Shard) childEnded(run *Run, p *event.Parent) {
	away, parked := r.parked[p.Run]
	if r.runs[p.Run] == nil && !parked && r.newer[p.Run] == nil {
		return
	}
	end := run.S.End()
	known := true
	if end.State == replay.Completed {
		end.Output, known = run.S.InlineOutput()
	}
	if known && (r.runs[p.Run] != nil || parked && away.state != nil) {
		if parent, err := r.run(p.Run); parent != nil && err == nil {
			r.give(parent, childOver{p.Step, end})
			return
		}
	}
	e := endOf{run.S.Run, run.S.ID, p.Run, p.Step}
	value, err := json.Marshal(e)
	if err != nil {
		r.fail(err)
		return
	}
	r.b.Rows = append(r.b.Rows, journal.Row{Key: endRow(e.Child), Value: value})
	r.b.ends = append(r.b.ends, e)
}

// childOver is the end of a child, as its parent records it.
type childOver struct {
	step replay.Instance
	end  replay.ChildEnd
}

func (f childOver) fold(_ *Shard, _ *Run, t *replay.Turn) { t.ChildOver(f.step, f.end) }

// askEnd asks what a child that has ended gave.
func (r *Shard) askEnd(e endOf) {
	if r.cfg.Evaluate != nil {
		r.cfg.Evaluate(&Question{Ask: replay.AskEnd, Run: e.Parent, Step: e.Step, Child: e.Child, ChildID: e.ID})
	}
}

// readEnds reads what parents do not know yet.
func (r *Shard) readEnds() error {
	return r.readEach(endRows, "the parent of a run must be told its end", "cancel that parent and retry it", func(value []byte) error {
		var e endOf
		if err := json.Unmarshal(value, &e); err != nil {
			return err
		}
		r.ends = append(r.ends, e)
		return nil
	})
}

// readEach gives the rows of a prefix to take. One that is damaged is told of: what it says, and the way out.
func (r *Shard) readEach(prefix, says, wayOut string, take func(value []byte) error) error {
	rows, err := r.j.Rows(prefix)
	if err != nil {
		return err
	}
	for _, row := range rows {
		bad := errors.New(row.Damaged)
		if row.Damaged == "" {
			bad = take(row.Value)
		}
		if bad != nil {
			r.damaged(journal.Damage{Kind: "row", Detail: fmt.Sprintf("the row %s says that %s, and cannot be read: %v; %s", strconv.Quote(row.Key), says, bad, wayOut)})
		}
	}
	return nil
}

// told says that the parent knows of the end of a child.
func (r *Shard) told(child uint64) {
	r.b.Rows = append(r.b.Rows, journal.Row{Key: endRow(child)})
}

// leave puts the children in the queue that a run wants cancelled from now on.
func (r *Shard) leave(s *replay.State) {
	for _, i := range s.Left() {
		if c, ok := s.Child(i); ok && c.Unwanted() {
			r.nursery.strays = append(r.nursery.strays, stray{s.Run, i, c.ID})
		}
	}
}

func (in *stray) needs(r *Shard) bool { return r.needID(in.id) }

// admit cancels the child, unless it has ended: then its parent hears of that.
func (in *stray) admit(r *Shard) {
	parent := r.runs[in.run]
	if parent == nil {
		return
	}
	c, ok := parent.S.Child(in.step)
	if !ok || c.ID != in.id || !c.Unwanted() {
		return
	}
	child, err := r.find(in.id)
	switch {
	case child != nil && !child.S.Status.Ended():
		why := "the step of its parent has ended"
		if c.Stopped && !c.Leaving {
			why = "it was not over within its step's timeout_ms"
		}
		r.give(child, childCancel{parent, in.step, in.id, why})
	case err == ErrAway:
		row, _ := r.needs.ids.row(in.id)
		r.b.ends = append(r.b.ends, endOf{row.Run, in.id, in.run, in.step})
	case err == refusal.ErrRunNotFound, errors.Is(err, refusal.ErrRunExpired):
		r.give(parent, childOver{in.step, replay.ChildEnd{ID: in.id, State: replay.Cancelled, Why: ": it was deleted"}})
	}
}

// childCancel cancels a child for its parent, if that still wants it.
type childCancel struct {
	parent *Run
	step   replay.Instance
	id     string
	why    string
}

func (f childCancel) fold(r *Shard, run *Run, t *replay.Turn) {
	if c, ok := f.parent.S.Child(f.step); !ok || c.ID != f.id || !c.Unwanted() {
		return
	}
	scheduledCancel{"", f.why}.fold(r, run, t)
}

// oweChildren puts what a run is owed for its children in the queues, when memory has been folded anew.
func (r *Shard) oweChildren(s *replay.State) {
	s.Left()
	s.EachUnwanted(func(i replay.Instance, id string) { r.nursery.strays = append(r.nursery.strays, stray{s.Run, i, id}) })
}

// pauseChildren takes back what a run asks for its children: none starts while it is paused.
func (r *Shard) pauseChildren(run *Run) {
	for i, st := range run.S.All() {
		if st.State == replay.StepScheduled && st.Kind().Children() {
			delete(run.asked, i)
		}
	}
}
