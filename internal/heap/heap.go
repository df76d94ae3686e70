// Package heap keeps a slice in the order of a binary heap: the first element comes before all others. It is container/heap
// without an interface value for each element.
package heap

// Item is what a heap holds.
type Item[T any] interface{ Before(T) bool }

// Push adds v to h, which is a heap or empty.
func Push[T Item[T]](h []T, v T) []T {
	h = append(h, v)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].Before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	return h
}

// Pop takes the first element of h, which must not be empty.
func Pop[T Item[T]](h []T) ([]T, T) {
	var none T
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h[last] = none
	h = h[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && h[down+1].Before(h[down]) {
			down++
		}
		if !h[down].Before(h[i]) {
			break
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
	return h, top
}
