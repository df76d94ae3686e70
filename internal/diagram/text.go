package diagram

import (
	"fmt"
	"strings"
)

// Here is what stands in a rail where the step itself is.
const Here = "@"

// Rails gives, for each node in definition order, the line's piece of the graph: Here stands for the step itself, and lines
// run from each step down to those that follow it. When some line would be wider than most columns there are no lines: each
// rail is Here alone, and tangled says so.
func (d *Diagram) Rails(most int) (rails []string, tangled bool) {
	from := make([][]int, len(d.Nodes)) // whose lines end at a node
	left := make([]int, len(d.Nodes))   // lines that a node has still to give
	for _, e := range d.Edges {
		if e.From < e.To {
			from[e.To] = append(from[e.To], e.From)
			left[e.From]++
		}
	}
	var lanes []int         // node whose lines run there; -1: free
	laneOf := map[int]int{} // of a node whose lines run
	rails = make([]string, len(left))
	for i := range d.Nodes {
		ends, passes := map[int]bool{}, map[int]bool{} // lanes that end here; lanes that give a line and run on
		for _, o := range from[i] {
			l := laneOf[o]
			if left[o]--; left[o] == 0 {
				ends[l] = true
				delete(passes, l)
			} else {
				passes[l] = true
			}
		}
		col := -1
		for l := range lanes {
			if ends[l] {
				col = l
				break
			}
		}
		for l := 0; col < 0 && l < len(lanes); l++ {
			if lanes[l] == -1 {
				col = l
			}
		}
		if col < 0 {
			lanes = append(lanes, -1)
			col = len(lanes) - 1
		}
		if 2*len(lanes) > most {
			for i := range rails {
				rails[i] = Here
			}
			return rails, true
		}
		rails[i] = rail(lanes, col, ends, passes)
		for l := range ends {
			lanes[l] = -1
		}
		lanes[col] = -1
		if left[i] > 0 {
			lanes[col] = i
			laneOf[i] = col
		}
		for len(lanes) > 0 && lanes[len(lanes)-1] == -1 {
			lanes = lanes[:len(lanes)-1]
		}
	}
	return rails, false
}

// rail draws one line: the step at col, and the lines that reach it.
func rail(lanes []int, col int, ends, passes map[int]bool) string {
	lo, hi := col, col
	for _, m := range []map[int]bool{ends, passes} {
		for l := range m {
			lo, hi = min(lo, l), max(hi, l)
		}
	}
	var b strings.Builder
	for l := range max(len(lanes), hi+1) {
		inside := l > lo && l < hi
		switch {
		case l == col:
			b.WriteString(Here)
		case ends[l] && l == lo:
			b.WriteString("└")
		case ends[l] && l == hi:
			b.WriteString("┘")
		case ends[l]:
			b.WriteString("┴")
		case passes[l] && l == lo:
			b.WriteString("├")
		case passes[l] && l == hi:
			b.WriteString("┤")
		case passes[l]:
			b.WriteString("┼")
		case lanes[l] >= 0:
			b.WriteString("│")
		case inside:
			b.WriteString("─")
		default:
			b.WriteString(" ")
		}
		if l >= lo && l < hi {
			b.WriteString("─")
		} else {
			b.WriteString(" ")
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Before gives the names of the nodes that lead to each node: what the lines would show.
func (d *Diagram) Before() [][]string {
	out := make([][]string, len(d.Nodes))
	for _, e := range d.Edges {
		name := d.Nodes[e.From].Name
		if e.Kind != Dependency {
			name = fmt.Sprintf("%s (%s)", name, e.Kind)
		}
		out[e.To] = append(out[e.To], name)
	}
	return out
}
