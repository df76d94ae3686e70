package timers

import "github.com/agnt5/agnt5d/internal/heap"

// Entry is a moment at which a step of a run must be looked at. It is 24 bytes.
type Entry struct {
	Due  int64 // Unix ms
	Run  uint64
	Step int32 // the instance, as events have it
}

// Queue gives entries in the order of their moments; of the same moment by run, then step. Its zero value is empty. An
// entry whose step waits no more is left in until somebody calls Keep, and whoever takes one looks whether the step still waits for
// that very moment.
type Queue struct{ heap []Entry }

// Push adds an entry.
func (q *Queue) Push(e Entry) { q.heap = heap.Push(q.heap, e) }

// Before says whether the entry comes first: by moment, then run, then step.
func (e Entry) Before(o Entry) bool {
	switch {
	case e.Due != o.Due:
		return e.Due < o.Due
	case e.Run != o.Run:
		return e.Run < o.Run
	}
	return e.Step < o.Step
}

// Peek gives the first entry without taking it.
func (q *Queue) Peek() (Entry, bool) {
	if len(q.heap) == 0 {
		return Entry{}, false
	}
	return q.heap[0], true
}

// Pop takes the first entry. The queue must not be empty.
func (q *Queue) Pop() Entry {
	h, top := heap.Pop(q.heap)
	if cap(h) > 4096 && len(h) < cap(h)/4 { // give back what a crowd needed
		h = append(make([]Entry, 0, cap(h)/2), h...)
	}
	q.heap = h
	return top
}

// PopDue takes up to most entries that are due at now, in order, and appends them to dst.
func (q *Queue) PopDue(dst []Entry, now int64, most int) []Entry {
	for ; most > 0 && len(q.heap) > 0 && q.heap[0].Due <= now; most-- {
		dst = append(dst, q.Pop())
	}
	return dst
}

// Keep throws away the entries of which waits says no.
func (q *Queue) Keep(waits func(Entry) bool) {
	all := q.heap
	q.heap = all[:0]
	for _, e := range all { // what is pushed never stands behind what is still to be looked at
		if waits(e) {
			q.heap = heap.Push(q.heap, e)
		}
	}
	if h := q.heap; cap(h) > 4096 && len(h) < cap(h)/4 {
		q.heap = append(make([]Entry, 0, 2*len(h)), h...)
	}
}

// Entries gives every entry, in no order. The slice is the Queue's own.
func (q *Queue) Entries() []Entry { return q.heap }

// Len is how many entries there are.
func (q *Queue) Len() int { return len(q.heap) }
