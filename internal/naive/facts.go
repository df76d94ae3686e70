package naive

import (
	"strconv"
	"strings"
)

// Fact is something that happens: what, and to which step or item.
type Fact []string

func (f Fact) String() string { return strings.Join(f, " ") }

// split takes the name of a step or of an item apart; the index of a step is -1.
func split(name string) (step string, index int) {
	if base, rest, ok := strings.Cut(strings.TrimSuffix(name, "]"), "["); ok {
		index, _ = strconv.Atoi(rest)
		return base, index
	}
	return name, -1
}

// Enabled gives the facts that can happen now, but for what people do and the loss of an attempt.
func (r *Run) Enabled() (all []Fact) {
	if r.moves() {
		for _, s := range r.g.steps {
			all = append(all, r.enabled(s)...)
		}
		if r.State == Running && r.g.limited && !r.Paused {
			all = append(all, Fact{"run_timeout"})
		}
	}
	for o := range r.orphans {
		if base, _ := split(o); r.step0(base).Type == "workflow" {
			all = append(all, Fact{"child_end", o})
		} else {
			all = append(all, Fact{"answer", o})
		}
	}
	return append(all, r.enabledUndo()...)
}

func (r *Run) enabled(s *Step) (all []Fact) {
	name := s.Name
	switch st := r.Steps[name]; {
	case s.ForEach != nil && st == Running:
		busy := 0
		for i, x := range r.Items[name] {
			switch x {
			case Running:
				busy++
				all = append(all, s.outcomes(Item(name, i))...)
			case Resting:
				if busy++; !r.Paused {
					all = append(all, Fact{"round", Item(name, i)})
				}
			}
		}
		for i, x := range r.Items[name] { // they begin in order; one of which an attempt from before is out has begun, and nobody gets it yet
			if x != Waiting || s.MaxParallel > 0 && busy >= s.MaxParallel {
				continue
			}
			busy++
			if !r.Paused && !r.orphans[Item(name, i)] {
				return append(all, Fact{"take", Item(name, i)})
			}
		}
	case st == Scheduled && !r.orphans[name] && !r.Paused:
		all = append(all, Fact{"take", name})
	case st == Running:
		all = append(all, s.outcomes(name)...)
	case st == Resting && !r.Paused:
		all = append(all, Fact{"round", name})
	case st == Deferred && !r.Paused:
		all = append(all, Fact{"due", name})
	case st == Waiting && s.Type == "wait_timer":
		if !r.Paused {
			all = append(all, Fact{"fire", name})
		}
	case st == Waiting:
		all = append(all, Fact{"signal", name})
		if s.Signal.TimeoutMS != nil && !r.Paused {
			all = append(all, Fact{"timeout", name})
		}
	}
	return all
}

// outcomes are what may come of an attempt.
func (s *Step) outcomes(name string) []Fact {
	all := []Fact{{"ok", name}, {"fail", name}}
	if s.Type == "workflow" {
		all = append(all, Fact{"child_cancel", name})
	}
	return all
}

// Do lets a fact happen and decides what follows from it.
func (r *Run) Do(f Fact) error {
	what, step, index := f[0], "", -1
	if len(f) > 1 {
		step, index = split(f[1])
	}
	if what == "answer" || what == "child_end" {
		if !r.orphans[f[1]] && !r.step0(step).leaves() {
			return ErrNotNow
		}
		delete(r.orphans, f[1])
		r.goOn()
	} else if !r.happens(what, step, index) {
		return ErrNotNow
	}
	r.decide()
	return nil
}

func (r *Run) happens(what, step string, index int) bool {
	s := r.g.by[step]
	switch what {
	case "comp_take", "comp_ok", "comp_fail", "comp_lost":
		return r.undo(what)
	case "force":
		return r.force()
	case "cancel":
		if r.State != Running {
			return false
		}
		r.end(Cancelled, "", "")
		return true
	case "run_timeout":
		if r.State != Running || r.Paused {
			return false
		}
		r.end(Failed, "", "run_timeout")
		return true
	case "retry":
		if r.State != Failed && r.State != Cancelled {
			return false
		}
		if r.touched {
			return false
		}
		r.reopen()
		return true
	case "pause", "resume":
		if !r.live() || r.Paused != (what == "resume") {
			return false
		}
		r.Paused = what == "pause"
		return true
	}
	if strings.HasPrefix(what, "op_") {
		return r.correctAny(what, step, index)
	}
	if r.childGave(what, step, index) {
		return r.happens(what, step, index) && r.happens("ok", step, index)
	}
	if !r.moves() || s == nil || r.Paused && (what == "take" || what == "timeout" || what == "fire" || what == "due" || what == "round") {
		return false
	}
	if index >= 0 {
		return r.item(what, s, index)
	}
	return r.step(what, s)
}

// childGave says whether the step or item is taken up again, and its last child has completed: what that gave is taken again.
func (r *Run) childGave(what, step string, index int) bool {
	name := step
	if index >= 0 {
		name = Item(step, index)
	}
	if what != "take" || !r.gave[name] || r.orphans[name] || r.Paused {
		return false
	}
	r.gave[name] = false
	return true
}

func (r *Run) item(what string, s *Step, index int) bool {
	if r.Steps[s.Name] != Running || index >= len(r.Items[s.Name]) {
		return false
	}
	at := &r.Items[s.Name][index]
	switch {
	case what == "take" && *at == Waiting && !r.orphans[Item(s.Name, index)]:
		*at = Running
		r.attempted[Item(s.Name, index)] = true
	case what == "lost" && *at == Running:
		*at = Waiting
	case what == "ok" && *at == Running:
		if *at, _ = r.roundOver(s, Item(s.Name, index), Waiting); *at == Completed {
			r.done = append(r.done, Item(s.Name, index))
		}
		r.count(s)
	case what == "round" && *at == Resting:
		*at = Waiting
	case (what == "fail" || what == "child_cancel") && *at == Running:
		*at = Failed
		r.count(s)
	default:
		return false
	}
	return true
}

// beginOne works out the templates of the first item that begins and of which they are not known, whether somebody may take it now or not. It
// reports false when there is none.
func (r *Run) beginOne(s *Step) bool {
	if s.ForEach == nil || r.Steps[s.Name] != Running || !s.hasTemplates() {
		return false
	}
	busy := 0
	for i, x := range r.Items[s.Name] {
		if busy == s.MaxParallel && busy > 0 {
			return false
		}
		if _, given := r.Given[Item(s.Name, i)]; x == Waiting && !given {
			r.begin(s, i)
			return true
		}
		if x == Waiting || x == Running || x == Resting {
			busy++
		}
	}
	return false
}

// begin works out the templates of an item. One that cannot be worked out fails it.
func (r *Run) begin(s *Step, index int) {
	name := Item(s.Name, index)
	env, err := r.itemEnv(s, index)
	if err == nil && r.give(s, name, env) == "" {
		return
	}
	r.Items[s.Name][index] = Failed
	r.count(s)
}

func (r *Run) step(what string, s *Step) bool {
	name := s.Name
	switch st := r.Steps[name]; {
	case what == "take" && st == Scheduled && !r.orphans[name]:
		r.Steps[name] = Running
		r.attempted[name] = true
	case what == "lost" && st == Running && s.ForEach == nil:
		r.Steps[name] = Scheduled
	case what == "ok" && st == Running && s.ForEach == nil:
		switch next, code := r.roundOver(s, name, Scheduled); next {
		case Completed:
			r.complete(s)
		case Failed:
			r.fail(s, code, false)
		default:
			r.Steps[name] = next
		}
	case what == "round" && st == Resting:
		r.Steps[name] = Scheduled
	case what == "fail" && st == Running && s.ForEach == nil:
		r.fail(s, "failed", s.Type != "workflow")
	case what == "child_cancel" && st == Running && s.ForEach == nil:
		r.fail(s, "child_cancelled", false)
	case what == "signal" && st == Waiting, what == "fire" && st == Waiting:
		r.complete(s)
	case what == "timeout" && st == Waiting:
		if s.Signal.OnTimeout == "" {
			r.fail(s, "signal_timeout", false)
		} else {
			r.Steps[name] = TimedOut
		}
	case what == "due" && st == Deferred:
		r.Steps[name] = Scheduled
	default:
		return false
	}
	return true
}

// correct ends a step or an item as an operator says.
func (r *Run) correct(what string, s *Step, index int) bool {
	name, st := s.Name, r.Steps[s.Name]
	failed := st == Failed && !r.caught[name] && !r.kept[name] && what != "op_fail" && index < 0
	switch {
	case r.State == Failed && failed:
		r.Steps[name] = "mended" // what was cancelled is ready anew, but not this one
		r.forget(name)
		delete(r.neverRan, name)
		for i, x := range r.Items[name] {
			if x != Completed && x != Skipped {
				r.Items[name][i] = Cancelled
			}
		}
		r.reopen()
	case !r.moves() || r.g.main != nil && failed || !isOpen(st) && st != Running && !failed:
		return false
	case failed:
		r.forget(name)
	}
	if index >= 0 {
		if st != Running || index >= len(r.Items[name]) {
			return false
		}
		at := &r.Items[name][index]
		if *at != Running && *at != Waiting && *at != Resting {
			return false
		}
		r.byHand[Item(name, index)] = what == "op_complete"
		if *at == Running {
			r.takeAway(s, Item(name, index))
		}
		if what == "op_complete" {
			r.done = append(r.done, Item(name, index))
		}
		*at = map[string]string{"op_complete": Completed, "op_skip": Skipped, "op_fail": Failed}[what]
		r.count(s)
		return true
	}
	if s.ForEach != nil {
		r.cancelItems(s)
	} else if st == Running {
		r.takeAway(s, name)
	}
	switch what {
	case "op_complete":
		r.complete(s)
		r.outputs[name] = map[string]any{"n": 1.0} // what the operator gives, also for a list
	case "op_skip":
		r.Steps[name], r.Reasons[name] = Skipped, "operator"
	default:
		r.fail(s, "failed_by_operator", false)
	}
	return true
}

// roundOver gives what a step or item is whose attempt has done its work: of one that does not repeat, completed. Again is what it is
// when its next round begins at once. The code is that of a failure.
func (r *Run) roundOver(s *Step, name, again string) (state, code string) {
	if s.Repeat == nil {
		return Completed, ""
	}
	r.gave[name] = s.Type == "workflow"
	n, err := parse(s.Repeat.Until)
	yes := false
	if err == nil {
		env := r.env()
		env["output"], env["round"] = r.one(s, name), float64(r.Rounds[name])
		yes, err = n.truth(env)
	}
	switch {
	case err != nil:
		return Failed, "expression_failed"
	case yes:
		return Completed, ""
	case r.Rounds[name]+1 >= s.Repeat.MaxRounds:
		return Failed, "rounds_used_up"
	}
	r.gave[name] = false // the next round has a child of its own
	if r.Rounds[name]++; s.Repeat.IntervalMS > 0 {
		return Resting, ""
	}
	return again, ""
}

// reopen is the retry of the run: failures that nothing caught, and what was cancelled, are ready anew.
func (r *Run) reopen() {
	r.State, r.ErrStep, r.ErrCode = Running, "", ""
	clear(r.absorbed)
	r.takeBackEnding()
	var again []*Step
	for _, s := range r.g.steps {
		st := r.Steps[s.Name]
		if st != Cancelled && (st != Failed || r.caught[s.Name] || r.kept[s.Name]) {
			continue
		}
		for i, x := range r.Items[s.Name] {
			if x != Completed && x != Skipped {
				r.Items[s.Name][i] = Waiting
			}
		}
		switch {
		case r.neverRan[s.Name]: // its condition is looked at again
			delete(r.neverRan, s.Name)
			r.Steps[s.Name] = r.g.before(s.Name)
			r.forget(s.Name)
		case st == Cancelled && r.was[s.Name] == Deferred:
			r.Steps[s.Name] = Deferred
		default:
			r.forget(s.Name)
			if r.left[s.Name] { // its child goes on for it
				delete(r.left, s.Name)
				r.Steps[s.Name] = Running
				continue
			}
			again = append(again, s)
			r.Steps[s.Name] = "again"
		}
	}
	for _, s := range again {
		if r.Steps[s.Name] = Pending; r.State == Running {
			r.start(s)
		}
	}
}

// forget takes a failure back.
func (r *Run) forget(name string) {
	for i, f := range r.failures {
		if f == name {
			r.failures = append(r.failures[:i:i], r.failures[i+1:]...)
			return
		}
	}
}

// Result is what can be seen of a run.
type Result struct {
	State           string              `json:"state"`
	ErrorStep       *string             `json:"error_step"`
	ErrorCode       *string             `json:"error_code"`
	Steps           map[string]string   `json:"steps"`
	SkipReasons     map[string]string   `json:"skip_reasons"`
	Items           map[string][]string `json:"items"`
	HandledFailures int                 `json:"handled_failures"`
	OutputKeys      []string            `json:"output_keys"`
	Compensated     []string            `json:"compensated"`
	NotCompensated  []string            `json:"compensation_failed"`
}

// Result gives what can be seen of the run.
func (r *Run) Result() Result {
	out := Result{State: r.State, Steps: r.Steps, SkipReasons: r.Reasons, Items: map[string][]string{}, OutputKeys: []string{}, Compensated: append([]string{}, r.Undone...), NotCompensated: append([]string{}, r.UndoFailed...)}
	if r.ErrStep != "" {
		out.ErrorStep = &r.ErrStep
	}
	if r.ErrCode != "" {
		out.ErrorCode = &r.ErrCode
	}
	for name, items := range r.Items {
		out.Items[name] = make([]string, len(items))
		for i, x := range items {
			if out.Items[name][i] = x; x == Waiting {
				out.Items[name][i] = "wait"
			}
		}
	}
	for _, s := range r.g.whole().steps {
		if r.Steps[s.Name] == Failed && r.caught[s.Name] {
			out.HandledFailures++
		}
		last := true
		for _, o := range r.g.whole().steps {
			for _, d := range o.deps() {
				last = last && d != s.Name
			}
		}
		if last && r.Steps[s.Name] == Completed {
			out.OutputKeys = append(out.OutputKeys, s.Name)
		}
	}
	return out
}
