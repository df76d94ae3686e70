package flow

import (
	"fmt"
	"slices"
	"strings"
)

// order looks at dependencies and at the edges to steps that on_timeout and on_failure name together. Dependencies alone cannot form a cycle, for each names an earlier
// step; an on_timeout may name one, too, and then what follows from that step must not lead back to the wait. And a step that
// on_timeout names can never start when it depends on a step that depends on the wait. The same holds for on_failure.
//
// Edges that other problems are about are left out. A dependency on a later step is such a problem, unless it is part of a
// cycle.
func (v *validator) order() {
	n := len(v.steps)
	deps := make([][]int32, n)
	jump := make([]int32, n) // to the step that on_timeout or on_failure names; -1: none
	back, named := false, false
	for i := range v.steps {
		for _, dep := range slices.Concat(v.steps[i].Dependencies, v.steps[i].After) {
			if at, ok := v.index[dep]; ok && at < i && v.together(i, at) {
				deps[i] = append(deps[i], int32(at))
			}
		}
		jump[i] = -1
		if e, ok := v.index[v.steps[i].branch()]; ok && e != i && v.together(i, e) {
			jump[i], named = int32(e), true
			back = back || e < i
		}
	}
	v.expressions(deps, jump)
	if named {
		v.deadOnTimeouts(deps, jump)
	}
	if back || len(v.later) > 0 { // without an edge backwards the order of the definition is the proof
		v.cycles(deps, jump)
	}
}

// branch is the step that on_timeout or on_failure names; "": none.
func (s *Step) branch() string {
	if s.Signal != nil {
		return s.Signal.OnTimeout
	}
	return s.OnFailure
}

// edge is the n-th dependency of a step, those in after last, which names a step that stands later.
type edge struct{ from, to, n int }

// deadOnTimeouts finds the steps that on_timeout of a wait, or on_failure of a step, names and that depend on another step that depends on that wait.
//
// It goes backwards through the definition with 64 named steps at a time, a bit for each: a step's bits say which of them
// depend on it over another step.
func (v *validator) deadOnTimeouts(deps [][]int32, jump []int32) {
	waits := map[int32][]int32{} // by named step, where it may be dead
	for w, e := range jump {
		if e < 0 || len(deps[e]) == 0 || len(deps[e]) == 1 && deps[e][0] == int32(w) {
			continue
		}
		if int(e) > w { // what stands before the wait does not depend on it
			waits[e] = append(waits[e], int32(w))
		}
	}
	var group []int32
	first := len(deps)
	for e := range len(deps) {
		if w := waits[int32(e)]; len(w) > 0 {
			group = append(group, int32(e))
			first = min(first, int(w[0])) // ascending
		}
		if len(group) == 64 || e == len(deps)-1 && len(group) > 0 {
			v.deadOf(deps, waits, group, first)
			group, first = nil, len(deps)
		}
	}
}

func (v *validator) deadOf(deps [][]int32, waits map[int32][]int32, group []int32, first int) {
	last := int(group[len(group)-1])
	over := make([]uint64, last+1) // of step i, at i: whether the named steps depend on a step that depends on i
	near := make([]uint64, last+1) // whether they depend on i, over others or not
	next := len(group) - 1
	for i := last; i >= first; i-- {
		for _, d := range deps[i] {
			near[d] |= near[i]
			over[d] |= near[i]
		}
		if next >= 0 && group[next] == int32(i) {
			for _, d := range deps[i] {
				near[d] |= 1 << next
			}
			next--
		}
	}
	for bit, e := range group {
		for _, w := range waits[e] {
			if over[w]&(1<<bit) != 0 {
				if v.steps[w].Signal == nil {
					v.add(int(e), v.place(int(e), "dependencies"), CodeOnFailureDead, "on_failure of %s names this step, which depends on a step that depends on that one: it could never start", quote(v.steps[w].Name))
				} else {
					v.add(int(e), v.place(int(e), "dependencies"), CodeOnTimeoutDead, "on_timeout of %s names this step, which depends on a step that depends on that wait: it could never start", quote(v.steps[w].Name))
				}
				break
			}
		}
	}
}

// cycles tells one cycle of each knot of steps that lead to each other, and of each dependency on a later step that is in no
// knot that it stands too early.
func (v *validator) cycles(deps [][]int32, jump []int32) {
	next := make([][]int32, len(deps))
	for i := range deps {
		for _, d := range deps[i] {
			next[d] = append(next[d], int32(i))
		}
		if jump[i] >= 0 {
			next[i] = append(next[i], jump[i])
		}
	}
	for _, e := range v.later {
		next[e.to] = append(next[e.to], int32(e.from))
	}
	knot := knots(next)
	told := map[int32]bool{}
	for _, e := range v.later {
		place := v.dependencyPlace(e.from, e.n)
		switch {
		case knot[e.from] != knot[e.to]:
			v.add(e.from, place, CodeDepLater, "dependency %s is defined later; a step must stand after what it depends on", quote(v.steps[e.to].Name))
		case !told[knot[e.from]]:
			told[knot[e.from]] = true
			v.add(e.from, place, CodeCycle, "steps wait for each other: %s; each starts after the next", v.around(next, knot, int32(e.from), int32(e.to)))
		}
	}
	for w, e := range jump {
		if e >= 0 && knot[w] == knot[e] && !told[knot[w]] {
			told[knot[w]] = true
			key, what := "signal.on_timeout", "on_timeout %s leads back to this wait: %s; each starts after the next"
			if v.steps[w].Signal == nil {
				key, what = "on_failure", "on_failure %s leads back to this step: %s; each starts after the next"
			}
			v.add(w, v.place(w, key), CodeCycle, what, quote(v.steps[e].Name), v.around(next, knot, e, int32(w)))
		}
	}
}

// around names a shortest cycle on which the step from starts directly after the step to: from -> to -> ... -> from.
func (v *validator) around(next [][]int32, knot []int32, from, to int32) string {
	before := map[int32]int32{from: from} // on the way from there to here
	queue := []int32{from}
	for at := 0; at < len(queue); at++ {
		for _, n := range next[queue[at]] {
			if _, seen := before[n]; !seen && knot[n] == knot[from] {
				before[n] = queue[at]
				queue = append(queue, n)
			}
		}
	}
	cycle := []int32{from, to}
	for at := to; at != from; {
		at = before[at]
		cycle = append(cycle, at)
	}
	names := make([]string, 0, 2*shownOfCycle+1)
	for i, at := range cycle {
		switch {
		case len(cycle) > 2*shownOfCycle && i == shownOfCycle:
			names = append(names, fmt.Sprintf("(%d more)", len(cycle)-2*shownOfCycle))
		case len(cycle) <= 2*shownOfCycle || i < shownOfCycle || i >= len(cycle)-shownOfCycle:
			names = append(names, cut(v.steps[at].Name, 64))
		}
	}
	return strings.Join(names, " -> ")
}

// shownOfCycle is how many steps of a long cycle are named at its beginning, and at its end.
const shownOfCycle = 6

// knots numbers the strongly connected components of a graph (Tarjan), without recursion: a chain may be 100,000 long.
func knots(next [][]int32) []int32 {
	n := int32(len(next))
	knot, seen, low := make([]int32, n), make([]int32, n), make([]int32, n)
	taken := make([]int, n) // how many of its edges have been followed
	for i := range knot {
		knot[i] = -1
	}
	var stack, path []int32
	count, time := int32(0), int32(0)
	enter := func(i int32) {
		time++
		seen[i], low[i] = time, time
		stack, path = append(stack, i), append(path, i)
	}
	for root := range n {
		if seen[root] == 0 {
			enter(root)
		}
		for len(path) > 0 {
			i := path[len(path)-1]
			if taken[i] < len(next[i]) {
				to := next[i][taken[i]]
				taken[i]++
				if seen[to] == 0 {
					enter(to)
				} else if knot[to] < 0 {
					low[i] = min(low[i], seen[to])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := path[len(path)-1]
				low[up] = min(low[up], low[i])
			}
			if low[i] != seen[i] {
				continue
			}
			for knot[i] < 0 {
				top := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				knot[top] = count
			}
			count++
		}
	}
	return knot
}
