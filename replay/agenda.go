package replay

// agenda is a min-heap of steps: what became ready in one turn goes in definition order.
type agenda []int32

func (a *agenda) push(i int32) {
	h := append(*a, i)
	for at := len(h) - 1; at > 0; {
		up := (at - 1) / 2
		if h[up] <= h[at] {
			break
		}
		h[up], h[at] = h[at], h[up]
		at = up
	}
	*a = h
}

func (a *agenda) pop() int32 {
	h := *a
	top := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	for at := 0; ; {
		down := 2*at + 1
		if down >= last {
			break
		}
		if down+1 < last && h[down+1] < h[down] {
			down++
		}
		if h[at] <= h[down] {
			break
		}
		h[at], h[down] = h[down], h[at]
		at = down
	}
	*a = h
	return top
}
