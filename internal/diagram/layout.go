package diagram

import (
	"slices"
	"unicode/utf8"
)

// Point is a place in the drawing, in pixels from its upper left corner.
type Point struct{ X, Y int }

// Box is where a node is drawn.
type Box struct {
	Layer         int // from 0, left to right
	X, Y          int // of its upper left corner
	Width, Height int
}

// Layout is a diagram with a place for everything.
type Layout struct {
	*Diagram
	Boxes         []Box     // of each node
	Bends         [][]Point // of each edge: from the right side of one box to the left side of another
	Layers        int
	Width, Height int
}

// Sizes of the drawing, in pixels.
const (
	charWidth = 8
	boxHeight = 28
	padding   = 12 // beside a name, within its box
	rowGap    = 14
	layerGap  = 56
	margin    = 16
)

// maxDummies bounds what long edges may take; over it they are drawn straight.
const maxDummies = 200_000

// spot is a node, or a dummy of a long edge, in its layer.
type spot struct {
	node   int // -1: a dummy
	layer  int
	place  int // in its layer
	y      float64
	before []int
	after  []int
}

// plan is a layout in the making.
type plan struct {
	d      *Diagram
	spots  []spot
	layers [][]int
	chain  map[[2]int]int // source node, layer -> the dummy that its edges share there
}

// Layout gives every node and edge a place.
func (d *Diagram) Layout() *Layout {
	p := &plan{d: d, chain: map[[2]int]int{}}
	p.assign()
	p.lead()
	p.order()
	p.spread()
	return p.finish()
}

// assign puts each node in the layer after the last one that it follows.
func (p *plan) assign() {
	n := len(p.d.Nodes)
	p.spots = make([]spot, n)
	waits := make([]int, n)
	first := make([]int, n+1) // of each node's edges
	for _, e := range p.d.Edges {
		waits[e.To]++
		first[e.From+1]++
	}
	for i := range n {
		first[i+1] += first[i]
		p.spots[i].node = i
	}
	queue := make([]int, 0, n)
	for i := range n {
		if waits[i] == 0 {
			queue = append(queue, i)
		}
	}
	for at := 0; at < len(queue); at++ {
		i := queue[at]
		for _, e := range p.d.Edges[first[i]:first[i+1]] {
			p.spots[e.To].layer = max(p.spots[e.To].layer, p.spots[i].layer+1)
			if waits[e.To]--; waits[e.To] == 0 {
				queue = append(queue, e.To)
			}
		}
	}
	depth := 0
	for i := range p.spots {
		depth = max(depth, p.spots[i].layer+1)
	}
	p.layers = make([][]int, depth)
	for i := range p.spots {
		p.put(i)
	}
}

func (p *plan) put(i int) {
	s := &p.spots[i]
	s.place = len(p.layers[s.layer])
	p.layers[s.layer] = append(p.layers[s.layer], i)
}

func (p *plan) join(a, b int) {
	p.spots[a].after = append(p.spots[a].after, b)
	p.spots[b].before = append(p.spots[b].before, a)
}

// lead puts dummies on the edges that cross layers.
func (p *plan) lead() {
	made := 0
	for _, e := range p.d.Edges {
		from, to := p.spots[e.From].layer, p.spots[e.To].layer
		if made+to-from > maxDummies {
			p.join(e.From, e.To)
			continue
		}
		last := e.From
		for layer := from + 1; layer < to; layer++ {
			key := [2]int{e.From, layer}
			dummy, known := p.chain[key]
			if !known {
				dummy = len(p.spots)
				p.spots = append(p.spots, spot{node: -1, layer: layer})
				p.put(dummy)
				p.chain[key] = dummy
				p.join(last, dummy)
				made++
			}
			last = dummy
		}
		p.join(last, e.To)
	}
}

// order sorts each layer by the mean place of its neighbours, to and fro.
func (p *plan) order() {
	sweeps := 8
	if len(p.spots) > 5_000 {
		sweeps = 4
	}
	weight := make([]float64, len(p.spots))
	sortLayer := func(layer []int, neighbours func(*spot) []int) {
		for _, i := range layer {
			s := &p.spots[i]
			weight[i] = float64(s.place)
			if near := neighbours(s); len(near) > 0 {
				sum := 0
				for _, o := range near {
					sum += p.spots[o].place
				}
				weight[i] = float64(sum) / float64(len(near))
			}
		}
		slices.SortStableFunc(layer, func(a, b int) int {
			switch {
			case weight[a] < weight[b]:
				return -1
			case weight[a] > weight[b]:
				return 1
			}
			return 0
		})
		for at, i := range layer {
			p.spots[i].place = at
		}
	}
	for range sweeps {
		for l := 1; l < len(p.layers); l++ {
			sortLayer(p.layers[l], func(s *spot) []int { return s.before })
		}
		for l := len(p.layers) - 2; l >= 0; l-- {
			sortLayer(p.layers[l], func(s *spot) []int { return s.after })
		}
	}
	for l := 1; l < len(p.layers); l++ {
		sortLayer(p.layers[l], func(s *spot) []int { return s.before })
	}
}

// spread moves each spot towards the middle of its neighbours, as far as the order and the distance in its layer allow.
func (p *plan) spread() {
	const row = boxHeight + rowGap
	for _, layer := range p.layers {
		for at, i := range layer {
			p.spots[i].y = float64(at * row)
		}
	}
	for sweep := range 6 {
		for l := range p.layers {
			layer := p.layers[l]
			if sweep%2 == 1 {
				layer = p.layers[len(p.layers)-1-l]
			}
			want := make([]float64, len(layer))
			for at, i := range layer {
				s := &p.spots[i]
				near := s.before
				if sweep%2 == 1 || len(near) == 0 {
					near = s.after
				}
				want[at] = s.y
				if len(near) > 0 {
					sum := 0.0
					for _, o := range near {
						sum += p.spots[o].y
					}
					want[at] = sum / float64(len(near))
				}
			}
			for at, y := range apart(want, row) {
				p.spots[layer[at]].y = y
			}
		}
	}
}

// apart gives ascending places at least gap from each other, as near as can be to those that are wanted: neighbours that are
// too near form a block, which stands at the mean of what its members want.
func apart(want []float64, gap float64) []float64 {
	type block struct {
		sum   float64 // of where each member would have the block begin
		count int
	}
	var blocks []block
	begin := func(b block) float64 { return b.sum / float64(b.count) }
	for _, w := range want {
		blocks = append(blocks, block{w, 1})
		for n := len(blocks); n > 1; n = len(blocks) {
			a, b := blocks[n-2], blocks[n-1]
			if begin(a)+float64(a.count)*gap <= begin(b) {
				break
			}
			blocks = append(blocks[:n-2], block{a.sum + b.sum - float64(a.count*b.count)*gap, a.count + b.count})
		}
	}
	out := make([]float64, 0, len(want))
	for _, b := range blocks {
		for k := range b.count {
			out = append(out, begin(b)+float64(k)*gap)
		}
	}
	return out
}

// finish turns places into pixels.
func (p *plan) finish() *Layout {
	l := &Layout{Diagram: p.d, Boxes: make([]Box, len(p.d.Nodes)), Bends: make([][]Point, len(p.d.Edges)), Layers: len(p.layers)}
	top := 0.0
	for i := range p.spots {
		top = min(top, p.spots[i].y)
	}
	left := make([]int, len(p.layers))
	wide := make([]int, len(p.layers))
	x := margin
	for at, layer := range p.layers {
		for _, i := range layer {
			if n := p.spots[i].node; n >= 0 {
				wide[at] = max(wide[at], utf8.RuneCountInString(p.d.Nodes[n].Label())*charWidth+2*padding)
			}
		}
		left[at] = x
		x += wide[at] + layerGap
	}
	l.Width = x - layerGap + margin
	y := func(s *spot) int { return margin + int(s.y-top) }
	for i := range p.d.Nodes {
		s := &p.spots[i]
		l.Boxes[i] = Box{s.layer, left[s.layer], y(s), utf8.RuneCountInString(p.d.Nodes[i].Label())*charWidth + 2*padding, boxHeight}
		l.Height = max(l.Height, y(s)+boxHeight+margin)
	}
	for at, e := range p.d.Edges {
		a, b := l.Boxes[e.From], l.Boxes[e.To]
		bends := []Point{{a.X + a.Width, a.Y + boxHeight/2}}
		for layer := a.Layer + 1; layer < b.Layer; layer++ {
			if dummy, ok := p.chain[[2]int{e.From, layer}]; ok {
				mid := y(&p.spots[dummy]) + boxHeight/2
				bends = append(bends, Point{left[layer], mid}, Point{left[layer] + wide[layer], mid})
				l.Height = max(l.Height, mid+margin)
			}
		}
		l.Bends[at] = append(bends, Point{b.X, b.Y + boxHeight/2})
	}
	return l
}
