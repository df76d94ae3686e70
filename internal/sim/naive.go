package sim

import (
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/replay"
)

// What may become of a step that has not been ready yet.
const (
	mustWait = iota
	mayStart
	mustSkip
)

// naive says what may become of a step now, straight from the words of the definition: no counters, no joins worked out ahead, branches
// found by walking. It must agree with the engine's own decision.
func naive(s *replay.State, i int32) (what int, why string) {
	g := s.Graph
	if named := g.NamedBy[i]; len(named) > 0 {
		timedOut, all := false, true
		for _, w := range named {
			timedOut = timedOut || s.Steps[w].State == replay.StepTimedOut
			all = all && s.Steps[w].State.Settled()
		}
		switch {
		case !timedOut && all:
			return mustSkip, "every wait that names it has settled without timing out"
		case !timedOut:
			return mustWait, "no wait that names it has timed out"
		}
	}
	for _, d := range g.Deps[i] {
		if st := s.Steps[d].State; !st.Settled() {
			return mustWait, fmt.Sprintf("its dependency %s is %s", g.Def.Steps[d].Name, st)
		}
	}
	good := map[int32]bool{}
	for _, d := range g.Deps[i] {
		st := s.Steps[d].State
		good[d] = st == replay.StepCompleted || st == replay.StepTimedOut && g.OnTimeout[d] == i
	}
	for again := true; again; {
		again = false
		for _, d := range g.Deps[i] {
			if good[d] {
				continue
			}
			for w := range g.Def.Steps {
				if g.OnTimeout[w] < 0 || !s.Steps[w].State.Settled() {
					continue
				}
				timedOut, answered := branches(s, int32(w))
				state := s.Steps[w].State
				for _, o := range g.Deps[i] {
					if !good[o] {
						continue
					}
					if answered[d] && timedOut[o] && state != replay.StepCompleted || timedOut[d] && answered[o] && state != replay.StepTimedOut {
						good[d], again = true, true
					}
				}
			}
		}
	}
	for _, d := range g.Deps[i] {
		if !good[d] {
			why = fmt.Sprintf("its dependency %s is %s and not made good", g.Def.Steps[d].Name, s.Steps[d].State)
		}
	}
	if why == "" {
		return mayStart, "every dependency is completed or made good"
	}
	for w := range g.Def.Steps {
		if g.OnTimeout[w] < 0 || s.Steps[w].State.Settled() {
			continue
		}
		timedOut, answered := branches(s, int32(w))
		onTimedOut := slices.ContainsFunc(g.Deps[i], func(d int32) bool { return timedOut[d] })
		onAnswered := slices.ContainsFunc(g.Deps[i], func(d int32) bool { return answered[d] })
		if onTimedOut && onAnswered {
			return mustWait, "it is a join of the branches of " + g.Def.Steps[w].Name + ", which has not settled"
		}
	}
	return mustSkip, why
}

// branches walks the two branches of a wait: what is on both belongs to neither.
func branches(s *replay.State, w int32) (timedOut, answered map[int32]bool) {
	g := s.Graph
	e := g.OnTimeout[w]
	var walk func(from int32, into map[int32]bool, not int32)
	walk = func(from int32, into map[int32]bool, not int32) {
		if from == not || into[from] {
			return
		}
		into[from] = true
		for _, d := range g.Dependents[from] {
			walk(d, into, not)
		}
		if t := g.OnTimeout[from]; t >= 0 {
			walk(t, into, not)
		}
	}
	timedOut, answered = map[int32]bool{}, map[int32]bool{}
	walk(e, timedOut, -1)
	walk(w, answered, e)
	for i := range timedOut {
		if answered[i] {
			delete(timedOut, i)
			delete(answered, i)
		}
	}
	return timedOut, answered
}
