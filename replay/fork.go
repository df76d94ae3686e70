package replay

import (
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/pack"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/signals"
)

// Forks: a new run takes over from one that has ended what it did well, and does the rest anew. What it takes over stands in its first record,
// as if it were its own: an output is copied, not referred to, so that the run forked from may be deleted.

// Forked says of which run a run is a fork. The numbers of its fields in an encoding are their order.
type Forked struct {
	ID   string // of the run that it was forked from
	Run  uint64 // its number
	From string // the step from which it runs again
	Hash uint64 // of what was asked, to tell a repeat from another fork
}

// ForkPlan says what a fork does with each step of its definition.
type ForkPlan struct {
	Graph *flow.Graph
	Steps []ForkStep // by the steps of Graph
	Why   []ForkWhy  // the same: why it runs again
	of    []Instance // the same step in the run forked from; -1: it has none
}

// ForkWhy is why a step runs again in a fork.
type ForkWhy struct {
	Code  string
	After Instance // of ForkAfter and ForkAfterSet: the step before it
}

// Why a step runs again in a fork.
const (
	ForkFrom        = "from"         // it is the one from which the fork runs again
	ForkAfter       = "after"        // it comes after one that runs again
	ForkAfterSet    = "after_set"    // it comes after one that was set
	ForkNotSettled  = "not_settled"  // it had not settled
	ForkCompensated = "compensated"  // it was taken back
	ForkNew         = "new"          // the other run's version had no such step
	ForkOtherType   = "other_type"   // there it is another type of step
	ForkOtherBranch = "other_branch" // it failed or timed out, and what that leads to is another step there
	ForkFinally     = "finally"      // steps of finally always run
)

// ForkStep is what becomes of a step in a fork.
type ForkStep uint8

const (
	ForkKept   ForkStep = iota // what the other run says of it stands
	ForkSet                    // it counts as completed, with an output that was given
	ForkAgain                  // it runs again, or for the first time
	ForkRepeat                 // it runs again, and was attempted before: what it does outside may happen twice
)

// MaxFork is how many bytes the first record of a fork may have: it holds all that the fork takes over, its input and what was set.
const MaxFork = 128 << 20

// MatchFork says why a run cannot be forked.
func (s *State) MatchFork() error {
	switch {
	case s.Status == Quarantined || s.Hurt:
		return refusal.ErrRunQuarantined
	case !s.Status.Ended():
		return fmt.Errorf("%w, and only one that has can be forked", refusal.ErrRunOpen)
	}
	return nil
}

// PlanFork says what a fork of the run does: in that definition, from a step on, with outputs given for the steps of set. A step is
// kept when it had settled and nothing that runs again, or is set, stands before it.
func (s *State) PlanFork(g *flow.Graph, from string, set []string) (*ForkPlan, error) {
	if err := s.MatchFork(); err != nil {
		return nil, err
	}
	n := len(g.Def.Steps)
	p := &ForkPlan{Graph: g, Steps: make([]ForkStep, n), Why: make([]ForkWhy, n), of: make([]Instance, n)}
	var again []Instance // in turn: what runs again by itself first
	add := func(i Instance, code string, after Instance) {
		if p.Why[i].Code == "" {
			p.Why[i] = ForkWhy{code, after}
			again = append(again, i)
		}
	}
	for k, name := range append([]string{from}, set...) {
		i, ok := g.Index[name]
		if _, part := g.Instance(name); !ok && part {
			return nil, refusal.Instead(refusal.ErrStepNotFound, "%q is a part of a step, and a fork takes whole steps", name)
		}
		if !ok {
			return nil, fmt.Errorf("step %q: %w", name, refusal.ErrStepNotFound)
		}
		if g.Final(i) {
			return nil, refusal.Instead(refusal.ErrStepNotFound, "step %q is one of finally, which always runs in a fork", name)
		}
		if k == 0 && !slices.Contains(set, from) {
			add(i, ForkFrom, 0)
		} else {
			add(i, forkSet, 0)
		}
	}
	undone := s.compensated()
	for k := range p.of {
		i, code := Instance(k), ""
		switch p.of[k], code = s.same(g, i); {
		case code != "":
			add(i, code, 0)
		case !s.settled(p.of[k]):
			add(i, ForkNotSettled, 0)
		case undone[p.of[k]]:
			add(i, ForkCompensated, 0)
		}
	}
	for k := 0; k < len(again); k++ {
		i := again[k]
		p.Steps[i] = ForkAgain
		if was := p.of[i]; was >= 0 && s.attempted(was) {
			p.Steps[i] = ForkRepeat
		}
		code := ForkAfter
		if p.Why[i].Code == forkSet {
			p.Steps[i], code = ForkSet, ForkAfterSet
		}
		for _, d := range g.Dependents[i] {
			add(d, code, i)
		}
		if b := g.Branch[i]; b >= 0 {
			add(b, code, i)
		}
	}
	return p, nil
}

// forkSet is the Why of a step that was set.
const forkSet = "set"

// same gives the step that a step of another version is in this run; -1: there is none. Unless why is "", what it was there cannot be kept.
func (s *State) same(g *flow.Graph, i Instance) (was Instance, why string) {
	now := &g.Def.Steps[i]
	was, ok := s.Graph.Index[now.Name]
	if ok && s.Graph.Final(was) != g.Final(i) {
		ok = false
	}
	switch {
	case !ok && g.Final(i):
		return -1, ForkFinally
	case !ok:
		return -1, ForkNew
	}
	old, st := &s.Graph.Def.Steps[was], &s.Steps[was]
	branched := st.State == StepFailed || st.State == StepTimedOut // and what follows from that must be the same
	switch {
	case g.Final(i):
		return was, ForkFinally
	case kindOf(old.Type) != kindOf(now.Type) || (old.ForEach == nil) != (now.ForEach == nil):
		return was, ForkOtherType
	case branched && branchName(s.Graph, was) != branchName(g, i):
		return was, ForkOtherBranch
	}
	return was, ""
}

func branchName(g *flow.Graph, i Instance) string {
	if b := g.Branch[i]; b >= 0 {
		return g.Def.Steps[b].Name
	}
	return ""
}

// attempted says whether a handler had the step, or an item of it, or a child was started for it.
func (s *State) attempted(i Instance) bool {
	if k := s.Steps[i].Kind(); k != &task && k != &child {
		return false
	}
	if s.Steps[i].Attempt > 0 {
		return true
	}
	if at := s.Graph.ListOf(i); at >= 0 && s.floor(at) > 0 { // at an earlier end of the run
		return true
	}
	l := s.itemsOf(i)
	return l != nil && slices.ContainsFunc(l.each, func(it item) bool { return it.attempted() })
}

// Names gives the steps of which one of these becomes, in the order of the definition.
func (p *ForkPlan) Names(of ...ForkStep) []string {
	names := []string{}
	for i, what := range p.Steps {
		if slices.Contains(of, what) {
			names = append(names, p.Graph.Def.Steps[i].Name)
		}
	}
	return names
}

// Kept is what a fork takes over of a step. Its events stand in the fork's first record.
type Kept struct {
	Signal *event.Event  // that it took; nil: none. The last event refers to it
	Events []event.Event // what is known of it, then a StepKept for each item, then its own
}

// Keep gives what a fork takes over of the steps that it keeps. besides is how many bytes its first record has besides, read gives the bytes
// of a payload of this run.
func (s *State) Keep(p *ForkPlan, besides int, read func(Payload) ([]byte, error)) (all []Kept, err error) {
	k := keeper{s: s, p: p, read: read, bytes: besides, why: s.SkipReasons(), took: map[Instance]signals.Arrival{}}
	for _, a := range s.Mail.Arrivals() {
		if a.By >= 0 {
			k.took[a.By] = a
		}
	}
	for i, what := range p.Steps {
		if what != ForkKept {
			continue
		}
		one := k.step(Instance(i), p.of[i])
		if k.count(&one); k.err != nil {
			return nil, k.err
		}
		all = append(all, one)
	}
	return all, nil
}

// keeper reads what is kept, and stops at the first error.
type keeper struct {
	s     *State
	p     *ForkPlan
	read  func(Payload) ([]byte, error)
	why   map[Instance]SkipReason
	took  map[Instance]signals.Arrival
	bytes int
	err   error
}

// room counts bytes of the record.
func (k *keeper) room(n int) {
	if k.bytes += n; k.bytes > MaxFork && k.err == nil {
		k.err = refusal.ErrForkTooLarge
	}
}

// count counts what the events of a step have besides payloads.
func (k *keeper) count(one *Kept) {
	if one.Signal != nil {
		k.room(one.Signal.Size() - len(one.Signal.Payload))
	}
	for i := range one.Events {
		k.room(one.Events[i].Size() - len(one.Events[i].Payload))
	}
}

func (k *keeper) payload(p Payload) []byte {
	if k.err != nil || p.Seq == 0 {
		return nil
	}
	if k.room(int(p.Len)); k.err != nil {
		return nil
	}
	var b []byte
	b, k.err = k.read(p)
	return b
}

// step gives the events of a step that is kept; was is the step in the run forked from.
func (k *keeper) step(i, was Instance) (one Kept) {
	s, st := k.s, &k.s.Steps[was]
	if c, ok := s.conditions[was]; ok && k.p.Graph.Def.Steps[i].When != "" {
		one.Events = append(one.Events, event.Event{Kind: event.ConditionEvaluated, Step: i, Forced: c.Yes, Payload: k.payload(c.Saw)})
	}
	if f, ok := s.filled[was]; ok && k.p.Graph.Templates(i) {
		e := event.Event{Kind: event.TemplatesEvaluated, Step: i, Payload: k.payload(f.input)}
		for _, key := range f.keys {
			e.Objects = append(e.Objects, event.ObjectWrite{Key: key})
		}
		one.Events = append(one.Events, e)
	}
	if l := s.itemsOf(was); l != nil {
		one.Events = append(one.Events, k.items(i, l)...)
	}
	e := keptEvent(i, st, s.rounds[was].n)
	switch st.State {
	case StepCompleted:
		if a, ok := k.took[was]; ok && k.p.Graph.Def.Steps[i].Signal.Name == a.Name {
			one.Signal = &event.Event{Kind: event.SignalReceived, Name: a.Name, ID: a.ID, Payload: k.payload(st.Output)}
		} else {
			e.Payload = k.payload(st.Output)
		}
	case StepSkipped:
		e.Code = k.why[was].String()
	case StepFailed:
		b := k.p.Graph.Branch[i]
		e.Forced = b >= 0 && k.p.Steps[b] == ForkKept // what caught it is kept, too
	}
	one.Events = append(one.Events, e)
	return one
}

// items gives the list of a step that is kept, and each item that has settled.
func (k *keeper) items(i Instance, l *items) []event.Event {
	list := k.p.Graph.Lists[k.p.Graph.ListOf(i)]
	if len(l.each) > int(list.Room) {
		return nil // its own output is what counts
	}
	all := []event.Event{{Kind: event.ItemsSet, Step: i, Payload: orEmptyList(k.payload(l.list))}}
	for n := range l.each {
		it, at := &l.each[n], list.First+Instance(n)
		switch {
		case it.completed():
			all = append(all, event.Event{Kind: event.StepKept, Step: at, Name: StepCompleted.String(), Attempt: it.attempt, Payload: k.payload(Payload{Seq: it.seq, Len: it.len})})
		case it.st != nil && (it.st.State == StepFailed || it.st.State == StepSkipped):
			all = append(all, keptEvent(at, it.st, 0))
		}
	}
	return all
}

// orEmptyList gives a list that is there.
func orEmptyList(b []byte) []byte {
	if b == nil {
		return []byte("[]")
	}
	return b
}

func keptEvent(i Instance, st *Step, rounds uint32) event.Event {
	e := event.Event{Kind: event.StepKept, Step: i, Name: st.State.String(), Attempt: st.Attempt, Version: rounds}
	if err := st.Error; err != nil && st.State == StepFailed {
		e.Code, e.Message, e.Type, e.Stack = err.Code, err.Message, err.Type, err.Stack
	}
	return e
}

// Fork folds, behind the start of a run, that it is a fork, why, and what it takes over. set has the outputs of steps that were given.
func (t *Turn) Fork(of Forked, kept []Kept, set map[Instance][]byte, reason string) {
	t.add(event.Event{Kind: event.RunForked, ID: of.ID, Ref: of.Run, Name: of.From, Hash: of.Hash, Message: reason, By: t.By})
	for _, one := range kept {
		at := uint64(0)
		if one.Signal != nil {
			at = t.Seq + uint64(len(t.Events))
			t.add(*one.Signal)
		}
		for n, e := range one.Events {
			if n == len(one.Events)-1 {
				e.Ref = at
			}
			t.add(e)
		}
	}
	for i := range t.S.Steps {
		if output, ok := set[Instance(i)]; ok {
			t.add(event.Event{Kind: event.StepKept, Step: Instance(i), Name: StepCompleted.String(), Forced: true, Payload: output})
		}
	}
	if t.Err != nil {
		return
	}
	for i := range t.S.Steps {
		if ready(&t.S.Steps[i]) {
			t.S.agenda.push(Instance(i))
		}
	}
}

// forked folds that the run is a fork.
func (s *State) forked(e *event.Event) string {
	if s.Fork != nil || s.Events != 1 {
		return "that is the second event of a run, or none"
	}
	s.Fork = &Forked{ID: e.ID, Run: e.Ref, From: e.Name, Hash: e.Hash}
	return ""
}

// kept folds that a step, or an item, is as it was in the run forked from, or as was given.
func (s *State) kept(seq uint64, at int64, e *event.Event, st *Step) string {
	if s.Fork == nil {
		return "the run is no fork"
	}
	to := StepState(slices.Index(stepStates[:], e.Name))
	st.Attempt, st.Floor, st.Kept, st.Set = e.Attempt, e.Attempt, true, e.Forced && to == StepCompleted
	if e.Version != 0 {
		if s.rounds == nil {
			s.rounds = map[Instance]round{}
		}
		s.rounds[e.Step] = round{n: e.Version}
	}
	switch to {
	case StepCompleted:
		if e.Ref == 0 {
			st.Output = keep(seq, e.Payload)
		} else if why := st.Kind().complete(s, seq, e, st); why != "" {
			return why
		}
		if s.sink(e.Step) {
			s.outBytes += uint64(st.Output.Len)
		}
	case StepFailed:
		st.Error = &StepError{Code: e.Code, Message: e.Message, Type: e.Type, Stack: e.Stack, Attempt: e.Attempt}
		if !s.isItem(e.Step) {
			s.keptFailure(e.Step, st, e.Forced)
		}
	case StepSkipped:
		why, ok := parseSkipReason(e.Code)
		if !ok {
			return fmt.Sprintf("the reason %q is unknown", e.Code)
		}
		if st.Skip = why; !s.isItem(e.Step) {
			s.Skipped++
		}
	case StepTimedOut:
	default:
		return fmt.Sprintf("a step that is kept is %q", e.Name)
	}
	s.to(st, to, at)
	s.settle(e.Step)
	return ""
}

// keptFailure folds that a failure is kept. It settles its step; when what caught it runs again, that catches it again.
func (s *State) keptFailure(i Instance, st *Step, caught bool) {
	if st.Caught = caught; caught {
		s.Handled++
		return
	}
	s.failures = append(s.failures, i)
}

// appendFork writes of which run this one is a fork, and says whether it is one.
func (s *State) appendFork(f *fields) bool {
	if s.Fork == nil {
		return false
	}
	f.key(kFork)
	f.buf = pack.AppendString(pack.AppendArray(f.buf, 4), s.Fork.ID)
	f.buf = pack.AppendString(pack.AppendUint(f.buf, s.Fork.Run), s.Fork.From)
	f.buf = pack.AppendUint(f.buf, s.Fork.Hash)
	return true
}

func (s *State) readFork(r *pack.Reader) {
	r.Array()
	s.Fork = &Forked{ID: r.String(), Run: r.Uint(), From: r.String(), Hash: r.Uint()}
}

// MatchForked says whether the run is the fork that is asked for once more; refusal.ErrRunConflict: it is another run.
func (s *State) MatchForked(of Forked) error {
	switch f := s.Fork; {
	case f == nil:
		return fmt.Errorf("%w: it is not a fork of %q", refusal.ErrRunConflict, of.ID)
	case f.ID != of.ID || f.From != of.From:
		return fmt.Errorf("%w: it is a fork of %q from %s", refusal.ErrRunConflict, f.ID, f.From)
	case f.Hash != of.Hash:
		return fmt.Errorf("%w: it was forked with other outputs, another input or another version", refusal.ErrRunConflict)
	}
	return nil
}

// Fits says whether the run's output has room for what is kept and set.
func (p *ForkPlan) Fits(s *State, set map[Instance][]byte) error {
	size := uint64(0)
	for i, what := range p.Steps {
		switch {
		case len(p.Graph.Dependents[i]) > 0 || p.Graph.Def.Output != nil:
		case what == ForkSet:
			size += uint64(len(set[Instance(i)]))
		case what == ForkKept:
			size += uint64(s.Steps[p.of[i]].Output.Len)
		}
	}
	if size > MaxTask {
		return refusal.ErrRunOutputTooLarge
	}
	return nil
}
