package diagram

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
)

// Kind says why one step follows another.
type Kind string

const (
	Dependency Kind = "dependency"
	OnTimeout  Kind = "on_timeout"
	OnFailure  Kind = "on_failure"
)

// Node is a step, or a group of steps that are alike.
type Node struct {
	Name  string
	Type  flow.StepType
	Marks []string // what else it does: "if", "for each", "repeat"
	Group int      // index of its group in Diagram.Groups; -1: none
	Steps []string // of a folded group: its members in definition order; nil for a single step
}

// Edge leads from a step to one that follows it. The numbers are indexes of nodes.
type Edge struct {
	From, To int
	Kind     Kind
}

// Group is a set of steps with the same type and the same neighbours.
type Group struct {
	Name  string   // "first … last"
	Steps []string // in definition order
}

// Diagram is what is drawn. Nodes are in definition order.
type Diagram struct {
	Nodes  []Node
	Edges  []Edge // by From, then To
	Groups []Group
}

// minGroup is how many steps must be alike to be a group.
const minGroup = 4

// Of gives the diagram of a graph, with every step a node of its own and groups found.
func Of(g *flow.Graph) *Diagram {
	d := &Diagram{Nodes: make([]Node, len(g.Def.Steps))}
	for i := range g.Def.Steps {
		s := &g.Def.Steps[i]
		d.Nodes[i] = Node{Name: s.Name, Type: s.Type, Marks: marks(s, g.Final(int32(i))), Group: -1}
		for _, to := range g.Dependents[i] {
			d.Edges = append(d.Edges, Edge{i, int(to), Dependency})
		}
		if e := g.Branch[i]; e >= 0 {
			kind := OnTimeout
			if s.OnFailure != "" {
				kind = OnFailure
			}
			d.Edges = append(d.Edges, Edge{i, int(e), kind})
		}
	}
	slices.SortStableFunc(d.Edges, func(a, b Edge) int {
		if a.From != b.From {
			return a.From - b.From
		}
		return a.To - b.To
	})
	d.group()
	return d
}

// ForEach is the mark of a step that goes over a list.
const ForEach = "for each"

// marks are what is drawn behind a step's name.
func marks(s *flow.Step, final bool) []string {
	var all []string
	for _, m := range []struct {
		mark string
		has  bool
	}{{"if", s.When != ""}, {ForEach, s.ForEach != nil}, {"repeat", s.Repeat != nil}, {"compensate", s.Compensate != nil}, {"finally", final}} {
		if m.has {
			all = append(all, m.mark)
		}
	}
	return all
}

// Label is the name as it is drawn, with its marks.
func (n *Node) Label() string {
	if len(n.Marks) == 0 {
		return n.Name
	}
	return n.Name + " [" + strings.Join(n.Marks, ", ") + "]"
}

// group finds steps that are alike: the same type, and the same steps before and behind them.
func (d *Diagram) group() {
	prints := make([][]byte, len(d.Nodes))
	for i := range d.Nodes {
		prints[i] = append([]byte(d.Nodes[i].Type), 0)
		prints[i] = append(append(prints[i], strings.Join(d.Nodes[i].Marks, ",")...), 0)
	}
	add := func(i int, way byte, e Edge, other int) {
		prints[i] = append(binary.AppendUvarint(append(prints[i], way), uint64(other)), e.Kind[0], e.Kind[len(e.Kind)-1])
	}
	for _, e := range d.Edges {
		add(e.From, 'o', e, e.To)
	}
	for _, e := range d.Edges { // in the order of From, so that each node's come in one order
		add(e.To, 'i', e, e.From)
	}
	members := map[string][]int{}
	for i := range prints {
		members[string(prints[i])] = append(members[string(prints[i])], i)
	}
	for i := range d.Nodes {
		same := members[string(prints[i])]
		if len(same) < minGroup || same[0] != i {
			continue
		}
		g := Group{Name: d.Nodes[i].Name + " … " + d.Nodes[same[len(same)-1]].Name}
		for _, m := range same {
			d.Nodes[m].Group = len(d.Groups)
			g.Steps = append(g.Steps, d.Nodes[m].Name)
		}
		d.Groups = append(d.Groups, g)
	}
}

// Fold gives the diagram with its groups folded to single nodes if it has more than most nodes, else d itself. Steps for
// which apart says yes stay nodes of their own: those that failed or run, say. apart may be nil.
func (d *Diagram) Fold(most int, apart func(step string) bool) *Diagram {
	if len(d.Nodes) <= most || len(d.Groups) == 0 {
		return d
	}
	out := &Diagram{}
	place := make([]int, len(d.Nodes))
	folded := make([]int, len(d.Groups)) // node of the group, plus one
	for i, n := range d.Nodes {
		if n.Group < 0 || apart != nil && apart(n.Name) {
			place[i] = len(out.Nodes)
			n.Group = -1
			out.Nodes = append(out.Nodes, n)
			continue
		}
		if folded[n.Group] == 0 {
			out.Nodes = append(out.Nodes, Node{Type: n.Type, Marks: n.Marks, Group: len(out.Groups)})
			out.Groups = append(out.Groups, Group{})
			folded[n.Group] = len(out.Nodes)
		}
		place[i] = folded[n.Group] - 1
		node := &out.Nodes[place[i]]
		node.Steps = append(node.Steps, n.Name)
	}
	for i := range out.Nodes {
		n := &out.Nodes[i]
		switch {
		case n.Group < 0:
			continue
		case len(n.Steps) == 1:
			n.Name, n.Steps = n.Steps[0], nil
		default:
			n.Name = fmt.Sprintf("%s … %s ×%d", n.Steps[0], n.Steps[len(n.Steps)-1], len(n.Steps))
		}
		out.Groups[n.Group] = Group{Name: n.Name, Steps: n.Steps}
	}
	for _, e := range d.Edges {
		out.Edges = append(out.Edges, Edge{place[e.From], place[e.To], e.Kind})
	}
	slices.SortFunc(out.Edges, func(a, b Edge) int {
		if a.From != b.From {
			return a.From - b.From
		}
		if a.To != b.To {
			return a.To - b.To
		}
		if a.Kind < b.Kind {
			return -1
		} else if a.Kind > b.Kind {
			return 1
		}
		return 0
	})
	out.Edges = slices.Compact(out.Edges)
	return out
}
