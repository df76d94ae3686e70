package flow

import (
	"cmp"
	"math"
	"slices"
)

// Undo is a step with compensate, and the numbers of its compensations: one, or with for_each one for each item. They stand behind the
// numbers of all items, each step's behind those of the one before.
type Undo struct {
	Step  int32
	First int32 // the number of the only one, or of that of the item with index 0
	Room  int32
	Spec  *Step // what a compensation does
}

// undoMark is what the name of a compensation ends with, and its idempotency key.
const undoMark = "/undo"

// Endings says that something may be left to do when the fate of a run is decided: compensations, or steps of finally.
func (g *Graph) Endings() bool { return len(g.Undos) > 0 || int(g.Main) < len(g.Def.Steps) }

// Final says whether a step is one of finally.
func (g *Graph) Final(i int32) bool { return i >= g.Main }

// hasRoom says whether there are numbers for all items of the steps, and their compensations.
func hasRoom(steps []Step) bool {
	all, room := lists(steps)
	next := int64(len(steps))
	for _, l := range all {
		next += int64(l.Room)
	}
	for i := range steps {
		switch s := &steps[i]; {
		case s.Compensate == nil:
		case s.ForEach != nil:
			next += s.maxItems()
		default:
			next++
		}
	}
	return room && next <= math.MaxInt32
}

func (g *Graph) findUndos() {
	next := g.items()
	for i := range g.Def.Steps {
		s := &g.Def.Steps[i]
		c := s.Compensate
		if c == nil {
			continue
		}
		room := int32(1)
		if s.ForEach != nil {
			room = int32(s.maxItems())
		}
		g.Undos = append(g.Undos, Undo{Step: int32(i), First: next, Room: room, Spec: &Step{Name: s.Name + undoMark, Type: TypeTask,
			Service: cmp.Or(c.Service, s.Service), Handler: c.Handler, TimeoutMS: c.TimeoutMS, Retry: c.Retry,
			ObjectKeys: s.ObjectKeys, InputData: s.InputData}})
		next += room
	}
}

// Numbers is how many numbers the steps, their items and the compensations of both take.
func (g *Graph) Numbers() int32 {
	if n := len(g.Undos); n > 0 {
		return g.Undos[n-1].First + g.Undos[n-1].Room
	}
	return g.items()
}

// undo gives the place in Undos of the number of a compensation; -1: it is none.
func (g *Graph) undo(number int32) int {
	if len(g.Undos) == 0 || number < g.Undos[0].First || number >= g.Numbers() {
		return -1
	}
	at, found := slices.BinarySearchFunc(g.Undos, number, func(u Undo, n int32) int { return int(u.First) - int(n) })
	if !found {
		at--
	}
	return at
}

// UndoSpec gives what the compensation of that number does; nil: it is none.
func (g *Graph) UndoSpec(number int32) *Step {
	if at := g.undo(number); at >= 0 {
		return g.Undos[at].Spec
	}
	return nil
}

// Undoes gives the step or item that the compensation of that number takes back; false: it is none.
func (g *Graph) Undoes(number int32) (target int32, ok bool) {
	at := g.undo(number)
	if at < 0 {
		return 0, false
	}
	u := &g.Undos[at]
	if list := g.ListOf(u.Step); list >= 0 {
		return g.Lists[list].First + number - u.First, true
	}
	return u.Step, true
}

// UndoOf gives the number of the compensation of a step or an item; false: it has none. That of a step with for_each are its items'.
func (g *Graph) UndoOf(target int32) (number int32, ok bool) {
	step, index := target, int32(0)
	if list, at, item := g.Item(target); item {
		step, index = g.Lists[list].Step, at
	} else if g.ListOf(target) >= 0 {
		return 0, false
	}
	at, found := slices.BinarySearchFunc(g.Undos, step, func(u Undo, s int32) int { return int(u.Step) - int(s) })
	if !found {
		return 0, false
	}
	return g.Undos[at].First + index, true
}
