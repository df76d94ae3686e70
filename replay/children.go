package replay

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/pack"
)

// Children: a step of type workflow starts a run of another workflow, its child, and ends as that run does. The step is scheduled until its
// child is started, and then waits. That a child is started, with its id, is recorded in the same commit as the child's own start, and its
// end in the commit of the child's end or in a later one: who owns both runs must bring it, also after a restart.

// MaxDepth is how many runs may stand above a child.
const MaxDepth = 20

// Child is the last child of an instance.
type Child struct {
	ID      string
	Attempt uint32
	Open    bool // it has not ended, as far as its parent knows, and was not left alone
	Stopped bool // its time was over: it is cancelled, and the step waits for its end
	Leaving bool // it is cancelled, and no step waits for it

	stoppedAt int64 // Unix ms: since when it is Stopped; 0: it is not, or a snapshot of before did not keep it
}

// Child gives the last child of an instance; false: it has none that counts.
func (s *State) Child(i Instance) (Child, bool) {
	if c := s.children[i]; c != nil {
		return *c, true
	}
	return Child{}, false
}

// Unwanted is how many children are cancelled and have not ended yet, as far as the run knows.
func (s *State) Unwanted() int { return int(s.leaving) }

// Left takes the instances whose children began to be unwanted since the last call.
func (s *State) Left() []Instance {
	l := s.left
	s.left = nil
	return l
}

// EachUnwanted calls with each instance whose child is to be cancelled and has not ended yet, by number.
func (s *State) EachUnwanted(fn func(i Instance, id string)) {
	if len(s.children) == 0 {
		return
	}
	for _, i := range slices.Sorted(maps.Keys(s.children)) {
		if c := s.children[i]; c.Unwanted() {
			fn(i, c.ID)
		}
	}
}

// openChild says that the instance waits for its child.
func (s *State) openChild(i Instance) bool {
	c := s.children[i]
	return c != nil && c.Open && !c.Leaving
}

// asksChild says that a child of the instance is to be started.
func (s *State) asksChild(i Instance) bool {
	st := s.At(i)
	return st != nil && st.State == StepScheduled && st.Kind().children && s.Pause == nil
}

// ChildInput says where the input of an instance's child stands: in a payload, in the definition, or as an item of a list.
type ChildInput struct {
	Payload Payload
	Literal []byte // not nil: this
	Item    bool   // it is the item of that index of the list Payload
	Index   int
}

// ChildInput gives the input of an instance's child.
func (s *State) ChildInput(i Instance) ChildInput {
	if input, ok := s.StepInput(i); ok {
		return ChildInput{Payload: input}
	}
	if step, index, ok := s.ItemOf(i); ok {
		list, _ := s.List(step)
		return ChildInput{Payload: list, Item: true, Index: index}
	}
	if own := s.Spec(i).InputData; own != nil && string(own) != "null" {
		return ChildInput{Literal: own}
	}
	if deps := s.Deps(i); len(deps) == 1 {
		if s.Steps[deps[0]].State != StepCompleted {
			return ChildInput{Literal: null}
		}
		return ChildInput{Payload: s.Steps[deps[0]].Output}
	}
	return ChildInput{Payload: s.Input}
}

// Inline gives the input when memory has it; false: the journal must be read.
func (in ChildInput) Inline() ([]byte, bool) {
	switch {
	case in.Literal != nil:
		return in.Literal, true
	case in.Payload.Data == nil && in.Payload.Seq != 0:
		return nil, false
	case !in.Item:
		return orNull(in.Payload.Data), true
	}
	n, item := 0, null
	flow.EachItem(in.Payload.Data, func(b []byte) {
		if n == in.Index {
			item = slices.Clone(b)
		}
		n++
	})
	return item, true
}

func orNull(b []byte) []byte {
	if len(b) == 0 {
		return null
	}
	return b
}

// InlineOutput gives what a run that has completed gives, when memory has all of it; false: the journal must be read.
func (s *State) InlineOutput() ([]byte, bool) {
	if s.Graph.Def.Output != nil {
		return s.Output.Data, s.Output.Data != nil
	}
	out := []byte{'{'}
	for _, i := range s.Graph.Sinks {
		st := &s.Steps[i]
		if st.State != StepCompleted {
			continue
		}
		if st.Output.Data == nil && st.Output.Seq != 0 {
			return nil, false
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(strconv.AppendQuote(out, s.Name(i)), ':'), orNull(st.Output.Data)...)
	}
	return append(out, '}'), true
}

// Depth is how many runs stand above this one.
func (s *State) Depth() uint32 {
	if s.Parent == nil {
		return 0
	}
	return s.Parent.Depth
}

// StartChild records that a child of the instance is started: its id, and what its start says of its parent. nil: there is none, for
// it would be too deep.
func (t *Turn) StartChild(i Instance, version uint32) (id string, parent *event.Parent) {
	s := t.S
	st, spec := s.At(i), s.Spec(i)
	if s.Depth() >= MaxDepth {
		t.Fail(i, st.Attempt, AttemptError{Code: failure.TooDeep, Final: true, Message: fmt.Sprintf("%d runs stand above this one, and a child may have at most %d above it", s.Depth(), MaxDepth)})
		return "", nil
	}
	if c := s.children[i]; c != nil && c.Open { // it cannot go on: somebody has deleted it, say
		t.add(event.Event{Kind: event.ChildEnded, Step: i, ID: c.ID, Code: "gone"})
	}
	id = t.childID(i)
	t.add(event.Event{Kind: event.ChildStarted, Step: i, Attempt: st.Attempt, ID: id, Name: spec.Workflow, Version: version, Due: t.childDue(spec)})
	if t.Err != nil {
		return "", nil
	}
	return id, &event.Parent{Run: s.Run, ID: s.ID, Step: i, Name: s.Name(i), Attempt: st.Attempt, Depth: s.Depth() + 1, Abandon: spec.OnParentEnd == flow.AbandonChild,
		Rest: s.Graph.Endings() || s.Parent != nil && s.Parent.Rest}
}

// NoChild records that no child of the instance can start.
func (t *Turn) NoChild(i Instance, why string) {
	t.Fail(i, t.S.At(i).Attempt, AttemptError{Code: failure.TaskUnreadable, Final: true, Message: why})
}

// TakeChild records that the last child of the instance goes on for it.
func (t *Turn) TakeChild(i Instance) {
	s := t.S
	spec := s.Spec(i)
	t.add(event.Event{Kind: event.ChildStarted, Step: i, Attempt: s.At(i).Attempt, ID: s.children[i].ID, Name: spec.Workflow, Due: t.childDue(spec), Forced: true})
}

func (t *Turn) childDue(spec *Spec) int64 {
	if spec.TimeoutMS == nil {
		return 0
	}
	return t.At + *spec.TimeoutMS
}

// longChildID is how long the id of a child may become by beginning with that of its parent.
const longChildID = 200

// childID makes the id of a child. It tells people where the child belongs; what stands behind the dot nobody can have taken: it follows
// from the place in the log and from the random number of the engine's start.
func (t *Turn) childID(i Instance) string {
	h := fnv.New64a()
	var b [24]byte
	binary.BigEndian.PutUint64(b[:], t.Boot)
	binary.BigEndian.PutUint64(b[8:], t.Seq+uint64(len(t.Events)))
	binary.BigEndian.PutUint64(b[16:], t.S.Run)
	h.Write(b[:])
	end := "." + strconv.FormatUint(mix(h.Sum64()), 36)
	name := t.S.Name(i)
	if id := t.S.ID + "/" + name + end; len(id) <= longChildID {
		return id
	}
	return name + end
}

// mix spreads each bit of x over all of it.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ChildEnd is how a child ended.
type ChildEnd struct {
	ID      string
	State   RunState
	Output  []byte // of one that completed
	Why     string // of one that failed, or was cancelled: a sentence
	ErrCode string // of one that failed
	At      int64  // Unix ms: when it failed, or was cancelled; 0: it is not known
}

// ChildOver folds the end of a child, if the run does not know it.
func (t *Turn) ChildOver(i Instance, end ChildEnd) {
	s := t.S
	c := s.children[i]
	if t.Err != nil || c == nil || c.ID != end.ID || !c.Open || s.Status == Quarantined {
		return
	}
	st := s.At(i)
	if !s.Status.Live() || c.Leaving || st == nil || st.State != StepWaiting {
		t.add(event.Event{Kind: event.ChildEnded, Step: i, ID: c.ID, Code: end.State.String()})
		return
	}
	switch {
	case end.State == Completed:
		t.Complete(i, st.Attempt, orNull(end.Output), nil, 0)
	case c.stoppedBefore(end):
		t.Fail(i, st.Attempt, AttemptError{Code: failure.AttemptTimeout, Message: fmt.Sprintf("its child %q was not over within %d ms, and was cancelled", c.ID, *s.Spec(i).TimeoutMS)})
	case end.State == Failed:
		t.Fail(i, st.Attempt, AttemptError{Code: failure.ChildFailed, Type: end.ErrCode, Message: fmt.Sprintf("its child %q failed: %s", c.ID, end.Why)})
	default:
		t.Fail(i, st.Attempt, AttemptError{Code: failure.ChildCancelled, Final: true, Message: fmt.Sprintf("its child %q was cancelled%s", c.ID, end.Why)})
	}
}

// stoppedBefore says that the child ended so because it was stopped. The parent may hear later of an end that came before that: when an
// attempt that the end cancelled has answered, or when its end has been read.
func (c *Child) stoppedBefore(end ChildEnd) bool {
	return c.Stopped && (c.stoppedAt == 0 || end.At == 0 || end.At >= c.stoppedAt)
}

// longWhy is how many bytes of why a child failed its parent's error has.
const longWhy = 512

// End says how a run that has ended tells its parent so, but for its output.
func (s *State) End() ChildEnd {
	end := ChildEnd{ID: s.ID, State: s.Status, At: s.EndedAt}
	if s.Status == Cancelled && s.Fate == Cancelled && s.Decided != 0 { // what it did at its end took some time
		end.At = s.Decided
	}
	switch {
	case s.Status == Failed:
		step, why := s.Why()
		if why == nil {
			why = &StepError{}
		}
		end.ErrCode = why.Code
		end.Why = why.Code
		if step != "" {
			end.Why = fmt.Sprintf("step %q: %s", step, why.Code)
		}
		if why.Message != "" {
			end.Why += ": " + why.Message
		}
		if len(end.Why) > longWhy { // of children that failed by children it would grow with each
			end.Why = strings.ToValidUTF8(end.Why[:longWhy], "") + " …"
		}
	case s.Status == Cancelled && s.Reason != "":
		end.Why = ": " + s.Reason
	}
	return end
}

// childStarted folds that a child was started, or goes on.
func (s *State) childStarted(at int64, e *event.Event, st *Step) string {
	if e.Attempt != st.Attempt {
		return fmt.Sprintf("the step is %s at attempt %d", st.State, st.Attempt)
	}
	c := s.children[e.Step]
	if e.Forced && (c == nil || c.ID != e.ID) || !e.Forced && c != nil && c.Open {
		return "its last child is another one"
	}
	if s.children == nil {
		s.children = map[Instance]*Child{}
	}
	s.stay(c)
	s.children[e.Step] = &Child{ID: e.ID, Attempt: e.Attempt, Open: true}
	st.Due = e.Due
	s.to(st, StepWaiting, at)
	return ""
}

func (s *State) childStopped(at int64, e *event.Event, st *Step) string {
	if !s.openChild(e.Step) {
		return "it has no child that is open"
	}
	s.children[e.Step].Stopped, s.children[e.Step].stoppedAt = true, at
	s.left = append(s.left, e.Step)
	st.Due = 0
	return ""
}

func (s *State) childEnded(e *event.Event) string {
	c := s.children[e.Step]
	if c == nil || c.ID != e.ID || !c.Open {
		return "it has no such child that is open"
	}
	s.stay(c)
	if c.Open = false; s.takenBack(e.Step) { // its step of finally runs anew
		delete(s.children, e.Step)
	}
	return ""
}

// closeChild folds that the step knows how its child ended.
func (s *State) closeChild(i Instance) {
	if c := s.children[i]; c != nil {
		s.stay(c)
		c.Open, c.Stopped, c.stoppedAt = false, false, 0
	}
}

// leaveChild folds that the instance ends and its child has not: it is left alone, or to be cancelled.
func (s *State) leaveChild(i Instance) {
	c := s.children[i]
	switch {
	case c == nil || !c.Open || c.Leaving:
	case s.Spec(i).OnParentEnd == flow.AbandonChild:
		c.Open, c.Stopped, c.stoppedAt = false, false, 0
	default:
		c.Leaving, c.stoppedAt = true, 0
		s.leaving++
		s.left = append(s.left, i)
	}
}

// Unwanted says that the child is to be cancelled.
func (c Child) Unwanted() bool { return c.Open && (c.Leaving || c.Stopped) }

// stay takes back that a child is cancelled for nobody waits for it.
func (s *State) stay(c *Child) {
	if c != nil && c.Leaving {
		c.Leaving = false
		s.leaving--
	}
}

// forgetChild folds that the next attempt, or round, of the instance has a child of its own.
func (s *State) forgetChild(i Instance) {
	if c := s.children[i]; c != nil && !c.Open {
		delete(s.children, i)
	}
}

// Reuse is what a child is to its step when that runs again.
type Reuse uint8

const (
	ReuseNot    Reuse = iota // it can do nothing for it: a new child takes its place
	ReuseGoesOn              // it has not ended, and goes on for it
	ReuseGives               // it has completed, and what it gave counts
	ReuseRetry               // it is retried
	ReuseLater               // it is finishing and will not complete: when it has ended, it is retried, or replaced
)

// Reuse says what the run is, as a child, to a step of its parent that runs again, and why it is nothing.
func (s *State) Reuse(parent uint64, step Instance) (Reuse, string) {
	switch {
	case s.Parent == nil || s.Parent.Run != parent || s.Parent.Step != step:
		return ReuseNot, "it was deleted, and another run has its id"
	case s.Doomed():
		return ReuseLater, ""
	case s.Status == Quarantined:
		return ReuseNot, "it is quarantined"
	case !s.Status.Ended():
		return ReuseGoesOn, ""
	case s.Status == Completed:
		return ReuseGives, ""
	case s.Hurt:
		return ReuseNot, "a part of it is damaged"
	case s.Touched:
		return ReuseNot, "steps of it were compensated"
	}
	return ReuseRetry, ""
}

const (
	childOpen = 1 << iota
	childStopped
	childLeaving
)

func (s *State) appendChildren(f *fields) bool {
	if s.Parent != nil {
		f.key(kParent)
		f.buf = event.AppendParent(f.buf, s.Parent)
	}
	if len(s.children) == 0 {
		return s.Parent != nil
	}
	f.key(kChildren)
	f.buf = pack.AppendArray(f.buf, len(s.children))
	for _, i := range slices.Sorted(maps.Keys(s.children)) {
		c := s.children[i]
		flags := uint64(0)
		for bit, is := range map[uint64]bool{childOpen: c.Open, childStopped: c.Stopped, childLeaving: c.Leaving} {
			if is {
				flags |= bit
			}
		}
		f.buf = pack.AppendUint(pack.AppendArray(f.buf, 4), uint64(i))
		f.buf = pack.AppendString(f.buf, c.ID)
		f.buf = pack.AppendUint(pack.AppendUint(f.buf, uint64(c.Attempt)), flags)
	}
	return true
}

// appendStops writes since when children are stopped, if any are: [instance, time]. The digest of a state does not hold it.
func (s *State) appendStops(f *fields) {
	n := 0
	for _, c := range s.children {
		if c.stoppedAt != 0 {
			n++
		}
	}
	if n == 0 {
		return
	}
	f.key(kStops)
	f.buf = pack.AppendArray(f.buf, n)
	for _, i := range slices.Sorted(maps.Keys(s.children)) {
		if at := s.children[i].stoppedAt; at != 0 {
			f.buf = pack.AppendInt(pack.AppendUint(pack.AppendArray(f.buf, 2), uint64(i)), at)
		}
	}
}

func (s *State) readStops(r *pack.Reader) error {
	for range r.Array() {
		r.Array()
		i, at := Instance(r.Uint32()), r.Int()
		if r.Err() != nil {
			return nil // the caller says so
		}
		c := s.children[i]
		if c == nil || !c.Stopped || c.Leaving {
			return fmt.Errorf("replay: encoded state: the child of step %d, which is not stopped, is since %d: %w", i, at, event.ErrFormat)
		}
		c.stoppedAt = at
	}
	return nil
}

func (s *State) readChildren(r *pack.Reader) error {
	s.children = map[Instance]*Child{}
	for range r.Array() {
		if r.Array() != 4 {
			return fmt.Errorf("replay: encoded child: %w", cmp.Or(r.Err(), event.ErrFormat))
		}
		i := Instance(r.Uint32())
		c := &Child{ID: r.String(), Attempt: r.Uint32()}
		flags := r.Uint()
		if r.Err() != nil {
			return nil // the caller says so
		}
		if flags >= childLeaving<<1 || s.At(i) == nil && !s.isItem(i) {
			return fmt.Errorf("replay: encoded state: a child of step %d with flags %d: %w", i, flags, event.ErrFormat)
		}
		c.Open, c.Stopped, c.Leaving = flags&childOpen != 0, flags&childStopped != 0, flags&childLeaving != 0
		if c.Leaving {
			s.leaving++
		}
		s.children[i] = c
	}
	return nil
}

// checkChildren says which rule is broken: an open child is one for which its step waits, or is reopened for, or one that is cancelled.
func (s *State) checkChildren() string {
	leaving := int32(0)
	for i, c := range s.children {
		if c.Leaving {
			leaving++
		}
		st := s.At(i)
		switch {
		case st == nil && !c.Unwanted() && !s.Dropped(i):
			return fmt.Sprintf("10: the child of instance %d is known, and the instance is not", i)
		case st == nil: // its item has completed, or a retry began its list anew and it has not ended yet
		case c.Leaving && !c.Open, c.Open && !c.Leaving && !st.State.Open() && st.State != StepPending && st.State != StepDormant && s.Status != Quarantined:
			return fmt.Sprintf("10: the child %q of step %q, which is %s, is open: %v, and to be cancelled: %v", c.ID, s.Name(i), st.State, c.Open, c.Leaving)
		}
	}
	if leaving != s.leaving {
		return fmt.Sprintf("10: %d children are to be cancelled, want %d", s.leaving, leaving)
	}
	return ""
}
