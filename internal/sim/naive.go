package sim

import (
	"fmt"

	"github.com/agnt5/agnt5d/replay"
)

// naive says whether a step may start now (true) or must be skipped (false), straight from the words of the definition: no
// counters, no joins worked out ahead, branches found by walking. It must agree with the engine's own decision.
func naive(s *replay.State, i int32) (begin bool, why string) {
	g := s.Graph
	if named := g.NamedBy[i]; len(named) > 0 {
		timedOut := false
		for _, w := range named {
			timedOut = timedOut || s.Steps[w].State == replay.StepTimedOut
		}
		if !timedOut {
			return false, "no wait that names it has timed out"
		}
	}
	good := map[int32]bool{}
	for _, d := range g.Deps[i] {
		st := s.Steps[d].State
		if !st.Settled() {
			return false, fmt.Sprintf("its dependency %s is %s", g.Def.Steps[d].Name, st)
		}
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
			return false, fmt.Sprintf("its dependency %s is %s and not made good", g.Def.Steps[d].Name, s.Steps[d].State)
		}
	}
	return true, "every dependency is completed or made good"
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
