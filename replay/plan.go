package replay

import (
	"cmp"
	"slices"
)

// Plan is what a deed would do to a run at once. It was worked out by doing the deed to a copy of the run's state, so what a plan says and
// what the deed does cannot differ; only what comes to the run in between can.
type Plan struct {
	Before, After *State
	Changed       []Instance // whose state differs, by number
	Evaluates     []Instance // of which something must be worked out before they go on; RunItself stands for the run
	Again         []Instance // of those that a worker, or a child, was at before: they are ready anew

	working map[Instance]string
}

// InProcess is what an attempt's worker is called where it has none: the engine runs it itself.
const InProcess = "in process"

// PlanOf says what the deed would do to the run at a time (Unix ms), with what is overdue then, or why it does not apply. working has the workers of attempts whose starts
// the journal does not know yet. The state is not changed.
func (s *State) PlanOf(d *Deed, at int64, working map[Instance]string) (*Plan, error) {
	after, err := s.Copy()
	if err != nil {
		return nil, err
	}
	t := &Turn{S: after, At: at, Seq: s.LastSeq + 1, Boot: s.Boot, By: "plan"}
	t.Stopping = func(t *Turn) {
		for i, st := range t.S.All() {
			if worker, has := working[i]; has && st.State == StepScheduled {
				local := worker == InProcess
				if local {
					worker = ""
				}
				t.Started(i, st.Attempt, worker, at, local)
			}
		}
	}
	if err := t.Do(d); err != nil {
		return nil, err
	}
	t.Decide()
	for t.overdue() {
		t.Decide()
	}
	if t.Err != nil {
		return nil, t.Err
	}
	p := Between(s, after)
	p.working = working
	return p, nil
}

// overdue folds the times that have come meanwhile: those of waits of a run that was opened again, say. The turn after the deed's does so,
// in that order. It reports whether there were any.
func (t *Turn) overdue() bool {
	type wait struct {
		of  Instance
		due int64
	}
	var all []wait
	t.S.Dues(func(i Instance, due int64) {
		if due <= t.At {
			all = append(all, wait{i, due})
		}
	})
	slices.SortStableFunc(all, func(a, b wait) int { return cmp.Compare(a.due, b.due) })
	folded := false
	for _, w := range all {
		folded = t.Due(w.of, w.due) || folded
	}
	return folded && t.Err == nil
}

// Between says what has changed from one state of a run to a later one.
func Between(before, after *State) *Plan {
	p := &Plan{Before: before, After: after}
	p.compare()
	return p
}

// Copy gives a state like this one, of its own.
func (s *State) Copy() (*State, error) { return Decode(s.Append(nil), s.Graph) }

// compare works out what has changed.
func (p *Plan) compare() {
	was, is := p.Before, p.After
	reopened := was.Status.Ended() && !is.Status.Ended() // what was pending did not go on
	look := func(i Instance) {
		before, after := was.planned(i), is.planned(i)
		if before != after {
			p.Changed = append(p.Changed, i)
		}
		if is.Asks(i) != AskNothing && is.Asks(i) != AskChild && (was.Asks(i) != is.Asks(i) || before != after) {
			p.Evaluates = append(p.Evaluates, i)
		}
		if goesOn(after) && (!goesOn(before) || reopened) && was.triedBefore(i) {
			p.Again = append(p.Again, i)
		}
	}
	for i := range is.Steps {
		look(Instance(i))
	}
	for at, l := range is.Graph.Lists {
		n := is.items(at)
		if !is.listOver(at) { // else the deed has forgotten the list, and ended its step: nothing comes of its items
			n = max(n, was.items(at))
		}
		for k := range n {
			look(l.First + Instance(k))
		}
	}
	for _, s := range [...]*State{was, is} {
		if s.undo != nil && !slices.Contains(p.Changed, s.undo.i) {
			look(s.undo.i)
		}
	}
	if is.Asks(RunItself) != was.Asks(RunItself) && is.Asks(RunItself) != AskNothing {
		p.Evaluates = append(p.Evaluates, RunItself)
	}
}

// items is how many items a list has.
func (s *State) items(list int) int {
	if len(s.lists) == 0 || s.lists[list] == nil {
		return 0
	}
	return len(s.lists[list].each)
}

// listOver says that a list is not known, and never will be: its step is over.
func (s *State) listOver(list int) bool {
	return s.items(list) == 0 && !goesOn(s.Steps[s.Graph.Lists[list].Step].State)
}

// planned is the state of an instance as a plan has it. An item has not begun when its step has no list, and is over with its step; a
// compensation has its states only while it is under way.
func (s *State) planned(i Instance) StepState {
	if step, _, item := s.ItemOf(i); item {
		switch l, _ := s.itemAt(i); {
		case l == nil:
			return StepPending
		case s.StateOf(i) == StepPending && !s.Steps[step].State.Open() && !ready(&s.Steps[step]):
			return StepCancelled
		}
	}
	if of, undo := s.Graph.Undoes(i); undo && s.At(i) == nil {
		over := slices.Index(s.queue[:s.undone], of)
		switch {
		case over < 0:
			return StepPending
		case slices.ContainsFunc(s.undoFailed, func(f UndoFailure) bool { return f.Of == of }):
			return StepFailed
		}
		return StepCompleted
	}
	return s.StateOf(i)
}

// Change is what becomes of an instance.
type Change struct {
	Of      Instance
	Was, Is StepState
	Why     string // it is skipped, or the code of its failure; "": neither
	Due     int64  // Unix ms: until when it waits at most; 0: no such time
}

// Changes says what becomes of each instance whose state differs, as people see states.
func (p *Plan) Changes() []Change {
	all := make([]Change, 0, len(p.Changed))
	for _, i := range p.Changed {
		c := Change{Of: i, Was: p.Before.planned(i), Is: p.After.planned(i)}
		if p.working[i] != "" {
			c.Was = StepRunning
		}
		if c.Is == StepWaiting {
			c.Is = p.After.Shown(i)
		}
		if c.Was == StepWaiting {
			c.Was = p.Before.Shown(i)
		}
		if st := p.After.At(i); st != nil {
			switch {
			case c.Is == StepSkipped:
				c.Why = st.Skip.String()
			case c.Is == StepFailed && st.Error != nil:
				c.Why = st.Error.Code
			case c.Is.Open():
				c.Due = st.Due
			}
		}
		all = append(all, c)
	}
	return all
}

// Name gives the name of an instance; "" is the run itself.
func (p *Plan) Name(i Instance) string {
	if i == RunItself {
		return ""
	}
	return p.After.Name(i)
}

// goesOn says that something is still to come of a step in that state.
func goesOn(s StepState) bool { return s.Open() || s == StepPending || s == StepDormant }

// triedBefore says whether a handler had the instance, or a child was started for it. A step over a list is tried by its items; it stands for
// them when only an earlier end of the run knew them.
func (s *State) triedBefore(i Instance) bool {
	if k := kindOf(s.Spec(i).Type); Kinds[k] != &task && Kinds[k] != &child {
		return false
	}
	if st := s.At(i); st != nil && st.Attempt > 0 {
		return true
	}
	if l, k := s.itemAt(i); l != nil {
		return l.each[k].attempted()
	}
	return s.triedAtEarlierEnd(i)
}

// triedAtEarlierEnd says that the items of a step of finally were tried at an end of the run that a retry took back, and are not known now.
func (s *State) triedAtEarlierEnd(i Instance) bool {
	at := s.Graph.ListOf(i)
	return at >= 0 && s.items(at) == 0 && s.floor(at) > 0
}

// Reopens says that the run has ended, and goes on by the deed.
func (p *Plan) Reopens() bool {
	return p.Before.Status.Ended() && !p.After.Status.Ended() || p.After.Ends > p.Before.Ends
}

// Attempts gives the attempts that are taken from the workers that have them.
func (p *Plan) Attempts() (all []Out) {
	for _, o := range p.After.Outs {
		if !slices.ContainsFunc(p.Before.Outs, func(was Out) bool { return was.Step == o.Step && was.Attempt == o.Attempt }) {
			all = append(all, o)
		}
	}
	return all
}

// What becomes of a child.
const (
	ChildIsCancelled = "cancelled"
	ChildIsLeft      = "left_alone" // it goes on by itself
	ChildIsTaken     = "taken_up"   // it goes on, gives what it gave, or is retried
	ChildIsReplaced  = "replaced"   // it stays as it is, and a new child takes its place: see State.Reuse
)

// PlannedChild says what becomes of the child of an instance.
type PlannedChild struct {
	Of   Instance
	ID   string
	What string

	Why         string   // it cannot be taken up, and is replaced
	Compensates []string // steps and items of it that are compensated when it is cancelled, in order
}

// Known adds what only the child says: whether it can be taken up, and what it compensates. It is the child of a run of that number; nil: it is not there any more.
func (c *PlannedChild) Known(parent uint64, child *State, at int64) {
	switch {
	case c.What == ChildIsTaken && child == nil:
		c.What, c.Why = ChildIsReplaced, "it was deleted"
	case c.What == ChildIsTaken:
		reuse, why := child.Reuse(parent, c.Of)
		if reuse == ReuseLater && (child.Touched || child.undone < len(child.queue)) {
			reuse, why = ReuseNot, "steps of it are being compensated"
		}
		if reuse == ReuseNot {
			c.What, c.Why = ChildIsReplaced, why
		}
	case c.What == ChildIsCancelled && child != nil && child.Status == Running:
		if p, err := child.PlanOf(&Deed{}, at, nil); err == nil {
			for _, i := range p.Compensates() {
				c.Compensates = append(c.Compensates, p.Name(i))
			}
		}
	}
}

// Children says what becomes of children. What its children are now, the run does not know: of those that are taken up, State.Reuse of the child
// says whether they can be.
func (p *Plan) Children() (all []PlannedChild) {
	look := func(i Instance) {
		was, had := p.Before.Child(i)
		is, has := p.After.Child(i)
		switch st := p.After.At(i); {
		case had && has && is.Unwanted() && !was.Unwanted():
			all = append(all, PlannedChild{Of: i, ID: is.ID, What: ChildIsCancelled})
		case had && was.Open && has && !is.Open:
			all = append(all, PlannedChild{Of: i, ID: is.ID, What: ChildIsLeft})
		case has && st != nil && goesOn(p.After.planned(i)) && (!goesOn(p.Before.planned(i)) || was.Unwanted() && !is.Unwanted()):
			all = append(all, PlannedChild{Of: i, ID: is.ID, What: ChildIsTaken})
		}
	}
	for _, i := range sortedChildren(p.After, p.Before) {
		look(i)
	}
	return all
}

// ChildrenStay gives the steps whose children completed and stay as they are, though the run fails or is cancelled by the deed: what a child did nobody takes back,
// unless its step says what compensates it.
func (p *Plan) ChildrenStay() (all []Instance) {
	bad := func(s *State) bool { return s.Doomed() || s.Status == Failed || s.Status == Cancelled }
	if s := p.After; bad(s) && !bad(p.Before) {
		for i := range s.Steps {
			i, st := Instance(i), &s.Steps[i]
			n, list := s.ItemCounts(i)
			if Kinds[kindOf(s.Spec(i).Type)] == &child && (st.State == StepCompleted && !list || n.Completed > 0) && !s.compensable(i) {
				all = append(all, i)
			}
		}
	}
	return all
}

func sortedChildren(of ...*State) (all []Instance) {
	for _, s := range of {
		for i := range s.children {
			all = append(all, i)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Compensates gives what will be compensated, in order: what is under way is the first.
func (p *Plan) Compensates() []Instance {
	if p.After.Status != Finishing {
		return nil
	}
	return p.After.queue[p.After.undone:]
}

// Finally gives the steps of finally that are still to run: once the fate of the run is decided, or when the deed lets all of them run anew.
func (p *Plan) Finally() (all []Instance) {
	s := p.After
	if s.Status != Finishing && !(p.Reopens() && s.Status == Running) {
		return nil
	}
	for i := s.Graph.Main; int(i) < len(s.Steps); i++ {
		if !s.settled(i) {
			all = append(all, i)
		}
	}
	return all
}
