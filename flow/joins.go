package flow

import (
	"cmp"
	"math/bits"
	"slices"
)

// maxJoined bounds the dependencies that all joins list, and with it the memory of a graph: what one wait after the other
// leaves open until one join at the very end grows with the square of their number.
const maxJoined = 8 << 20

// findJoins finds, for each wait with on_timeout and each step with on_failure (a wait, below), the steps whose dependencies stand on both of its branches. It reports false
// when there are too many.
//
// The timed-out branch is the named step and all that follows from it; the answered branch is the wait and all that follows
// from it on ways that do not pass through the named step. Following means dependencies, and on_timeout of waits further on.
// What is on both belongs to neither: it stands after the join.
//
// It goes through the graph in the order in which things follow, with 64 waits at a time, a bit for each: so the cost is
// bounded by edges times waits / 64, however the branches run. Where no join is ahead it does not go.
func (g *Graph) findJoins() bool {
	ahead := g.joinAhead()
	f := &joinFinder{g: g, ahead: ahead, order: g.following(), follows: make([]branches, len(g.Deps))}
	for rank, i := range f.order {
		// Both the wait and the step that it names need a join ahead for one of both to be there.
		if e := g.Branch[i]; e >= 0 && ahead[i] && ahead[e] {
			f.group = append(f.group, i)
			if len(f.group) == 1 {
				f.first = rank
			}
		}
		if len(f.group) == 64 || rank == len(f.order)-1 {
			if len(f.group) > 0 && !f.find() {
				return false
			}
			f.group = f.group[:0]
		}
	}
	for s := range g.Joins {
		slices.SortFunc(g.Joins[s], func(a, b Join) int { return cmp.Compare(a.Wait, b.Wait) })
		for _, j := range g.Joins[s] {
			g.Joined[j.Wait] = append(g.Joined[j.Wait], int32(s))
		}
	}
	return true
}

// joinAhead says from which steps one with two or more dependencies can be reached.
func (g *Graph) joinAhead() []bool {
	ahead := make([]bool, len(g.Deps))
	var stack []int32
	add := func(from []int32) {
		for _, i := range from {
			if !ahead[i] {
				ahead[i] = true
				stack = append(stack, i)
			}
		}
	}
	for i := range g.Deps {
		if len(g.Deps[i]) >= 2 {
			add(g.Deps[i])
		}
	}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		add(g.Deps[i])
		add(g.NamedBy[i])
	}
	return ahead
}

// following is an order of all steps in which each stands after what it follows from, by dependencies and by on_timeout. The
// definition's own order is one unless an on_timeout names an earlier step.
func (g *Graph) following() []int32 {
	n := len(g.Deps)
	order := make([]int32, 0, n)
	open := make([]int32, n)
	for i := range n {
		open[i] = int32(len(g.Deps[i]) + len(g.NamedBy[i]))
		if open[i] == 0 {
			order = append(order, int32(i))
		}
	}
	settle := func(i int32) {
		if open[i]--; open[i] == 0 {
			order = append(order, i)
		}
	}
	for at := 0; at < len(order); at++ {
		i := order[at]
		for _, d := range g.Dependents[i] {
			settle(d)
		}
		if e := g.Branch[i]; e >= 0 {
			settle(e)
		}
	}
	return order
}

// branches are the waits of a group, a bit each, on whose branches a step stands.
type branches struct{ answered, timedOut uint64 }

type joinFinder struct {
	g       *Graph
	ahead   []bool
	order   []int32
	group   []int32 // the waits
	first   int     // rank of the first of them
	follows []branches
	named   map[int32]uint64 // step -> the waits of the group that name it
	total   int
}

// find finds the joins of the group's waits.
func (f *joinFinder) find() bool {
	g := f.g
	f.named = make(map[int32]uint64, len(f.group))
	for bit, w := range f.group {
		f.named[g.Branch[w]] |= 1 << bit
	}
	clear(f.follows)
	next := 0
	for _, i := range f.order[f.first:] {
		at := &f.follows[i]
		if next < len(f.group) && f.group[next] == i {
			at.answered |= 1 << next
			next++
		}
		if *at == (branches{}) {
			continue
		}
		if named := f.named[i]; named != 0 {
			at.answered &^= named
			at.timedOut |= named
		}
		if len(g.Deps[i]) >= 2 && at.answered&at.timedOut != 0 && !f.join(i) {
			return false
		}
		if !f.ahead[i] {
			continue
		}
		for _, d := range g.Dependents[i] {
			f.follows[d].answered |= at.answered
			f.follows[d].timedOut |= at.timedOut
		}
		if e := g.Branch[i]; e >= 0 {
			f.follows[e].answered |= at.answered
			f.follows[e].timedOut |= at.timedOut
		}
	}
	return true
}

// join notes the joins of the group's waits that the step is. It is reached from both branches of some.
func (f *joinFinder) join(s int32) bool {
	deps := f.g.Deps[s]
	var both branches
	for _, d := range deps {
		on := f.follows[d]
		both.answered |= on.answered &^ on.timedOut
		both.timedOut |= on.timedOut &^ on.answered
	}
	hit := both.answered & both.timedOut
	if hit == 0 {
		return true
	}
	var joins [64]Join
	for at, d := range deps {
		on := f.follows[d]
		for x := on.answered &^ on.timedOut & hit; x != 0; x &= x - 1 {
			j := &joins[bits.TrailingZeros64(x)]
			j.Answered = append(j.Answered, int32(at))
			f.total++
		}
		for x := on.timedOut &^ on.answered & hit; x != 0; x &= x - 1 {
			j := &joins[bits.TrailingZeros64(x)]
			j.TimedOut = append(j.TimedOut, int32(at))
			f.total++
		}
	}
	for x := hit; x != 0; x &= x - 1 {
		bit := bits.TrailingZeros64(x)
		joins[bit].Wait = f.group[bit]
		f.g.Joins[s] = append(f.g.Joins[s], joins[bit])
	}
	return f.total <= maxJoined
}
