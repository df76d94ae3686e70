package replay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/pack"
)

// Ask is what must be worked out outside of the loop before an instance can go on: an expression reads outputs that are not in memory, and
// takes its time. It is read off the state, so a start knows it, too. What came of it is recorded; a replay never asks.
type Ask uint8

const (
	AskNothing Ask = iota
	AskStart       // its turn has come: does its `when` let it start, what list does it go over, and what do its templates come to?
	AskUntil       // a round of it has completed: is that enough?
	AskItems       // what do the templates of the items come to that begin next?
	AskOutput      // all items of its list have settled: what are their outputs together?
	AskResult      // the last step of the run has settled: what is its output? It is asked of RunItself
	AskEnd         // how did a child end? It is asked of its parent
	AskChild       // a child of it is to be started: who has the runs does that
)

// Evaluated is the answer to an Ask.
type Evaluated struct {
	Yes   bool     // what the condition came to; true when there is none
	Saw   []byte   // JSON: an object with the values that it read, by their paths
	Value []byte   // JSON: what the template of the run's output came to
	Input []byte   // JSON: what the templates of its input came to; nil: it has none
	Keys  []string // what its object keys came to, each once; nil: no key of it is a template
	Err   string   // why it could not be worked out; "": it could
	Code  string   // of the failure; "": expression_failed

	List    []byte // JSON: the list of a step with for_each that starts, or the outputs of its items
	ListErr string // why there is no list

	Items []FilledItem // what the templates of items came to
}

// code is the code of the failure of a step of which something could not be worked out.
func (got *Evaluated) code() string { return cmp.Or(got.Code, failure.ExpressionFailed) }

// Condition is the result of a step's `when`.
type Condition struct {
	Yes bool
	Saw Payload // the values that it read
}

// Asks says what an instance waits for that somebody outside of the loop must work out.
func (s *State) Asks(i Instance) Ask {
	if !s.Graph.Asks || !s.Status.Live() {
		return AskNothing
	}
	if i == RunItself {
		if s.Status != Running {
			return AskNothing
		}
		return s.asksResult()
	}
	if s.asksUntil(i) {
		return AskUntil
	}
	if s.asksChild(i) {
		return AskChild
	}
	if int(i) >= len(s.Steps) {
		return AskNothing
	}
	if s.asksOutput(i) {
		return AskOutput
	}
	if s.asksFill(i) {
		return AskItems
	}
	if v, _ := s.verdict(i); v == ask {
		return AskStart
	}
	return AskNothing
}

// Wanted takes the instances that began to ask since the last call.
func (s *State) Wanted() []Instance {
	w := s.wanted
	s.wanted = nil
	return w
}

// Condition gives the result of a step's `when`; false: it was not looked at.
func (s *State) Condition(i Instance) (Condition, bool) {
	c, ok := s.conditions[i]
	return c, ok
}

// Evaluated folds the answer to what an instance asked, if it still asks.
func (t *Turn) Evaluated(i Instance, got Evaluated) {
	if t.Err != nil {
		return
	}
	switch t.S.Asks(i) {
	case AskStart:
		t.mayStart(i, got)
	case AskUntil:
		t.until(i, got)
	case AskOutput:
		t.gathered(i, got)
	case AskItems:
		t.filledItems(i, got)
	case AskResult:
		t.output(got)
	}
}

func (t *Turn) mayStart(i Instance, got Evaluated) {
	if got.Err != "" {
		t.catch(i)
		t.fail(i, t.S.At(i).Attempt, got.code(), got.Err)
		return
	}
	if t.S.asksWhen(i) {
		t.add(event.Event{Kind: event.ConditionEvaluated, Step: i, Forced: got.Yes, Payload: got.Saw})
		if t.Err != nil {
			return
		}
		if !got.Yes {
			t.skip(i, SkipWhen)
			return
		}
	}
	t.prepare(i, got)
	if t.Err != nil {
		return
	}
	t.catch(i)
	switch {
	case !t.S.asksItems(i):
		t.begin(i)
	case got.ListErr != "":
		t.fail(i, t.S.At(i).Attempt, failure.ExpressionFailed, got.ListErr)
	default:
		t.setItems(i, got.List)
	}
}

func (s *State) evaluated(seq uint64, e *event.Event, st *Step) {
	if st.State == StepWaiting {
		s.nextRound(e.Step, st, e.Due)
		return
	}
	if s.conditions == nil {
		s.conditions = map[Instance]Condition{}
	}
	s.conditions[e.Step] = Condition{Yes: e.Forced, Saw: keep(seq, e.Payload)}
}

// asksStart says whether the step's start hangs on something that nobody has worked out yet.
func (s *State) asksStart(i Instance) bool {
	return s.asksWhen(i) || s.asksTemplates(i)
}

// asksWhen says whether the step has a condition that nobody has worked out yet.
func (s *State) asksWhen(i Instance) bool {
	return s.Graph.Def.Steps[i].When != "" && !s.conditions[i].Yes
}

// neverStarted says, of a step that failed, that its condition could not be worked out: a retry of the run looks at it again.
func (s *State) neverStarted(i Instance) bool {
	return int(i) < len(s.Steps) && s.Steps[i].State == StepFailed && s.asksStart(i)
}

// SkipReason is why a step was skipped. The numbers stand in snapshots, the texts in journals.
type SkipReason uint8

const (
	SkipUnknown    SkipReason = iota // it was not recorded
	SkipWhen                         // its condition was false
	SkipFailure                      // something before it failed or timed out
	SkipDependency                   // something before it was skipped
	SkipNotNeeded                    // nothing that it is for has happened
	SkipOperator                     // an operator skipped it
)

var skipReasons = [...]string{"", "when", "failure", "dependency", "not_needed", "operator"}

func (r SkipReason) String() string { return skipReasons[r] }

func parseSkipReason(text string) (SkipReason, bool) {
	i := slices.Index(skipReasons[:], text)
	return SkipReason(max(i, 0)), i >= 0
}

// skip skips a step; if it should have caught a failure, that one stands instead. Of a workflow that can be skipped in one way only the reason is not recorded: SkipReasons works it out.
func (t *Turn) skip(i Instance, why SkipReason) {
	if t.stands(i) {
		return
	}
	e := event.Event{Kind: event.StepSkipped, Step: i}
	if t.S.Graph.Language {
		e.Code = why.String()
	}
	t.add(e)
}

// SkipReasons gives why each skipped step of the definition was skipped.
func (s *State) SkipReasons() map[Instance]SkipReason {
	if s.Skipped == 0 {
		return nil
	}
	all := make(map[Instance]SkipReason, s.Skipped)
	for k := range s.Steps { // what stands later is skipped because of what stands before it
		i := Instance(k)
		st := &s.Steps[i]
		if st.State != StepSkipped {
			continue
		}
		if all[i] = st.Skip; st.Skip != SkipUnknown {
			continue
		}
		if woken, _ := s.woken(i); len(s.Graph.NamedBy[i]) > 0 && !woken {
			all[i] = SkipNotNeeded
			continue
		}
		all[i] = SkipDependency
		good := s.good(i)
		for at, d := range s.Graph.Deps[i] {
			if !good[at] && (s.Steps[d].State == StepTimedOut || all[d] == SkipFailure) {
				all[i] = SkipFailure
			}
		}
	}
	return all
}

// asleep is the state of a step that has not been ready yet.
func (s *State) asleep(i Instance) StepState {
	if len(s.Graph.NamedBy[i]) > 0 {
		return StepDormant
	}
	return StepPending
}

// appendConditions writes what conditions came to: a map of fields for each, in the order of the definition.
func (s *State) appendConditions(f *fields) {
	if len(s.conditions) == 0 {
		return
	}
	var in fields
	f.key(kConditions)
	f.buf = pack.AppendArray(f.buf, len(s.conditions))
	for _, i := range slices.Sorted(maps.Keys(s.conditions)) {
		c := s.conditions[i]
		in.uint(kOf, uint64(i))
		if c.Yes {
			in.uint(kYes, 1)
		}
		in.payload(kSaw, c.Saw)
		f.buf = in.flush(f.buf)
	}
}

// Numbers of the fields of a condition.
const (
	kOf = iota
	kYes
	kSaw
)

func (s *State) readConditions(r *pack.Reader) error {
	s.conditions = map[Instance]Condition{}
	for range r.Array() {
		var i Instance
		var c Condition
		for range r.Map() {
			switch k := r.Uint(); k {
			case kOf:
				i = Instance(r.Uint())
			case kYes:
				c.Yes = r.Uint() == 1
			case kSaw:
				c.Saw = readPayload(r)
			default:
				return fmt.Errorf("replay: encoded condition has an unknown field %d: %w", k, event.ErrFormat)
			}
		}
		if r.Err() != nil {
			return nil // the caller says so
		}
		if uint(i) >= uint(len(s.Steps)) {
			return fmt.Errorf("replay: encoded state: a condition of step %d, which is not there: %w", i, event.ErrFormat)
		}
		s.conditions[i] = c
	}
	return nil
}
