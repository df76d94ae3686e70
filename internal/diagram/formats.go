package diagram

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// States gives the state of a node, "" for none: "completed", "failed", ... A folded node has the one that its owner picks.
type States func(Node) string

func (s States) of(n Node) string {
	if s == nil {
		return ""
	}
	return s(n)
}

// colours of a node by its state: the box and its border. What is not here is drawn plain.
var colours = map[string][2]string{
	"completed": {"#d8f0dc", "#2f7d3b"}, "failed": {"#fbdcdc", "#b3261e"}, "cancelled": {"#eeeeee", "#777777"},
	"timed_out": {"#fdeccc", "#9a6700"}, "skipped": {"#f4f4f4", "#999999"}, "running": {"#d7e7fb", "#1a5fb4"},
	"scheduled": {"#eef4fc", "#1a5fb4"}, "blocked": {"#fdeccc", "#9a6700"}, "waiting": {"#fff7d6", "#9a6700"},
	"retrying": {"#fdeccc", "#9a6700"}, "deferred": {"#fdeccc", "#9a6700"},
}

const plainFill, plainBorder = "#ffffff", "#555555"

func colourOf(state string) (fill, border string) {
	if c, ok := colours[state]; ok {
		return c[0], c[1]
	}
	return plainFill, plainBorder
}

// SVG writes the layout as a picture that stands alone: no script, no style sheet, nothing from elsewhere.
func (l *Layout) SVG(out io.Writer, states States) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="monospace" font-size="13">`+"\n",
		l.Width, l.Height, l.Width, l.Height)
	fmt.Fprintf(w, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", l.Width, l.Height)
	for i, e := range l.Edges {
		points := make([]string, len(l.Bends[i]))
		for k, p := range l.Bends[i] {
			points[k] = fmt.Sprintf("%d,%d", p.X, p.Y)
		}
		dash := ""
		if e.Kind != Dependency {
			dash = ` stroke-dasharray="5 4"`
		}
		fmt.Fprintf(w, `<polyline points="%s" fill="none" stroke="#888888"%s/>`+"\n", strings.Join(points, " "), dash)
	}
	for i, n := range l.Nodes {
		b := l.Boxes[i]
		state := states.of(n)
		fill, border := colourOf(state)
		title := n.Name
		if state != "" {
			title += ": " + state
		}
		fmt.Fprintf(w, `<g><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="5" fill="%s" stroke="%s"/>`, escape(title), b.X, b.Y, b.Width, b.Height, fill, border)
		fmt.Fprintf(w, `<text x="%d" y="%d">%s</text></g>`+"\n", b.X+padding, b.Y+boxHeight/2+5, escape(n.Label()))
	}
	fmt.Fprintln(w, "</svg>")
	return w.Flush()
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// Mermaid writes the diagram as a Mermaid flowchart.
func (d *Diagram) Mermaid(out io.Writer, states States) error {
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, "flowchart LR")
	used := map[string]bool{}
	for i, n := range d.Nodes {
		class := ""
		if state := states.of(n); state != "" {
			class, used[state] = ":::"+state, true
		}
		fmt.Fprintf(w, "  n%d[%s]%s\n", i, quoteMermaid(n.Label()), class)
	}
	for _, e := range d.Edges {
		if e.Kind == Dependency {
			fmt.Fprintf(w, "  n%d --> n%d\n", e.From, e.To)
		} else {
			fmt.Fprintf(w, "  n%d -. %s .-> n%d\n", e.From, e.Kind, e.To)
		}
	}
	for _, state := range slices.Sorted(maps.Keys(used)) {
		fill, border := colourOf(state)
		fmt.Fprintf(w, "  classDef %s fill:%s,stroke:%s\n", state, fill, border)
	}
	return w.Flush()
}

func quoteMermaid(s string) string {
	return `"` + strings.NewReplacer(`"`, "#quot;", "#", "#35;", "\n", " ").Replace(s) + `"`
}

// DOT writes the diagram for Graphviz.
func (d *Diagram) DOT(out io.Writer, states States) error {
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, "digraph workflow {\n  rankdir=LR\n  node [shape=box, style=\"rounded,filled\", fontname=\"monospace\", fontsize=11]")
	for i, n := range d.Nodes {
		fill, border := colourOf(states.of(n))
		fmt.Fprintf(w, "  n%d [label=%s, fillcolor=%q, color=%q]\n", i, quoteDOT(n.Label()), fill, border)
	}
	for _, e := range d.Edges {
		if e.Kind == Dependency {
			fmt.Fprintf(w, "  n%d -> n%d\n", e.From, e.To)
		} else {
			fmt.Fprintf(w, "  n%d -> n%d [style=dashed, label=%q]\n", e.From, e.To, e.Kind)
		}
	}
	fmt.Fprintln(w, "}")
	return w.Flush()
}

func quoteDOT(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(s) + `"`
}
