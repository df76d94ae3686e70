package flow

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/internal/expression"
)

// MostItems is the most that max_items may be.
const MostItems = 100_000

// List is a step with for_each, and the numbers of its items: they stand behind the definition's steps, each list behind the one before,
// and have room for as many as max_items says. So what a number stands for is known from the definition alone.
type List struct {
	Step  int32
	First int32 // number of the item with index 0
	Room  int32
}

// maxItems is how many items the step may have.
func (s *Step) maxItems() int64 {
	if s.MaxItems == nil {
		return DefaultMaxItems
	}
	return *s.MaxItems
}

// lists gives every step with for_each, and whether there are numbers for all of their items.
func lists(steps []Step) (all []List, room bool) {
	next := int64(len(steps))
	for i := range steps {
		if steps[i].ForEach == nil {
			continue
		}
		n := steps[i].maxItems()
		if n < 1 || next+n > math.MaxInt32 {
			return nil, false
		}
		all = append(all, List{int32(i), int32(next), int32(n)})
		next += n
	}
	return all, true
}

// items is how many numbers the steps and their items take.
func (g *Graph) items() int32 {
	if n := len(g.Lists); n > 0 {
		return g.Lists[n-1].First + g.Lists[n-1].Room
	}
	return int32(len(g.Deps))
}

// Item says which item of which list a number stands for: list is a place in Lists. ok is false for the number of a step, and for one
// behind all items.
func (g *Graph) Item(number int32) (list int, index int32, ok bool) {
	if int(number) < len(g.Deps) || number >= g.items() {
		return 0, 0, false
	}
	list, found := slices.BinarySearchFunc(g.Lists, number, func(l List, n int32) int { return int(l.First) - int(n) })
	if !found {
		list--
	}
	return list, number - g.Lists[list].First, true
}

// ListOf gives the place in Lists of a step with for_each; -1: it has none.
func (g *Graph) ListOf(step int32) int {
	at, found := slices.BinarySearchFunc(g.Lists, step, func(l List, s int32) int { return int(l.Step) - int(s) })
	if !found {
		return -1
	}
	return at
}

// NameOf gives the name of a step, of an item, such as fetch[3], or of a compensation, such as fetch[3]/undo; of another number, #NUMBER.
func (g *Graph) NameOf(number int32) string {
	if int(number) < len(g.Deps) {
		return g.Def.Steps[number].Name
	}
	if list, index, ok := g.Item(number); ok {
		return ItemName(g.Def.Steps[g.Lists[list].Step].Name, int(index))
	}
	if target, ok := g.Undoes(number); ok {
		return g.NameOf(target) + undoMark
	}
	return "#" + strconv.Itoa(int(number))
}

// ItemName is what an item of a step is called.
func ItemName(step string, index int) string { return step + "[" + strconv.Itoa(index) + "]" }

// EachItem calls with each item of a list in JSON, byte for byte.
func EachItem(list []byte, each func(item []byte)) { expression.EachItem(list, each) }

// TolerateOf is how many of n items of the step may fail for good.
func (s *Step) TolerateOf(n int) int {
	switch t := s.Tolerate; {
	case t == nil:
		return 0
	case t.Percent:
		return int(t.N * int64(n) / 100)
	default:
		return int(min(t.N, int64(n)))
	}
}

// DefaultParallel is how many items of a list are open at a time when max_parallel does not say.
const DefaultParallel = 1_000

// ParallelOf is how many items of the step may be open at a time.
func (s *Step) ParallelOf() int {
	if s.MaxParallel == nil {
		return DefaultParallel
	}
	return int(min(*s.MaxParallel, math.MaxInt32))
}

// Instance gives the number of a step, of an item such as fetch[3], or of a compensation such as fetch[3]/undo, by its name; false: there is none. Whether the list has so many items
// is another question.
func (g *Graph) Instance(name string) (int32, bool) {
	if i, ok := g.Index[name]; ok {
		return i, true
	}
	if of, is := strings.CutSuffix(name, undoMark); is {
		target, ok := g.Instance(of)
		if !ok {
			return 0, false
		}
		return g.UndoOf(target)
	}
	at := strings.LastIndexByte(name, '[')
	if at < 0 || !strings.HasSuffix(name, "]") {
		return 0, false
	}
	step, ok := g.Index[name[:at]]
	index, err := strconv.ParseUint(name[at+1:len(name)-1], 10, 31)
	list := -1
	if ok && err == nil && ItemName(name[:at], int(index)) == name {
		list = g.ListOf(step)
	}
	if list < 0 || int32(index) >= g.Lists[list].Room {
		return 0, false
	}
	return g.Lists[list].First + int32(index), true
}
