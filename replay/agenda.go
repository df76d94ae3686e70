package replay

import "github.com/agnt5/agnt5d/internal/heap"

// agenda has what became ready in one turn: it goes in definition order.
type agenda []place

type place int32 // in the definition

func (p place) Before(o place) bool { return p < o }

func (a *agenda) push(i int32) { *a = heap.Push(*a, place(i)) }

func (a *agenda) pop() int32 {
	h, i := heap.Pop(*a)
	*a = h
	return int32(i)
}
