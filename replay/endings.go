package replay

import (
	"encoding/json"
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/pack"
)

// Endings: a run whose definition has compensations, or steps of finally, does not end when its fate is decided. It is finishing: what was
// open is cancelled, and when all of that has come to rest, steps are compensated, if the run failed or was cancelled, one after the
// other; then the steps of finally run, a graph of their own. Then it ends, by its fate.

// ending is what is known of how a run ends, or ended.
type ending struct {
	Fate    RunState // Running: it is not decided
	Decided int64    // Unix ms: when it was; 0: it is not
	Final   bool     // the steps of finally have begun
	Ends    uint32   // ends that a retry took back
	Touched bool     // a compensation was given to somebody: a retry would build on what is taken back

	done       []Instance // steps and items that can be compensated, in the order in which they completed
	queue      []Instance // those to compensate, in order
	undone     int        // how many of them are over
	undoFailed []UndoFailure
	undo       *undoing // the compensation that is under way, or was when the run ended; nil: none
	finals     int32    // steps of finally that are not settled
	floors     []uint32 // by list of finally: attempts of its items up to this one are of an earlier end; nil: none are
}

// undoing is a compensation that is under way.
type undoing struct {
	i Instance
	Step
}

// begun says that somebody has had the compensation, also when the end of the run cancelled it since. Each attempt is of the one compensation: a
// second one follows only a first that failed or was lost.
func (u *undoing) begun() bool {
	state := u.State
	if state == StepCancelled {
		state = u.Was
	}
	return u.Attempt > 1 || state == StepRunning || state == StepRetrying
}

// UndoFailure is a compensation that has failed for good.
type UndoFailure struct {
	Of    Instance // the step or item
	Error *StepError
}

// Live says that the run goes on: it is running, or finishing.
func (s RunState) Live() bool { return s == Running || s == Finishing }

// Doomed says that the run is finishing, and will fail or be cancelled.
func (s *State) Doomed() bool { return s.Status == Finishing && s.Fate != Completed }

// moves says whether an instance may do anything now: the steps of finally, and compensations, have a time of their own.
func (s *State) moves(i Instance) bool {
	switch {
	case s.Status == Running:
		return !s.comesLast(i)
	case s.Status != Finishing:
		return false
	case s.undo != nil && i == s.undo.i:
		return true
	}
	return s.Final && s.comesLast(i)
}

// comesLast says whether an instance is of finally, or a compensation.
func (s *State) comesLast(i Instance) bool {
	if !s.Graph.Endings() || i < s.Graph.Main {
		return false
	}
	if s.Graph.UndoSpec(i) != nil {
		return true
	}
	return s.Graph.Final(s.of(i))
}

// compensable says whether the definition says what compensates an instance.
func (s *State) compensable(i Instance) bool {
	if len(s.Graph.Undos) == 0 {
		return false
	}
	_, ok := s.Graph.UndoOf(i)
	return ok
}

// toCompensate gives what is to be compensated, in order: in reverse order of the definition, what was attempted and has not completed,
// where the definition asks for that; then what has completed, the last first.
func (s *State) toCompensate() []Instance {
	var all []Instance
	undos := s.Graph.Undos
	for n := len(undos) - 1; n >= 0; n-- {
		i := undos[n].Step
		if !s.Graph.Def.Steps[i].Compensate.AlsoIfStarted {
			continue
		}
		if s.Graph.ListOf(i) < 0 {
			if st := &s.Steps[i]; st.Tried && st.State != StepCompleted {
				all = append(all, i)
			}
			continue
		}
		l := s.itemsOf(i)
		for k := 0; l != nil && k < len(l.each); k++ {
			at := len(l.each) - 1 - k
			if st := l.each[at].st; st != nil && st.Tried {
				all = append(all, s.first(i)+Instance(at))
			}
		}
	}
	for n := len(s.done) - 1; n >= 0; n-- {
		all = append(all, s.done[n])
	}
	return all
}

// over ends the run by that event, or, when something is left to do, decides its fate.
func (t *Turn) over(e event.Event) {
	s := t.S
	if t.Err != nil || s.Status != Running || !s.Graph.Endings() {
		t.add(e)
		return
	}
	if t.Stopping != nil { // what was started and the journal does not know yet counts
		t.Stopping(t)
	}
	fate := map[event.Kind]RunState{event.RunCompleted: Completed, event.RunFailed: Failed, event.RunCancelled: Cancelled}[e.Kind]
	if int(s.Graph.Main) == len(s.Steps) && (fate == Completed || len(s.toCompensate()) == 0) {
		t.add(e)
		return
	}
	e.Kind, e.Name = event.RunFinishing, fate.String()
	t.add(e)
}

// finishing folds that the fate of the run is decided.
func (s *State) finishing(seq uint64, at int64, e *event.Event) string {
	fate, ok := ParseRunState(e.Name)
	switch {
	case !ok || !fate.Ended():
		return fmt.Sprintf("%q is no fate", e.Name)
	case !s.Graph.Endings():
		return "nothing is left to do"
	case fate == Completed && s.open != 0:
		return fmt.Sprintf("%d steps are not settled", s.open)
	}
	switch {
	case fate == Completed:
		s.Output = keepIf(seq, e.Payload)
	case fate == Cancelled:
		s.Reason = e.Message
	case e.Code != "":
		s.Fault = &Fault{e.Code, e.Message}
	default:
		s.FailedBy = e.Step
	}
	s.Status, s.Fate, s.Decided, s.Held = Finishing, fate, at, false
	s.stop(at)
	if fate != Completed {
		s.queue = s.toCompensate()
	}
	return ""
}

// finish does what is left to do, one after the other, and ends the run when nothing is.
func (t *Turn) finish() {
	s := t.S
	for t.Err == nil && s.Status == Finishing {
		switch {
		case s.Final:
			for t.Err == nil && s.Status == Finishing && len(s.agenda) > 0 {
				t.consider(s.agenda.pop())
			}
			if t.Err == nil && s.finals == 0 {
				t.end()
			}
			return
		case len(s.Outs) > 0 || s.leaving > 0 || s.undo != nil:
			return
		case s.undone < len(s.queue):
			of := s.queue[s.undone]
			t.add(event.Event{Kind: event.CompensationBegan, Step: of})
			if t.Err == nil {
				t.offer(s.undo.i)
			}
		case int(s.Graph.Main) < len(s.Steps):
			t.add(event.Event{Kind: event.FinallyBegan})
		default:
			t.end()
			return
		}
	}
}

// end ends a run that has nothing left to do by its fate.
func (t *Turn) end() {
	s := t.S
	switch {
	case s.Fate == Completed:
		if i, failed := s.finallyFailed(); failed {
			t.failRun(failure.FinallyFailed, fmt.Sprintf("step %q of finally failed, and nothing caught that: %s", s.Name(i), s.Steps[i].Error.Code))
			return
		}
		t.add(event.Event{Kind: event.RunCompleted})
	case s.Fate == Cancelled:
		t.add(event.Event{Kind: event.RunCancelled, Message: s.Reason, By: t.By})
	case s.Fault != nil:
		t.add(event.Event{Kind: event.RunFailed, Code: s.Fault.Code, Message: s.Fault.Message, By: t.By})
	default:
		t.add(event.Event{Kind: event.RunFailed, Step: s.FailedBy, By: t.By})
	}
}

// End ends a run at once, whatever is left to do: one whose fate was to complete is cancelled, unless a step of finally has failed, and
// nothing that is left could have caught that.
func (t *Turn) End(reason string) {
	s := t.S
	if i, failed := s.finallyFailed(); s.Status != Finishing || s.Fate == Completed && (!failed || s.catchable(i)) {
		t.add(event.Event{Kind: event.RunCancelled, Message: reason, By: t.By})
		return
	}
	t.end()
}

// finallyFailed gives a step of finally whose failure nothing caught: rather one whose failure nothing can catch any more.
func (s *State) finallyFailed() (of Instance, failed bool) {
	for i := s.Graph.Main; int(i) < len(s.Steps); i++ {
		if s.Steps[i].State != StepFailed || s.Steps[i].Caught {
			continue
		}
		if !s.catchable(i) {
			return i, true
		}
		if !failed {
			of, failed = i, true
		}
	}
	return of, failed
}

// catchable says whether a step that is still asleep may catch the failure of a step of finally.
func (s *State) catchable(i Instance) bool {
	e := s.onFailure(i)
	return e >= 0 && s.Steps[e].State != StepSkipped
}

// started says whether a step that a failure may start has started: it is neither asleep nor skipped.
func (st *Step) started() bool { return !ready(st) && st.State != StepSkipped }

// finalFailed decides what the failure of a step of finally means: it settles the step, and stops only what depends on it.
func (t *Turn) finalFailed(i Instance) {
	if e := t.S.onFailure(i); e >= 0 && t.S.Steps[e].started() {
		t.add(event.Event{Kind: event.FailureCaught, Step: i})
	}
}

// compensationBegan folds that a step or an item is taken back.
func (s *State) compensationBegan(at int64, e *event.Event) string {
	i, ok := s.Graph.UndoOf(e.Step)
	switch {
	case s.Status != Finishing:
		return "the run is " + s.Status.String()
	case s.undo != nil || s.Final || s.undone >= len(s.queue) || s.queue[s.undone] != e.Step || !ok:
		return fmt.Sprintf("it is not the turn of step %d to be compensated", e.Step)
	}
	s.undo = &undoing{i: i, Step: Step{Since: at}}
	return ""
}

// isUndo says whether the instance is the compensation that is under way.
func (s *State) isUndo(i Instance) bool { return s.undo != nil && s.undo.i == i }

// undoOver folds that the compensation that was under way is over; why is nil when it did its work.
func (s *State) undoOver(i Instance, why *StepError) {
	if !s.isUndo(i) {
		return
	}
	if why != nil { // the stack stands in the history
		s.undoFailed = append(s.undoFailed, UndoFailure{s.queue[s.undone], &StepError{Code: why.Code, Message: why.Message, Type: why.Type, Attempt: why.Attempt}})
	}
	s.undone++
	s.undo = nil
}

// finallyBegan folds that the steps of finally begin.
func (s *State) finallyBegan(at int64) string {
	if s.Status != Finishing || s.Final || s.undo != nil || s.undone < len(s.queue) || int(s.Graph.Main) == len(s.Steps) {
		return "it is not the turn of finally"
	}
	s.Final = true
	for i := int(s.Graph.Main); i < len(s.Steps); i++ {
		s.Steps[i].Since = at
	}
	return ""
}

// beginFinally looks at the steps of finally. What they depend on has settled already when an operator ended it as he opened the run again.
func (g Graph) beginFinally(t *Turn) {
	for i := int(g.Main); i < len(t.S.Steps); i++ {
		if ready(&t.S.Steps[i]) {
			t.S.agenda.push(Instance(i))
		}
	}
}

// tried folds that somebody has had an attempt of the instance.
func (s *State) tried(i Instance, st *Step) {
	switch {
	case s.undo != nil && i == s.undo.i:
		s.Touched = true
	case s.compensable(i):
		st.Tried = true
	}
}

// StartCounts says whether it decides what the run does at its end that somebody has had the instance, whatever came of it: it is a
// compensation, or is compensated when it was only started. Its start must be on disk before anybody works.
func (s *State) StartCounts(i Instance) bool {
	if !s.Graph.Endings() {
		return false
	}
	undo := s.Spec(i).Compensate
	return s.Target(i) != i || undo != nil && undo.AlsoIfStarted
}

// takeBackEnding folds, for a retry of the run, that its end is none: the steps of finally will run anew.
func (s *State) takeBackEnding(at int64) {
	if !s.Graph.Endings() {
		return
	}
	s.Fate, s.Decided, s.Final, s.queue, s.undone, s.undoFailed, s.undo = Running, 0, false, nil, 0, nil, nil
	s.Ends++
	for i := int(s.Graph.Main); i < len(s.Steps); i++ {
		st := &s.Steps[i]
		if st.State == StepSkipped {
			s.Skipped--
		}
		*st = Step{kind: st.kind, State: s.asleep(Instance(i)), Attempt: st.Attempt, Floor: st.Attempt, Since: at, need: int32(len(s.Graph.Needs[i]))}
		delete(s.conditions, Instance(i))
		delete(s.rounds, Instance(i))
		s.forgetFilled(Instance(i))
		s.forgetList(Instance(i))
	}
	for i, c := range s.children { // each end has children of its own; one that is open still is forgotten when it ends
		if s.comesLast(i) && !c.Open {
			delete(s.children, i)
		}
	}
	s.finals = int32(len(s.Steps)) - s.Graph.Main
}

// takenBack says that what the instance still has is of an end of the run that a retry took back.
func (s *State) takenBack(i Instance) bool { return s.Ends > 0 && !s.Final && s.comesLast(i) }

// forgetFilled folds that what the templates of an instance came to is worked out anew. One that somebody has still needs to know its keys.
func (s *State) forgetFilled(i Instance) {
	if _, out := s.Out(i); !out {
		delete(s.filled, i)
	}
}

// forgetList folds that a step of finally goes over a list no more. Its items count their attempts on.
func (s *State) forgetList(i Instance) {
	l := s.itemsOf(i)
	if l == nil {
		return
	}
	at := s.Graph.ListOf(i)
	if s.floors == nil {
		s.floors = make([]uint32, len(s.Graph.Lists))
	}
	for k := range l.each {
		it := &l.each[k]
		s.floors[at] = max(s.floors[at], it.attempt)
		if it.st != nil {
			s.floors[at] = max(s.floors[at], it.st.Attempt)
		}
		delete(s.rounds, s.first(i)+Instance(k))
		s.forgetFilled(s.first(i) + Instance(k))
	}
	s.lists[at] = nil
}

// floor is the attempt up to which the attempts of items of a list are of an earlier end of the run.
func (s *State) floor(list int) uint32 {
	if s.floors == nil {
		return 0
	}
	return s.floors[list]
}

// Past says whether an attempt was of an item of finally, at an end of the run that a retry took back.
func (s *State) Past(i Instance, attempt uint32) bool {
	list, _, item := s.Graph.Item(i)
	return item && attempt > 0 && attempt <= s.floor(int(list))
}

// Compensation is what a run has compensated, or has left to compensate.
type Compensation struct {
	All    []Instance // steps and items, in order
	Done   []Instance
	Failed []UndoFailure
	Now    Instance // the number of the compensation that is under way; -1: none is
}

// Compensation says what the run compensates. ok is false when it compensates nothing.
func (s *State) Compensation() (c Compensation, ok bool) {
	c = Compensation{All: s.queue, Failed: s.undoFailed, Now: -1}
	failed := s.undoFailed // in the order of the queue
	for _, i := range s.queue[:s.undone] {
		if len(failed) > 0 && failed[0].Of == i {
			failed = failed[1:]
			continue
		}
		c.Done = append(c.Done, i)
	}
	if s.undo != nil && s.Status == Finishing {
		c.Now = s.undo.i
	}
	return c, len(s.queue) > 0
}

// compensated gives the steps of which something was taken back, or may have been.
func (s *State) compensated() map[Instance]bool {
	all := map[Instance]bool{}
	over := s.undone
	if s.undo != nil && s.undo.begun() {
		over++
	}
	for _, i := range s.queue[:over] {
		all[s.of(i)] = true
	}
	return all
}

// Target gives the step or item that an instance is about: of a compensation what it takes back, and of any other the instance itself.
func (s *State) Target(i Instance) Instance {
	if of, ok := s.Graph.Undoes(i); ok {
		return of
	}
	return i
}

// KnowsFate says whether a task of the instance is told the fate of its run.
func (s *State) KnowsFate(i Instance) bool { return s.comesLast(i) }

// FateJSON is the fate of the run, as expressions and tasks see it.
func (s *State) FateJSON() json.RawMessage {
	type why struct {
		Step    string `json:"step,omitempty"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Attempt uint32 `json:"attempt,omitempty"`
	}
	fate := struct {
		State string `json:"state"`
		Error *why   `json:"error"`
	}{State: s.Fate.String()}
	if step, e := s.Why(); e != nil {
		fate.Error = &why{step, e.Code, e.Message, e.Attempt}
	}
	b, _ := json.Marshal(fate) // texts are UTF-8
	return b
}

// appendEnding writes what is known of how the run ends, and says whether anything is.
func (s *State) appendEnding(f *fields, answers bool) bool {
	if !s.Graph.Endings() {
		return false
	}
	list := func(k int, all []Instance) {
		if len(all) == 0 {
			return
		}
		f.key(k)
		f.buf = pack.AppendArray(f.buf, len(all))
		for _, i := range all {
			f.buf = pack.AppendUint(f.buf, uint64(i))
		}
	}
	f.uint(kFate, uint64(s.Fate))
	f.int(kDecided, s.Decided)
	if s.Final {
		f.uint(kFinal, 1)
	}
	f.uint(kEnds, uint64(s.Ends))
	if s.Touched {
		f.uint(kTouched, 1)
	}
	list(kDone, s.done)
	f.uint(kUndone, uint64(s.undone))
	if len(s.undoFailed) > 0 {
		f.key(kUndoFailed)
		f.buf = pack.AppendArray(f.buf, len(s.undoFailed))
		for _, u := range s.undoFailed {
			f.buf = pack.AppendUint(pack.AppendArray(f.buf, 2), uint64(u.Of))
			f.buf = appendError(f.buf, u.Error)
		}
	}
	if s.undo != nil {
		var in fields
		n, a := 2, s.undo.Answer
		if answers && a.Hash != 0 {
			n = 5
		}
		f.key(kUndo)
		f.buf = pack.AppendUint(pack.AppendArray(f.buf, n), uint64(s.undo.i))
		s.undo.fields(&in)
		if f.buf = in.flush(f.buf); n == 5 {
			f.buf = pack.AppendUint(pack.AppendUint(pack.AppendUint(f.buf, uint64(a.Attempt)), a.Hash), a.Boot)
		}
	}
	if s.floors != nil {
		f.key(kFloors)
		f.buf = pack.AppendArray(f.buf, len(s.floors))
		for _, n := range s.floors {
			f.buf = pack.AppendUint(f.buf, uint64(n))
		}
	}
	return true
}

// readEnding reads one field of appendEnding.
func (s *State) readEnding(k uint64, r *pack.Reader) error {
	switch k {
	case kFate:
		s.Fate = RunState(r.Uint())
	case kDecided:
		s.Decided = r.Int()
	case kFinal:
		s.Final = r.Uint() == 1
	case kEnds:
		s.Ends = uint32(r.Uint())
	case kTouched:
		s.Touched = r.Uint() == 1
	case kDone:
		for range r.Array() {
			i := Instance(r.Uint())
			if r.Err() == nil && !s.compensable(i) {
				return fmt.Errorf("replay: encoded state: step %d, which cannot be compensated, is to be: %w", i, event.ErrFormat)
			}
			s.done = append(s.done, i)
		}
	case kUndone:
		s.undone = int(r.Uint())
	case kUndoFailed:
		for range r.Array() {
			r.Array()
			s.undoFailed = append(s.undoFailed, UndoFailure{Instance(r.Uint()), readError(r)})
			if r.Err() != nil {
				return nil // the caller says so
			}
		}
	case kUndo:
		n := r.Array()
		s.undo = &undoing{i: Instance(r.Uint())}
		if s.Graph.UndoSpec(s.undo.i) == nil && r.Err() == nil {
			return fmt.Errorf("replay: encoded state: instance %d is no compensation: %w", s.undo.i, event.ErrFormat)
		}
		err := s.undo.read(r)
		s.undo.Tried = false // some snapshots have it, and begun says it of all
		if n == 5 {
			s.undo.Answer = Answer{Attempt: uint32(r.Uint()), Hash: r.Uint(), Boot: r.Uint()}
		}
		return err
	case kFloors:
		n := r.Array()
		if n != len(s.Graph.Lists) && r.Err() == nil {
			return fmt.Errorf("replay: encoded state: %d lists, its definition has %d: %w", n, len(s.Graph.Lists), event.ErrFormat)
		}
		for range n {
			s.floors = append(s.floors, uint32(r.Uint()))
		}
	}
	return nil
}

// deriveEnding works out what the encoding leaves out.
func (s *State) deriveEnding() error {
	s.finals = 0
	for i := s.Graph.Main; int(i) < len(s.Steps); i++ {
		if !s.settled(i) {
			s.finals++
		}
	}
	if s.Fate == Failed || s.Fate == Cancelled {
		s.queue = s.toCompensate()
	}
	if s.undone > len(s.queue) || s.undone == len(s.queue) && s.undo != nil || int(s.Fate) >= len(runStates) || (s.Status == Finishing) && !s.Fate.Ended() {
		return fmt.Errorf("replay: encoded state: %d of %d compensations are over, its fate is %s: %w", s.undone, len(s.queue), s.Fate, event.ErrFormat)
	}
	return nil
}

// checkEnding says which of the rules about endings is broken; "": none.
func (s *State) checkEnding() string {
	left := int32(0)
	for i := s.Graph.Main; int(i) < len(s.Steps); i++ {
		if !s.settled(i) {
			left++
		}
	}
	switch {
	case s.finals != left:
		return fmt.Sprintf("10: %d steps of finally are not settled, want %d", s.finals, left)
	case s.Status == Finishing && !s.Fate.Ended(), s.Status == Running && s.Fate != Running:
		return fmt.Sprintf("10: its fate is %s", s.Fate)
	case s.Status == Finishing && s.Final && left == 0:
		return "10: every step of finally is settled"
	case s.Status == Finishing && !s.Final && s.undo == nil && len(s.Outs) == 0 && s.leaving == 0:
		return "10: nothing is left to wait for"
	case s.Final && s.undone < len(s.queue) && s.undo == nil:
		return "10: finally has begun before all was compensated"
	case s.undo != nil && (s.undone >= len(s.queue) || s.Graph.NameOf(s.undo.i) == ""):
		return "10: what is compensated is not in its order"
	}
	return ""
}
