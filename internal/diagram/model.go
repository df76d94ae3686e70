package diagram

import "github.com/agnt5/agnt5d/model"

// Model is the layout as it is shown, without the names of its workflow.
func (l *Layout) Model() *model.Graph {
	out := &model.Graph{Width: l.Width, Height: l.Height, Layers: l.Layers, Nodes: make([]model.GraphNode, len(l.Nodes)),
		Edges: make([]model.GraphEdge, len(l.Edges)), Groups: make([]model.GraphGroup, len(l.Groups))}
	for i, n := range l.Nodes {
		b := l.Boxes[i]
		out.Nodes[i] = model.GraphNode{Name: n.Name, Type: string(n.Type), Marks: n.Marks, Layer: b.Layer, X: b.X, Y: b.Y, Width: b.Width, Height: b.Height, Steps: n.Steps}
		if n.Group >= 0 {
			out.Nodes[i].Group = &l.Nodes[i].Group
		}
	}
	for i, e := range l.Edges {
		points := make([][]int, len(l.Bends[i]))
		for k, p := range l.Bends[i] {
			points[k] = []int{p.X, p.Y}
		}
		out.Edges[i] = model.GraphEdge{From: e.From, To: e.To, Kind: string(e.Kind), Points: points}
	}
	for i, g := range l.Groups {
		out.Groups[i] = model.GraphGroup{Name: g.Name, Count: len(g.Steps)}
	}
	return out
}
