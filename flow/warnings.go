package flow

import (
	"slices"
	"strings"
)

// manyOutputs is how many outputs may join before a warning says that they may be too large together.
const manyOutputs = 1000

// warn reports what can be run and is hardly meant.
func (v *validator) warn() {
	if len(v.index) == 0 {
		for i := range v.steps {
			v.index[v.steps[i].Name] = i
		}
	}
	deps, jump := v.edges()
	for i := range v.steps {
		v.warnTimeout(i, &v.steps[i])
		if n := len(v.steps[i].Dependencies); n > manyOutputs {
			v.add(i, v.place(i, "dependencies"), CodeManyOutputs, "the outputs of %s steps join here, and a task is at most 16 MiB; those that are not wanted belong in after", commas(int64(n)))
		}
	}
	v.warnConditions(deps, jump)
	v.warnShared(deps, jump)
	v.warnOutput(deps)
}

// edges are those between steps that exist: see order.
func (v *validator) edges() (deps [][]int32, jump []int32) {
	deps, jump = make([][]int32, len(v.steps)), make([]int32, len(v.steps))
	for i := range v.steps {
		for _, dep := range slices.Concat(v.steps[i].Dependencies, v.steps[i].After) {
			if at, ok := v.index[dep]; ok && v.together(i, at) {
				deps[i] = append(deps[i], int32(at))
			}
		}
		jump[i] = -1
		if e, ok := v.index[v.steps[i].branch()]; ok && v.together(i, e) {
			jump[i] = int32(e)
		}
	}
	return deps, jump
}

func (v *validator) warnTimeout(i int, s *Step) {
	if g := s.Signal; g != nil && g.TimeoutMS != nil && *g.TimeoutMS == 0 && g.OnTimeout == "" {
		v.add(i, v.place(i, "signal.timeout_ms"), CodeTimeoutZero, "%s is 0 and there is no on_timeout: unless the signal is there already the run fails at once, and a retry cannot save it",
			strings.TrimPrefix(v.written(i, "signal.timeout_ms"), "signal."))
	}
}

// warnConditions finds joins that want all of two dependencies of which each may be skipped for a reason of its own.
func (v *validator) warnConditions(deps [][]int32, jump []int32) {
	named := make([][]int32, len(deps))
	for w, e := range jump {
		if e >= 0 {
			named[e] = append(named[e], int32(w))
		}
	}
	conditional := make([]bool, len(deps))
	any := false
	for again := true; again; { // one round more for each on_timeout or on_failure that leads backwards
		again = false
		for i := range deps {
			is := func(d int32) bool { return conditional[d] }
			if !conditional[i] && (v.steps[i].When != "" || slices.ContainsFunc(deps[i], is) || slices.ContainsFunc(named[i], is)) {
				conditional[i], any = true, true
				again = again || jump[i] >= 0 && int(jump[i]) < i
			}
		}
	}
	if !any {
		return
	}
	var pairs []pair // of conditional dependencies, one after the other: when each follows from the one before, all do
	var joins []int
	for i := range deps {
		if j := v.steps[i].Join; j != "" && j != JoinAll {
			continue
		}
		last := int32(-1)
		for _, d := range slices.Sorted(slices.Values(deps[i])) {
			if !conditional[d] {
				continue
			}
			if last >= 0 {
				pairs, joins = append(pairs, pair{last, d}), append(joins, i)
			}
			last = d
		}
	}
	told := -1
	for n, ok := range follows(pairs, deps, jump) {
		if i := joins[n]; !ok && i != told {
			told = i
			v.add(i, v.dependencyPlace(i, slices.Index(deps[i], pairs[n].to)), CodeJoinAll, "%s and %s are each skipped when a condition is false, and this step needs both: with join any it needs one",
				quote(v.steps[pairs[n].from].Name), quote(v.steps[pairs[n].to].Name))
		}
	}
}

// warnShared finds steps that several on_failure name and that do not wait for all of those. When each of these follows from the one
// before, there is nothing to wait for: after a failure the later ones are skipped.
func (v *validator) warnShared(deps [][]int32, jump []int32) {
	by := map[int32][]int32{}
	for i, e := range jump {
		if e >= 0 && v.steps[i].OnFailure != "" {
			by[e] = append(by[e], int32(i))
		}
	}
	for i := range v.steps {
		names := by[int32(i)]
		if len(names) < 2 || inARow(names, deps, jump) {
			continue
		}
		s := &v.steps[i]
		for _, n := range names {
			name := v.steps[n].Name
			if !slices.Contains(s.Dependencies, name) && !slices.Contains(s.After, name) {
				v.add(i, v.place(i, "name"), CodeOnFailureShared, "on_failure of %d steps names this one, and it starts with the first failure; to wait for all of them, depend on them (%s is missing)", len(names), quote(name))
				break
			}
		}
	}
}

// inARow says whether each step follows from the one before.
func inARow(steps []int32, deps [][]int32, jump []int32) bool {
	var pairs []pair
	for n := 1; n < len(steps); n++ {
		pairs = append(pairs, pair{steps[n-1], steps[n]})
	}
	return !slices.Contains(follows(pairs, deps, jump), false)
}

// warnOutput finds a run's output that is made of very many.
func (v *validator) warnOutput(deps [][]int32) {
	if v.d.Output != nil {
		return
	}
	has := make([]bool, len(deps))
	for i := range deps {
		for _, d := range deps[i] {
			has[d] = true
		}
	}
	n := 0
	for i := range has[:v.main] {
		if !has[i] {
			n++
		}
	}
	if n > manyOutputs {
		v.whole(v.rootPlace(), CodeManyOutputs, "nothing depends on %s steps, and their outputs make that of the run, which is at most 16 MiB; output says what it is instead", commas(int64(n)))
	}
}
