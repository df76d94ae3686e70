package naive

import "slices"

// Fork gives the run that takes over from one that has ended: the step from and everything after it run again, and so does what had not
// settled, or was compensated; the steps of sets count as completed. The rest is kept. This run is no more to be used then.
func (r *Run) Fork(from string, sets []string) (*Run, error) {
	if r.live() || r.g.whole().by[from] == nil {
		return nil, ErrNotNow
	}
	n := newRun(r.g.whole())
	undone := r.undone()
	n.input = r.input
	again := set{}
	n.sleep(n.g.last)
	r.g = n.g
	for _, s := range n.g.steps {
		if s.Name == from || slices.Contains(sets, s.Name) || undone[s.Name] || !r.settled(s.Name, "") {
			n.runsAgain(s.Name, again)
		}
	}
	for _, s := range n.g.steps {
		name := s.Name
		switch {
		case slices.Contains(sets, name):
			n.Steps[name], n.outputs[name] = Completed, map[string]any{"n": 1.0}
		case again[name]:
			n.Steps[name] = n.g.before(name)
		default:
			n.keep(r, s, again)
		}
	}
	for _, name := range r.failures {
		if n.kept[name] && n.Steps[name] == Failed {
			n.failures = append(n.failures, name)
		}
	}
	n.decide()
	return n, nil
}

// runsAgain notes a step, and all that follows from it.
func (r *Run) runsAgain(name string, again set) {
	if again[name] {
		return
	}
	again[name] = true
	for _, s := range r.g.steps {
		if slices.Contains(s.deps(), name) || r.g.by[name].branch() == s.Name {
			r.runsAgain(s.Name, again)
		}
	}
}

// keep takes a step over.
func (r *Run) keep(from *Run, s *Step, again set) {
	name := s.Name
	r.kept[name] = true
	r.Steps[name] = from.Steps[name]
	if why, skipped := from.Reasons[name]; skipped {
		r.Reasons[name] = why
	}
	if from.hurt[name] {
		r.hurt[name] = true
	}
	if items := from.Items[name]; items != nil {
		r.Items[name] = slices.Clone(items)
	}
	if out, is := from.outputs[name]; is {
		r.outputs[name] = out
	}
	if n, is := from.Rounds[name]; is {
		r.Rounds[name] = n
	}
	if code, is := from.Codes[name]; is {
		r.Codes[name] = code
	}
	if from.caught[name] && !again[s.branch()] {
		r.caught[name] = true
	}
}

// Kept gives the steps that were taken over, in the order of the definition.
func (r *Run) Kept() []string {
	names := []string{}
	for _, s := range r.g.whole().steps {
		if r.kept[s.Name] {
			names = append(names, s.Name)
		}
	}
	return names
}
