package naive

import (
	"slices"
	"strings"
)

// Endings: when the fate of a run is decided, what was open is cancelled and comes to rest. Then, unless the fate is to complete, steps
// and items are compensated, one at a time; then the steps of finally run, a graph of their own; then the run ends.

// ending is what is known of how a run ends.
type ending struct {
	Fate string // "": it is not decided

	Undone     []string // steps and items that were compensated, in order
	UndoFailed []string // and those whose compensation failed
	queue      []string // left to compensate, in order
	Undoing    string   // which is with somebody; "": none is
	touched    bool     // one was given to somebody: there is no retry any more

	attempted set      // steps and items that somebody has had
	done      []string // steps and items in the order in which they completed
	left      set      // steps whose child was left alone
	gave      set      // steps and items whose last child has completed, though they have not
}

// whole gives the graph of the steps that are not of finally.
func (g *graph) whole() *graph {
	if g.main != nil {
		return g.main
	}
	return g
}

// all gives the steps, and those of finally.
func (g *graph) all() []*Step {
	g = g.whole()
	if g.last == nil {
		return g.steps
	}
	return append(slices.Clone(g.steps), g.last.steps...)
}

func (r *Run) all() []*Step { return r.g.all() }

// step0 gives a step of either graph, or an empty one.
func (r *Run) step0(name string) *Step {
	for _, s := range r.all() {
		if s.Name == name {
			return s
		}
	}
	return &Step{}
}

// live says whether the run has not ended.
func (r *Run) live() bool { return r.State == Running || r.State == Finishing }

// moves says whether steps of the graph may do anything.
func (r *Run) moves() bool { return r.State == Running || r.State == Finishing && r.g.main != nil }

// takeAway ends the step or item that somebody has, or a child does: until he has answered, or it has ended, it is out.
func (r *Run) takeAway(s *Step, name string) {
	if s.leaves() {
		if s.ForEach == nil {
			r.left[name] = true
		}
		return
	}
	r.orphans[name] = true
}

// beginEnding begins what is to be done when the fate is decided.
func (r *Run) beginEnding() {
	if r.Fate != Completed {
		r.queue = r.toCompensate()
	}
	if len(r.queue) == 0 && r.g.last == nil {
		r.over()
		return
	}
	r.State = Finishing
	r.goOn()
}

// toCompensate gives what is to be compensated: first what was attempted and did not complete, if the definition asks for that, in reverse
// order of it; then what has completed, the last first.
func (r *Run) toCompensate() (all []string) {
	for _, s := range slices.Backward(r.g.steps) {
		if s.Compensate == nil || !s.Compensate.AlsoIfStarted {
			continue
		}
		names := []string{s.Name}
		if s.ForEach != nil {
			names = nil
			for i := range r.Items[s.Name] {
				names = append(names, Item(s.Name, i))
			}
		}
		for _, name := range slices.Backward(names) {
			if r.attempted[name] && !slices.Contains(r.done, name) {
				all = append(all, name)
			}
		}
	}
	for _, name := range slices.Backward(r.done) {
		base, _ := split(name)
		if s := r.g.by[base]; s != nil && s.Compensate != nil && !r.kept[base] {
			all = append(all, name)
		}
	}
	return all
}

// goOn begins the steps of finally, or ends the run, when nothing else is left.
func (r *Run) goOn() {
	if r.State != Finishing || r.g.main != nil || len(r.orphans) > 0 || r.Undoing != "" || len(r.queue) > 0 {
		return
	}
	if r.g.last == nil {
		r.over()
		return
	}
	r.g = r.g.last
}

// over ends the run by its fate.
func (r *Run) over() {
	r.Paused = false
	if r.State = r.Fate; r.Fate == Completed && r.finallyFailed() {
		r.State, r.ErrCode = Failed, "finally_failed"
	}
}

// finallyFailed says whether a step of finally failed, and nothing has caught that or may.
func (r *Run) finallyFailed() bool {
	return r.g.main != nil && slices.ContainsFunc(r.g.steps, func(s *Step) bool {
		return r.Steps[s.Name] == Failed && !r.caught[s.Name] && (s.OnFailure == "" || r.Steps[s.OnFailure] == Skipped)
	})
}

// force ends a run that is finishing at once.
func (r *Run) force() bool {
	if r.State != Finishing {
		return false
	}
	if r.over(); r.State == Completed {
		r.State = Cancelled
	}
	if r.g.main != nil {
		r.stop()
	}
	for i := 0; r.g.whole().last != nil && i < len(r.g.whole().last.steps); i++ {
		if name := r.g.whole().last.steps[i].Name; r.Steps[name] == Pending || r.Steps[name] == Dormant {
			r.Steps[name] = Cancelled
		}
	}
	if r.Undoing != "" {
		r.orphans[r.Undoing+undoMark] = true
	}
	return true
}

// undoMark stands behind the name of what is compensated in the name of an attempt of that.
const undoMark = "/undo"

// enabledUndo gives what can happen to the compensation whose turn it is.
func (r *Run) enabledUndo() []Fact {
	switch {
	case r.State != Finishing || r.g.main != nil:
	case r.Undoing != "":
		return []Fact{{"comp_ok", r.Undoing}, {"comp_fail", r.Undoing}}
	case len(r.queue) > 0 && len(r.orphans) == 0 && !r.Paused:
		return []Fact{{"comp_take", r.queue[0]}}
	}
	return nil
}

func (r *Run) undo(what string) bool {
	switch {
	case r.State != Finishing || (what == "comp_take") != (r.Undoing == ""):
		return false
	case what == "comp_take":
		if len(r.queue) == 0 || len(r.orphans) > 0 || r.Paused {
			return false
		}
		r.Undoing, r.queue, r.touched = r.queue[0], r.queue[1:], true
		return true
	case what == "comp_lost":
		r.queue, r.Undoing = append([]string{r.Undoing}, r.queue...), ""
		return true
	}
	r.undoOver(what == "comp_ok")
	return true
}

func (r *Run) undoOver(ok bool) {
	if ok {
		r.Undone = append(r.Undone, r.Undoing)
	} else {
		r.UndoFailed = append(r.UndoFailed, r.Undoing)
	}
	r.Undoing = ""
	r.goOn()
}

// Undo gives the step or item whose turn it is to be compensated; "": none's is.
func (r *Run) Undo() string {
	if r.State != Finishing || r.g.main != nil || r.Undoing == "" && (len(r.queue) == 0 || len(r.orphans) > 0) {
		return ""
	}
	if r.Undoing != "" {
		return r.Undoing
	}
	return r.queue[0]
}

// Compensated says whether something was compensated, or may have been: then the run cannot be retried.
func (r *Run) Compensated() bool { return r.touched }

// correctAny ends a step, an item or a compensation as an operator says.
func (r *Run) correctAny(what, step string, index int) bool {
	if name := step; r.State == Finishing && r.g.main == nil {
		if index >= 0 {
			name = Item(step, index)
		}
		now := r.Undoing
		if now == "" && len(r.queue) > 0 && len(r.orphans) == 0 {
			now = r.queue[0] // nobody has had it
			if now == name {
				r.Undoing, r.queue = now, r.queue[1:]
			}
		} else if now == name {
			r.orphans[now+undoMark] = true
		}
		if now == "" || now != name {
			return false
		}
		r.touched = r.touched || what == "op_complete"
		r.undoOver(what == "op_complete")
		return true
	}
	s := r.g.by[step]
	if s == nil && r.State == Failed {
		s = r.g.whole().by[step]
	}
	return s != nil && r.correct(what, s, index)
}

// undone gives the steps of which something was compensated, or may have been.
func (r *Run) undone() set {
	all := set{}
	for _, name := range append(append([]string{r.Undoing}, r.Undone...), r.UndoFailed...) {
		base, _ := split(name)
		all[base] = true
	}
	return all
}

// fate is what conditions and templates of finally see of it.
func (r *Run) fate() any {
	out := map[string]any{"state": r.Fate, "error": nil}
	if r.Fate == Failed {
		out["error"] = map[string]any{}
	}
	return out
}

// takeBackEnding is the retry of a run that had ended: the steps of finally will run anew.
func (r *Run) takeBackEnding() {
	r.g = r.g.whole()
	r.Fate, r.queue = "", nil
	if r.g.last == nil {
		return
	}
	r.sleep(r.g.last)
	of := func(name string) bool {
		base, _ := split(strings.TrimSuffix(name, undoMark))
		return r.g.last.by[base] != nil
	}
	r.failures = slices.DeleteFunc(r.failures, of)
	for name := range r.Steps {
		if !of(name) {
			continue
		}
		for _, m := range []set{r.caught, r.hurt, r.byHand, r.neverRan, r.left, r.gave} {
			delete(m, name)
		}
		for i := range r.Items[name] {
			delete(r.byHand, Item(name, i))
			delete(r.gave, Item(name, i))
			delete(r.Rounds, Item(name, i))
			delete(r.Given, Item(name, i))
		}
		delete(r.Reasons, name)
		delete(r.Items, name)
		delete(r.outputs, name)
		delete(r.Codes, name)
		delete(r.Rounds, name)
		delete(r.Given, name)
		delete(r.was, name)
	}
}
