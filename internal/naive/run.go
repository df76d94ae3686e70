package naive

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrNotNow is a fact that cannot happen now.
var ErrNotNow = errors.New("naive: that cannot happen now")

// States of steps and items. An item that was not taken yet is Waiting.
const (
	Pending   = "pending"
	Dormant   = "dormant"
	Scheduled = "scheduled"
	Running   = "running"
	Waiting   = "waiting"
	Deferred  = "deferred"
	Resting   = "resting" // between two rounds
	Completed = "completed"
	Failed    = "failed"
	TimedOut  = "timed_out"
	Skipped   = "skipped"
	Cancelled = "cancelled"
	Finishing = "finishing" // of a run whose fate is decided
)

// Run is a run of a definition.
type Run struct {
	g     *graph // of the steps that move: those of finally, once they have begun
	input any

	State   string // running, finishing, completed, failed, cancelled
	Paused  bool
	ErrStep string // by whose failure it failed
	ErrCode string // why it failed, when no step did
	Steps   map[string]string
	Reasons map[string]string   // why steps were skipped
	Items   map[string][]string // states of items

	Codes  map[string]string // why steps failed for good; "failed": their handler did
	Rounds map[string]int    // which round it is of a step or item that repeats, from 0
	Given  map[string]Given  // what templates came to, by step or item
	Output any               // what the template of the output came to

	outputs  map[string]any
	caught   set // failures that a branch has taken
	hurt     set // skipped because something before failed or timed out
	failures []string
	absorbed map[string]int // by timer
	orphans  set            // attempts that workers still had when their step ended
	was      map[string]string
	byHand   set // items that an operator completed
	neverRan set // failed because their condition could not be worked out
	kept     set // of a fork: steps that were taken over

	ending
}

// New gives a run that has just started.
func New(definition, input []byte) (*Run, error) {
	g, err := newGraph(definition)
	if err != nil {
		return nil, err
	}
	if err := g.checkTemplates(); err != nil {
		return nil, err
	}
	r := newRun(g)
	if len(input) > 0 {
		if err := json.Unmarshal(input, &r.input); err != nil {
			return nil, err
		}
	}
	r.sleep(g)
	r.sleep(g.last)
	r.decide()
	return r, nil
}

// newRun gives a run of which nothing is known yet.
func newRun(g *graph) *Run {
	return &Run{g: g, State: Running, Steps: map[string]string{}, Reasons: map[string]string{}, Items: map[string][]string{}, outputs: map[string]any{}, Codes: map[string]string{}, Rounds: map[string]int{}, Given: map[string]Given{},
		caught: set{}, hurt: set{}, absorbed: map[string]int{}, orphans: set{}, was: map[string]string{}, neverRan: set{}, byHand: set{}, kept: set{}, ending: ending{attempted: set{}, left: set{}, gave: set{}}}
}

// sleep lets all steps of a graph be as they are before the run.
func (r *Run) sleep(g *graph) {
	for i := 0; g != nil && i < len(g.steps); i++ {
		r.Steps[g.steps[i].Name] = g.before(g.steps[i].Name)
	}
}

// before is the state of a step that has not been ready yet.
func (g *graph) before(name string) string {
	if len(g.namedBy[name]) > 0 {
		return Dormant
	}
	return Pending
}

// settled says whether nothing more is to come of the step, as the step for sees it: to the one that its on_failure names, a failed
// step is settled.
func (r *Run) settled(name, by string) bool {
	switch r.Steps[name] {
	case Completed, Skipped, TimedOut:
		return true
	case Failed:
		return r.g.main != nil || r.caught[name] || r.kept[name] || by != "" && r.g.by[name].OnFailure == by
	}
	return false
}

// completed says whether the dependency counts as completed for the step.
func (r *Run) completed(dep, step string) bool {
	switch r.Steps[dep] {
	case Completed:
		return true
	case TimedOut, Failed:
		return r.g.by[dep].branch() == step
	}
	return false
}

// good gives the dependencies that are completed or made good.
func (r *Run) good(s *Step) set {
	good := set{}
	for _, d := range s.deps() {
		if r.completed(d, s.Name) {
			good[d] = true
		}
	}
	for again := true; again; {
		again = false
		for _, d := range s.deps() {
			if !good[d] && r.madeGood(s, d, good) {
				good[d], again = true, true
			}
		}
	}
	return good
}

func (r *Run) madeGood(s *Step, d string, good set) bool {
	for _, w := range r.g.joinsOf(s) {
		answered, other := r.g.branches(w)
		if !r.settled(w, "") {
			continue
		}
		stands := set{} // the branch whose good ones make this one good
		switch {
		case answered[d] && r.Steps[w] != Completed:
			stands = other
		case other[d] && r.Steps[w] != TimedOut && r.Steps[w] != Failed:
			stands = answered
		}
		for _, x := range s.deps() {
			if x != d && stands[x] && good[x] {
				return true
			}
		}
	}
	return false
}

// verdict is what may become of a step now.
type verdict struct {
	what string // "", "start", "skip"
	why  string // of a skip
}

func (r *Run) verdict(s *Step) verdict {
	if named := r.g.namedBy[s.Name]; len(named) > 0 {
		woken, all := false, true
		for _, w := range named {
			woken = woken || r.Steps[w] == TimedOut || r.Steps[w] == Failed
			all = all && r.settled(w, s.Name)
		}
		switch {
		case !woken && all:
			return verdict{"skip", "not_needed"}
		case !woken:
			return verdict{}
		}
	}
	deps := s.deps()
	for _, d := range deps {
		if !r.settled(d, s.Name) {
			return verdict{}
		}
	}
	for _, d := range s.named() {
		if r.g.by[d] != nil && !r.settled(d, s.Name) {
			return verdict{}
		}
	}
	if s.Join == "settled" || len(deps) == 0 {
		return verdict{what: "start"}
	}
	good := r.good(s)
	failure := slices.ContainsFunc(deps, func(d string) bool {
		return !good[d] && (r.Steps[d] == Failed || r.Steps[d] == TimedOut || r.hurt[d])
	})
	switch {
	case len(good) == len(deps), s.Join == "any" && len(good) > 0 && !failure:
		return verdict{what: "start"}
	}
	for _, w := range r.g.joinsOf(s) {
		if !r.settled(w, "") {
			return verdict{} // it is not known which branch it takes
		}
	}
	if failure {
		return verdict{"skip", "failure"}
	}
	return verdict{"skip", "dependency"}
}

// decide does what follows, step by step in the order of the definition, until nothing more does.
func (r *Run) decide() {
	for r.moves() {
		if r.decideOne() || !r.moves() {
			continue
		}
		open, all := false, true
		for _, s := range r.g.steps {
			open = open || isOpen(r.Steps[s.Name])
			all = all && r.settled(s.Name, "")
		}
		if all {
			r.finish()
			continue
		}
		if open {
			return
		}
		stands := slices.IndexFunc(r.failures, func(name string) bool { return r.Steps[name] == Failed && !r.settled(name, "") })
		if stands >= 0 { // nothing will catch it any more
			r.end(Failed, r.failures[stands], "")
			continue
		}
		panic(fmt.Sprintf("naive: nothing is open, and not all is settled: %v", r.Steps))
	}
}

// finish ends a run of which all steps have settled, or all of finally.
func (r *Run) finish() {
	if r.g.main != nil {
		r.over()
		return
	}
	if r.g.output != nil {
		v, err := fill(r.g.output, r.env())
		if err != nil {
			r.end(Failed, "", "expression_failed")
			return
		}
		r.Output = v
	}
	r.end(Completed, "", "")
}

func (r *Run) decideOne() bool {
	for _, s := range r.g.steps {
		if st := r.Steps[s.Name]; st != Pending && st != Dormant {
			continue
		}
		v := r.verdict(s)
		if v.what == "" {
			continue
		}
		if v.what == "start" && s.When != "" {
			yes, err := r.condition(s)
			if err != nil {
				r.catch(s)
				r.neverRan[s.Name] = true
				r.fail(s, "expression_failed", false)
				return true
			}
			if !yes {
				v = verdict{"skip", "when"}
			}
		}
		if v.what == "start" {
			r.catch(s)
			r.start(s)
		} else {
			r.skip(s, v.why)
		}
		return true
	}
	for _, s := range r.g.steps {
		if r.beginOne(s) {
			return true
		}
	}
	return false
}

// catch: when a step starts, the failures that name it are caught.
func (r *Run) catch(s *Step) {
	for _, w := range r.g.namedBy[s.Name] {
		if r.Steps[w] == Failed {
			r.caught[w] = true
		}
	}
}

// skip skips a step; if it should have caught a failure, that one stands.
func (r *Run) skip(s *Step, why string) {
	for _, w := range r.failures {
		if r.g.main == nil && r.Steps[w] == Failed && r.g.by[w].OnFailure == s.Name && !r.caught[w] {
			r.end(Failed, w, "")
			return
		}
	}
	r.Steps[s.Name], r.Reasons[s.Name] = Skipped, why
	if why == "failure" {
		r.hurt[s.Name] = true
	}
}

func (r *Run) env() map[string]any {
	steps := map[string]any{}
	for _, s := range r.all() {
		v := map[string]any{"state": r.Steps[s.Name], "output": nil, "error": nil}
		if r.Steps[s.Name] == Completed {
			v["output"] = r.outputs[s.Name]
		}
		if r.Steps[s.Name] == Failed {
			v["error"] = map[string]any{}
		}
		steps[s.Name] = v
	}
	env := map[string]any{"input": r.input, "steps": steps}
	if r.g.main != nil {
		env["fate"] = r.fate()
	}
	return env
}

func (r *Run) condition(s *Step) (bool, error) {
	n, err := parse(s.When)
	if err != nil {
		return false, err
	}
	return n.truth(r.env())
}

func (r *Run) start(s *Step) {
	if s.ForEach != nil && r.Items[s.Name] == nil {
		list, err := r.list(s)
		if err != nil {
			r.fail(s, "expression_failed", false)
			return
		}
		items := make([]string, len(list))
		for i := range items {
			items[i] = Waiting
		}
		r.Items[s.Name] = items
	}
	if _, given := r.Given[s.Name]; s.ForEach == nil && s.isTask() && s.hasTemplates() && !given {
		if code := r.give(s, s.Name, r.env()); code != "" {
			r.fail(s, code, false)
			return
		}
	}
	switch {
	case s.ForEach != nil:
		r.Steps[s.Name] = Running
		r.count(s)
	case s.isTask():
		r.Steps[s.Name] = Scheduled
	default:
		r.Steps[s.Name] = Waiting
	}
}

func (r *Run) list(s *Step) ([]any, error) {
	v := s.ForEach
	if text, ok := v.(string); ok {
		n, err := parse(text)
		if err != nil {
			return nil, err
		}
		if v, err = n.eval(r.env()); err != nil {
			return nil, err
		}
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errExpression
	}
	return list, nil
}

// count looks whether a step with items has failed or is done.
func (r *Run) count(s *Step) {
	items := r.Items[s.Name]
	failed, left := 0, 0
	for _, x := range items {
		switch x {
		case Failed:
			failed++
		case Waiting, Running, Resting:
			left++
		}
	}
	switch {
	case failed > tolerated(s, len(items)):
		r.fail(s, "item_failed", false)
	case left == 0:
		r.complete(s)
	}
}

func tolerated(s *Step, n int) int {
	switch t := s.Tolerate.(type) {
	case float64:
		return int(t)
	case string:
		percent, _ := strconv.Atoi(strings.TrimSuffix(t, "%"))
		return percent * n / 100
	}
	return 0
}

func (r *Run) complete(s *Step) {
	r.Steps[s.Name], r.outputs[s.Name] = Completed, r.one(s, s.Name)
	if s.ForEach == nil {
		r.done = append(r.done, s.Name)
	}
	if s.ForEach != nil {
		list := []any{}
		for i, x := range r.Items[s.Name] {
			if x == Completed {
				list = append(list, r.one(s, Item(s.Name, i)))
			} else {
				list = append(list, nil)
			}
		}
		r.outputs[s.Name] = list
	}
}

// one is what a step or item gives when it is done; of one that repeats, what its last round gave.
func (r *Run) one(s *Step, name string) any {
	if s.Repeat == nil || r.byHand[name] {
		return map[string]any{"n": 1.0}
	}
	return map[string]any{"n": 1.0, "round": float64(r.Rounds[name])}
}

// fail is the failure of a step for good, unless a timer takes it.
func (r *Run) fail(s *Step, code string, absorbable bool) {
	if absorbable && s.ForEach == nil && r.absorb(s) {
		return
	}
	r.Steps[s.Name], r.Codes[s.Name] = Failed, code
	r.failures = append(r.failures, s.Name)
	r.cancelItems(s)
	switch e := s.OnFailure; {
	case r.g.main != nil: // a failure in finally stops only what depends on it
		if e != "" && r.Steps[e] != Dormant && r.Steps[e] != Skipped {
			r.caught[s.Name] = true
		}
	case e == "", r.Steps[e] == Skipped && r.Reasons[e] != "operator": // nothing catches it
		r.end(Failed, s.Name, "")
	case r.Steps[e] != Dormant: // it has started, for another one
		r.caught[s.Name] = true
	}
}

func (r *Run) absorb(s *Step) bool {
	var beside []*Step
	for _, t := range r.g.steps {
		if t.Type == "wait_timer" && slices.Contains(s.deps(), t.Name) {
			beside = append(beside, t)
		}
	}
	for _, t := range r.g.steps {
		if t.Type == "wait_timer" && slices.Contains(t.deps(), s.Name) {
			beside = append(beside, t)
		}
	}
	for _, t := range beside {
		if r.Steps[t.Name] != Skipped && r.absorbed[t.Name] < t.Timer.MaxRetries {
			r.absorbed[t.Name]++
			r.Steps[s.Name] = Deferred
			return true
		}
	}
	return false
}

// cancelItems ends what is open of a step's items.
func (r *Run) cancelItems(s *Step) {
	for i, x := range r.Items[s.Name] {
		if x == Running {
			r.takeAway(s, Item(s.Name, i))
		}
		if x == Running || x == Waiting || x == Resting {
			r.Items[s.Name][i] = Cancelled
		}
	}
}

// end decides the fate of the run: what is open is cancelled.
func (r *Run) end(state, step, code string) {
	r.Fate, r.ErrStep, r.ErrCode = state, step, code
	r.stop()
	r.beginEnding()
}

// stop cancels what is open.
func (r *Run) stop() {
	for _, s := range r.g.steps {
		st := r.Steps[s.Name]
		if !isOpen(st) {
			continue
		}
		if s.ForEach != nil {
			r.cancelItems(s)
		} else if st == Running {
			r.takeAway(s, s.Name)
		}
		r.was[s.Name], r.Steps[s.Name] = st, Cancelled
	}
}

func isOpen(state string) bool {
	return state == Scheduled || state == Running || state == Waiting || state == Deferred || state == Resting
}

// Item is the name of an item.
func Item(step string, index int) string { return fmt.Sprintf("%s[%d]", step, index) }
