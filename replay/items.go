package replay

import (
	"fmt"
	"iter"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
)

// Items: a step with for_each goes over a list. What the list is was worked out when the step started, and is recorded for good
// (ItemsSet). Each item is an instance, with attempts, keys and budgets of its own, and does what the step does; the step waits for them.
// They begin in the order of the list. An item that has completed is not kept as an instance: what is left of it is where its output
// stands. So a run's memory follows what is open, and a few words for each item.

// items is where the items of a step stand.
type items struct {
	of   Instance // the step
	list Payload
	each []item

	next      int // none before this one waits for its turn
	open      int
	completed int
	failed    int    // for good
	skipped   int    // by hand
	bytes     uint64 // of the outputs of those that completed
}

// item is one item of a list.
type item struct {
	st      *Step  // nil: it has not begun, or it has completed
	seq     uint64 // where its output stands, when it has completed; 0: it has not
	since   int64  // Unix ms: when it completed
	answer  Answer // by which it completed
	len     uint32 // bytes of its output
	attempt uint32 // the last one, when it has completed
	size    uint32 // bytes that the item itself has in the list
}

// completed says that the item has completed.
func (it *item) completed() bool { return it.st == nil && it.seq != 0 }

// attempted says that a handler had the item, or a child was started for it: one that was completed by hand need not have begun.
func (it *item) attempted() bool {
	return it.completed() && it.attempt > 0 || it.st != nil && it.st.Attempt > 0
}

// ItemState is where an item of a step stands, for those who look.
type ItemState struct {
	Index   int
	State   StepState // StepPending: it waits for its turn
	Attempt uint32
	Since   int64 // Unix ms; 0: it has not begun
	Size    uint32
	Output  Payload    // of one that completed
	Error   *StepError // of the last failed attempt; nil: none
	St      *Step      // nil: it has not begun, or it has completed
}

// ItemCounts is how many items of a step stand where.
type ItemCounts struct{ Total, Completed, Failed, Skipped, Open int }

// isItem says whether the number is that of an item.
func (s *State) isItem(i Instance) bool {
	_, _, is := s.Graph.Item(i)
	return is
}

// itemsOf gives the items of a step with for_each, once they are known; nil else.
func (s *State) itemsOf(step Instance) *items {
	if len(s.lists) == 0 {
		return nil
	}
	if at := s.Graph.ListOf(step); at >= 0 {
		return s.lists[at]
	}
	return nil
}

// itemAt gives the items among which an instance is one, and its index; nil: it is none that is known.
func (s *State) itemAt(i Instance) (*items, int) {
	if len(s.lists) == 0 {
		return nil, 0
	}
	list, index, ok := s.Graph.Item(i)
	if !ok || s.lists[list] == nil || int(index) >= len(s.lists[list].each) {
		return nil, 0
	}
	return s.lists[list], int(index)
}

// Items gives the instances of a step's items that are kept: those that are open, have failed or were cancelled.
func (s *State) Items(step Instance) iter.Seq2[Instance, *Step] {
	return func(yield func(Instance, *Step) bool) {
		if l := s.itemsOf(step); l != nil {
			s.eachKept(l, yield)
		}
	}
}

func (s *State) eachKept(l *items, yield func(Instance, *Step) bool) bool {
	first := s.first(l.of)
	for k := range l.each {
		if st := l.each[k].st; st != nil && !yield(first+Instance(k), st) {
			return false
		}
	}
	return true
}

// ItemNumber is the instance of an item of a step with for_each.
func (s *State) ItemNumber(step Instance, index int) Instance { return s.first(step) + Instance(index) }

// first is the number of the first item of a step.
func (s *State) first(of Instance) Instance { return s.Graph.Lists[s.Graph.ListOf(of)].First }

// Counts says how the items of a step stand; false: it has none, or they are not known yet.
func (s *State) ItemCounts(step Instance) (ItemCounts, bool) {
	l := s.itemsOf(step)
	if l == nil {
		return ItemCounts{}, false
	}
	return ItemCounts{Total: len(l.each), Completed: l.completed, Failed: l.failed, Skipped: l.skipped, Open: l.open}, true
}

// ItemStates calls with each item of a step from an index on, until fn says that it is enough.
func (s *State) ItemStates(step Instance, from int, fn func(ItemState) bool) {
	l := s.itemsOf(step)
	if l == nil {
		return
	}
	over := !s.Steps[step].State.Open()
	for k := max(from, 0); k < len(l.each); k++ {
		it := &l.each[k]
		out := ItemState{Index: k, Size: it.size, St: it.st}
		switch {
		case it.completed():
			out.State, out.Attempt, out.Since, out.Output = StepCompleted, it.attempt, it.since, Payload{Seq: it.seq, Len: it.len}
		case it.st != nil:
			out.State, out.Attempt, out.Since, out.Error = it.st.State, it.st.Attempt, it.st.Since, it.st.Error
		}
		if over && out.State == StepPending {
			out.State = StepCancelled // its step has ended without it
		}
		if !fn(out) {
			return
		}
	}
}

// ItemOf says of which step an instance is an item, and its index; false: it is none.
func (s *State) ItemOf(i Instance) (step Instance, index int, ok bool) {
	list, k, ok := s.Graph.Item(i)
	if !ok {
		return 0, 0, false
	}
	return s.Graph.Lists[list].Step, int(k), true
}

// Known says whether the instance of that number is one of the run: a step, an added one, or an item of a list that is known.
func (s *State) Known(i Instance) bool {
	l, _ := s.itemAt(i)
	return l != nil || s.At(i) != nil
}

// OutputOf gives the output of an instance that has completed, also of one that is not kept any more.
func (s *State) OutputOf(i Instance) Payload {
	if st := s.At(i); st != nil {
		return st.Output
	}
	if l, k := s.itemAt(i); l != nil {
		return Payload{Seq: l.each[k].seq, Len: l.each[k].len}
	}
	return Payload{}
}

// StateOf is the state of an instance, also of one that is not kept any more because it has completed.
func (s *State) StateOf(i Instance) StepState {
	if st := s.At(i); st != nil {
		return st.State
	}
	if l, k := s.itemAt(i); l != nil && !l.each[k].completed() {
		return StepPending
	}
	return StepCompleted
}

// Shown is the state of an instance as people see it: a step that waits for its items, or for its child, is running.
func (s *State) Shown(i Instance) StepState {
	if state := s.StateOf(i); state != StepWaiting || s.itemsOf(i) == nil && !s.openChild(i) {
		return state
	}
	return StepRunning
}

// Shared gives the step whose definition an instance shares: of an item its step, and of any other the instance itself.
func (s *State) Shared(i Instance) Instance {
	if step, _, ok := s.ItemOf(i); ok {
		return step
	}
	return i
}

// List gives the list that a step goes over; false: it is not known yet.
func (s *State) List(step Instance) (Payload, bool) {
	if l := s.itemsOf(step); l != nil {
		return l.list, true
	}
	return Payload{}, false
}

// asksItems says that the step goes over a list that nobody has worked out yet.
func (s *State) asksItems(i Instance) bool {
	return s.Graph.Def.Steps[i].ForEach != nil && s.itemsOf(i) == nil
}

// asksOutput says that all items of the step have settled, and nobody has put their outputs together yet.
func (s *State) asksOutput(i Instance) bool {
	l := s.itemsOf(i)
	return l != nil && s.Steps[i].State == StepWaiting && l.settled()
}

// asksFill says that an item of the step would begin, and nobody has worked out what its templates come to.
func (s *State) asksFill(i Instance) bool {
	l := s.itemsOf(i)
	if l == nil || s.Steps[i].State != StepWaiting || !s.Graph.Templates(i) || l.open >= s.Graph.Def.Steps[i].ParallelOf() {
		return false
	}
	k, more := l.waits()
	return more && s.asksTemplates(s.first(i)+Instance(k))
}

// fillAtOnce is of how many items the templates are worked out at once.
const fillAtOnce = 256

// NextItems gives the items of a step that begin next and whose templates nobody has worked out, and whether their object keys have some.
func (s *State) NextItems(step Instance) (index []int, ofKeys bool) {
	l := s.itemsOf(step)
	if l == nil {
		return nil, false
	}
	room := min(s.Graph.Def.Steps[step].ParallelOf()-l.open, fillAtOnce)
	for k := l.next; k < len(l.each) && len(index) < room; k++ {
		if l.each[k].waits() && s.asksTemplates(s.first(step)+Instance(k)) {
			index = append(index, k)
		}
	}
	return index, s.Graph.KeyTemplates(step)
}

// FilledItem is what the templates of one item came to.
type FilledItem struct {
	Index int
	Evaluated
}

// filledItems records what the templates of items came to, and begins them. One of which something could not be worked out fails.
func (t *Turn) filledItems(i Instance, got Evaluated) {
	s := t.S
	if got.Err != "" {
		t.fail(i, 0, got.code(), got.Err)
		return
	}
	l := s.itemsOf(i)
	for n := range got.Items {
		f := &got.Items[n]
		if t.Err != nil || s.Steps[i].State != StepWaiting {
			return
		}
		if f.Index >= len(l.each) || !l.each[f.Index].waits() {
			continue
		}
		item := s.first(i) + Instance(f.Index)
		if f.Err != "" {
			t.fail(item, 0, f.code(), f.Err)
			continue
		}
		t.prepare(item, f.Evaluated)
	}
	t.goOver(i)
}

func (l *items) settled() bool { return l.over() == len(l.each) && len(l.each) > 0 }

// over is how many items have settled.
func (l *items) over() int { return l.completed + l.failed + l.skipped }

// Outputs gives the outputs of a step's items, in order; Seq 0 stands for null.
func (s *State) Outputs(step Instance) []Payload {
	l := s.itemsOf(step)
	if l == nil {
		return nil
	}
	out := make([]Payload, len(l.each))
	for k := range l.each {
		if it := &l.each[k]; it.completed() {
			out[k] = Payload{Seq: it.seq, Len: it.len}
		}
	}
	return out
}

// outputBytes is the size of the step's output, as a list.
func (l *items) outputBytes() uint64 {
	nulls := uint64(len(l.each) - l.completed)
	return l.bytes + nulls*uint64(len("null")) + uint64(max(len(l.each)-1, 0)) + 2
}

// begunItem is the instance of an item that begins, if it has not begun.
func (s *State) begunItem(i Instance) *Step {
	l, k := s.itemAt(i)
	if l == nil || l.each[k].completed() {
		return nil
	}
	it := &l.each[k]
	if it.st == nil {
		floor := s.floor(s.Graph.ListOf(l.of))
		it.st = &Step{kind: s.Steps[l.of].kind, Attempt: floor, Floor: floor}
	}
	return it.st
}

// itemsSet folds what list a step goes over, or that it goes on with it.
func (s *State) itemsSet(seq uint64, at int64, e *event.Event, st *Step) string {
	l := s.itemsOf(e.Step)
	switch {
	case (l == nil) != (e.Payload != nil):
		return fmt.Sprintf("the step has a list already: %v", l != nil)
	case l == nil:
		list := s.Graph.ListOf(e.Step)
		if list < 0 {
			return "the step goes over no list"
		}
		l = &items{of: e.Step, list: keep(seq, e.Payload)}
		flow.EachItem(e.Payload, func(b []byte) { l.each = append(l.each, item{size: uint32(len(b))}) })
		if len(l.each) > int(s.Graph.Lists[list].Room) {
			return fmt.Sprintf("a list of %d items, there is room for %d", len(l.each), s.Graph.Lists[list].Room)
		}
		s.setItems(list, l)
	}
	st.again = false
	s.to(st, StepWaiting, at)
	return ""
}

func (s *State) setItems(list int, l *items) {
	if s.lists == nil {
		s.lists = make([]*items, len(s.Graph.Lists))
	}
	s.lists[list] = l
}

// itemMoved folds that an event changed where an item stands.
func (s *State) itemMoved(l *items, k int, was StepState) {
	it := &l.each[k]
	is := it.st.State
	if is == was {
		return
	}
	l.open += count(is.Open()) - count(was.Open())
	l.failed += count(is == StepFailed) - count(was == StepFailed)
	l.skipped += count(is == StepSkipped) - count(was == StepSkipped)
	if is != StepCompleted {
		return
	}
	st := it.st
	l.completed++
	l.bytes += uint64(st.Output.Len)
	it.seq, it.len, it.attempt, it.since, it.answer, it.st = st.Output.Seq, st.Output.Len, st.Attempt, st.Since, st.Answer, nil
	delete(s.rounds, s.first(l.of)+Instance(k))
	i := s.first(l.of) + Instance(k)
	if _, out := s.Out(i); !out && !s.compensable(i) { // its compensation has the same input and keys, and who was given it may still hold those
		delete(s.filled, i)
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// cancelItems folds that the step of these items has failed: those that are open are cancelled. An attempt that a worker has is out until
// it answers, as when a run ends.
func (s *State) cancelItems(l *items, at int64) {
	s.eachKept(l, func(i Instance, st *Step) bool {
		if st.State.Open() {
			s.cancel(i, st, at)
		}
		return true
	})
	l.open = 0
}

// reopenItems makes the items of a step that is ready anew so, too, but for those that have completed or were skipped.
func (s *State) reopenItems(l *items, at int64) {
	for k := range l.each {
		if st := l.each[k].st; st != nil && st.State != StepSkipped {
			s.becomeReadyAgain(st, at)
			st.Floor, st.Was = st.Attempt, 0
			s.stay(s.children[s.first(l.of)+Instance(k)])
		}
	}
	l.next, l.open, l.failed = 0, 0, 0
}

// waits gives the first item that waits for its turn; false: there is none.
func (l *items) waits() (int, bool) {
	for ; l.next < len(l.each); l.next++ {
		if l.each[l.next].waits() {
			return l.next, true
		}
	}
	return 0, false
}

// waits says that the item waits for its turn.
func (it *item) waits() bool {
	return !it.completed() && (it.st == nil || it.st.State == StepPending)
}

// setItems begins a step over a list.
func (t *Turn) setItems(i Instance, list []byte) {
	n := int64(0)
	flow.EachItem(list, func([]byte) { n++ })
	room := int64(t.S.Graph.Lists[t.S.Graph.ListOf(i)].Room)
	switch {
	case n > room:
		t.fail(i, 0, failure.TooManyItems, fmt.Sprintf("for_each gives %d items; max_items is %d", n, room))
		return
	case len(list) > MaxTask:
		t.fail(i, 0, failure.TooManyItems, fmt.Sprintf("for_each gives a list of %d bytes, the limit is %d", len(list), MaxTask))
		return
	}
	t.add(event.Event{Kind: event.ItemsSet, Step: i, Payload: list})
	t.goOver(i)
}

// goOver begins items of a step, as many as may be open, or ends it.
func (t *Turn) goOver(i Instance) {
	s := t.S
	l := s.itemsOf(i)
	if l == nil {
		return
	}
	most := s.Graph.Def.Steps[i].ParallelOf()
	going := func() bool { return t.Err == nil && s.moves(i) && s.Steps[i].State == StepWaiting }
	for going() && l.open < most {
		k, more := l.waits()
		if !more {
			break
		}
		item := s.first(i) + Instance(k)
		if s.asksTemplates(item) {
			s.wanted = append(s.wanted, i)
			return
		}
		if s.begunItem(item); s.At(item).Kind().children {
			t.schedule(item)
			continue
		}
		t.offer(item)
	}
	switch {
	case !going():
	case len(l.each) == 0:
		t.add(event.Event{Kind: event.StepCompleted, Step: i, Payload: []byte("[]")})
	case l.settled() && l.outputBytes() > MaxTask:
		t.fail(i, 0, failure.OutputTooLarge, fmt.Sprintf("the outputs of its %d items are %d bytes together, the limit is %d", len(l.each), l.outputBytes(), MaxTask))
	case l.settled():
		s.wanted = append(s.wanted, i)
	}
}

// itemSettled decides what the end of an item means for its step.
func (t *Turn) itemSettled(l *items) {
	s := t.S
	if s.Steps[l.of].State != StepWaiting {
		return
	}
	spec := &s.Graph.Def.Steps[l.of]
	if tolerated := spec.TolerateOf(len(l.each)); l.failed > tolerated {
		t.fail(l.of, 0, failure.ItemFailed, l.whyFailed(spec.Name, tolerated))
		return
	}
	s.agenda.push(l.of)
}

// whyFailed names the first item that failed.
func (l *items) whyFailed(step string, tolerated int) string {
	for k := range l.each {
		st := l.each[k].st
		if st == nil || st.State != StepFailed {
			continue
		}
		why := flow.ItemName(step, k) + " failed"
		if tolerated > 0 {
			why = fmt.Sprintf("%d of %d items failed, and tolerate allows %d; the first is %s", l.failed, len(l.each), tolerated, flow.ItemName(step, k))
		}
		if e := st.Error; e != nil {
			why += ": " + e.Code
			if e.Message != "" {
				why += ": " + e.Message
			}
		}
		return why
	}
	return "an item failed"
}

// gathered folds the output of a step over a list: those of its items.
func (t *Turn) gathered(i Instance, got Evaluated) {
	s := t.S
	switch {
	case got.Err != "":
		t.fail(i, 0, failure.TaskUnreadable, got.Err)
	case s.sink(i) && s.overOutput(len(got.List)):
		t.fail(i, 0, failure.TaskTooLarge, fmt.Sprintf("with this output of %d bytes the run's output is over %d bytes", len(got.List), MaxTask))
	default:
		t.add(event.Event{Kind: event.StepCompleted, Step: i, Payload: got.List})
	}
}
