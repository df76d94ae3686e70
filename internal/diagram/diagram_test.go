package diagram_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/diagram"
)

func graph(t testing.TB, steps ...flow.Step) *flow.Graph {
	t.Helper()
	g, err := flow.NewGraph(&flow.Definition{Steps: steps})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func task(name string, after ...string) flow.Step {
	return flow.Task(name, "svc", "h", flow.After(after...))
}

// approval is a wait with an escalation, as most people have one.
func approval(t testing.TB) *flow.Graph {
	return graph(t, task("submit"), task("notify", "submit"),
		flow.WaitSignal("approved", "approved", flow.After("notify"), flow.Timeout(1000, "escalate")),
		task("escalate"), task("publish", "approved", "escalate"))
}

// fan is one step, n alike, and a join.
func fan(t testing.TB, n int) *flow.Graph {
	steps := []flow.Step{task("begin")}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("part_%d", i))
		steps = append(steps, task(names[i], "begin"))
	}
	return graph(t, append(steps, task("join", names...))...)
}

// random graphs have long edges, joins and several sources.
func random(t testing.TB, n int, seed uint64) *flow.Graph {
	next := func(k int) int { // a small generator, the same everywhere
		seed = seed*6364136223846793005 + 1442695040888963407
		return int(seed>>33) % k
	}
	var steps []flow.Step
	for i := range n {
		var after []string
		for range next(4) {
			if i > 0 {
				if d := fmt.Sprint("s", next(i)); !slices.Contains(after, d) {
					after = append(after, d)
				}
			}
		}
		steps = append(steps, task(fmt.Sprint("s", i), after...))
	}
	return graph(t, steps...)
}

// What every layout must hold: edges lead from left to right, boxes of a layer do not touch, and everything is inside.
func check(t *testing.T, name string, l *diagram.Layout) {
	t.Helper()
	columns := map[int][]diagram.Box{}
	for i, b := range l.Boxes {
		if b.X < 0 || b.Y < 0 || b.X+b.Width > l.Width || b.Y+b.Height > l.Height {
			t.Fatalf("%s: %s stands outside of the drawing: %+v in %d × %d", name, l.Nodes[i].Name, b, l.Width, l.Height)
		}
		columns[b.Layer] = append(columns[b.Layer], b)
	}
	for layer, boxes := range columns {
		slices.SortFunc(boxes, func(a, b diagram.Box) int { return a.Y - b.Y })
		for i := range boxes[1:] {
			if boxes[i].Y+boxes[i].Height > boxes[i+1].Y {
				t.Fatalf("%s: two boxes of layer %d overlap: %+v and %+v", name, layer, boxes[i], boxes[i+1])
			}
		}
	}
	for i, e := range l.Edges {
		bends := l.Bends[i]
		for k := range bends[1:] {
			if bends[k].X > bends[k+1].X {
				t.Fatalf("%s: the edge from %s to %s turns back: %v", name, l.Nodes[e.From].Name, l.Nodes[e.To].Name, bends)
			}
		}
	}
}

func TestEveryLayoutIsInOrder(t *testing.T) {
	check(t, "approval", diagram.Of(approval(t)).Layout())
	check(t, "one", diagram.Of(graph(t, task("one"))).Layout())
	check(t, "fan", diagram.Of(fan(t, 300)).Layout())
	for seed := range uint64(200) {
		check(t, fmt.Sprint("random ", seed), diagram.Of(random(t, 2+int(seed%60), seed)).Layout())
	}
}

// The sweeps are worth something: two crossed pairs are uncrossed.
func TestCrossedEdgesAreUncrossed(t *testing.T) {
	l := diagram.Of(graph(t, task("a"), task("b"), task("c", "b"), task("d", "a"))).Layout()
	y := map[string]int{}
	for i, n := range l.Nodes {
		y[n.Name] = l.Boxes[i].Y
	}
	if (y["a"] < y["b"]) != (y["d"] < y["c"]) {
		t.Errorf("the edges a-d and b-c cross: %v", y)
	}
}

// 10,000 steps are laid out with work in proportion: the number of allocations for ten times as many is about ten times.
func TestLayoutCostGrowsInProportion(t *testing.T) {
	count := func(n int) float64 {
		d := diagram.Of(fan(t, n))
		return testing.AllocsPerRun(1, func() { d.Layout() })
	}
	if small, large := count(1_000), count(10_000); large > 20*small {
		t.Errorf("%v allocations for 1,000 steps, %v for 10,000", small, large)
	}
}

func TestAlikeStepsFold(t *testing.T) {
	d := diagram.Of(fan(t, 1_000))
	if len(d.Groups) != 1 || len(d.Groups[0].Steps) != 1_000 {
		t.Fatalf("%d groups", len(d.Groups))
	}
	if d.Fold(2_000, nil) != d {
		t.Error("a small diagram was folded")
	}
	f := d.Fold(300, func(step string) bool { return step == "part_7" })
	var names []string
	for _, n := range f.Nodes {
		names = append(names, n.Name)
	}
	if want := []string{"begin", "part_0 … part_999 ×999", "part_7", "join"}; !slices.Equal(names, want) {
		t.Errorf("folded to %q, want %q", names, want)
	}
	if len(f.Edges) != 4 {
		t.Errorf("%d edges, want 4: %v", len(f.Edges), f.Edges)
	}
	check(t, "folded", f.Layout())
}

func TestRailsAreNoWiderThanAsked(t *testing.T) {
	rails, tangled := diagram.Of(approval(t)).Rails(40)
	if want := []string{"@", "@", "@", "├─@", "@─┘"}; tangled || !slices.Equal(rails, want) {
		t.Fatalf("%q, want %q", rails, want)
	}
	if rails, tangled := diagram.Of(fan(t, 100)).Rails(40); !tangled || rails[50] != diagram.Here {
		t.Errorf("a fan of 100 has rails of %d columns", len([]rune(rails[50])))
	}
	before := diagram.Of(approval(t)).Before()
	if got := strings.Join(before[3], ","); got != "approved (on_timeout)" {
		t.Errorf("before escalate: %s", got)
	}
}

// Names cannot break out of any format.
func TestHostileNamesStayText(t *testing.T) {
	d := &diagram.Diagram{Nodes: []diagram.Node{{Name: `a"]<script>&x`, Group: -1}, {Name: "b\\\"\nend", Group: -1}}, Edges: []diagram.Edge{{From: 0, To: 1, Kind: diagram.OnTimeout}}}
	states := func(diagram.Node) string { return "failed" }
	var svg, mermaid, dot strings.Builder
	if err := d.Layout().SVG(&svg, states); err != nil {
		t.Fatal(err)
	}
	dec := xml.NewDecoder(strings.NewReader(svg.String()))
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the SVG is not well formed: %v", err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Error("a name became an element")
		}
	}
	_ = d.Mermaid(&mermaid, states)
	_ = d.DOT(&dot, states)
	for _, text := range []string{mermaid.String(), dot.String()} {
		if strings.Contains(text, `a"]`) || strings.Count(text, "\n") > 12 {
			t.Errorf("a name broke out:\n%s", text)
		}
	}
}

// What the three formats look like stands in testdata; rewrite with -update.
func TestFormats(t *testing.T) {
	g := approval(t)
	d := diagram.Of(g)
	states := func(n diagram.Node) string {
		return map[string]string{"submit": "completed", "notify": "completed", "approved": "waiting"}[n.Name]
	}
	var svg, mermaid, dot strings.Builder
	_ = d.Layout().SVG(&svg, states)
	_ = d.Mermaid(&mermaid, states)
	_ = d.DOT(&dot, states)
	for name, got := range map[string]string{"approval.svg": svg.String(), "approval.mmd": mermaid.String(), "approval.dot": dot.String()} {
		path := filepath.Join("testdata", name)
		if os.Getenv("AGNT5_UPDATE") != "" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs (AGNT5_UPDATE=1 writes it anew):\n%s", name, got)
		}
	}
}

// The branches of failures are drawn as those of time-outs are, and what a step does besides stands behind its name.
func TestBranchesAndMarks(t *testing.T) {
	steps := []flow.Step{
		{Name: "list", Type: flow.TypeTask, When: "input.go", OnFailure: "sorry"},
		{Name: "each", Type: flow.TypeTask, ForEach: []byte(`[1]`), Repeat: &flow.Repeat{}, Dependencies: []string{"list"}},
		{Name: "sorry", Type: flow.TypeTask},
	}
	g := &flow.Graph{Def: &flow.Definition{Steps: steps}, Index: map[string]int32{"list": 0, "each": 1, "sorry": 2},
		Deps: [][]int32{nil, {0}, nil}, Dependents: [][]int32{{1}, nil, nil}, Branch: []int32{2, -1, -1}, Main: 3}
	d := diagram.Of(g)
	var mermaid, dot, svg strings.Builder
	_ = d.Mermaid(&mermaid, nil)
	_ = d.DOT(&dot, nil)
	_ = d.Layout().SVG(&svg, nil)
	for _, c := range []struct{ where, want string }{
		{mermaid.String(), `n0["list [if]"]`}, {mermaid.String(), `n0 -. on_failure .-> n2`}, {mermaid.String(), `n1["each [for each, repeat]"]`},
		{dot.String(), `n0 -> n2 [style=dashed, label="on_failure"]`}, {svg.String(), `>each [for each, repeat]</text>`}, {svg.String(), `stroke-dasharray`},
		{strings.Join(d.Before()[2], ","), "list (on_failure)"},
	} {
		if !strings.Contains(c.where, c.want) {
			t.Errorf("no %s in:\n%s", c.want, c.where)
		}
	}
	if m := d.Layout().Model(); m.Nodes[1].Marks[0] != "for each" || m.Edges[1].Kind != "on_failure" || m.Nodes[1].Width <= m.Nodes[2].Width {
		t.Errorf("%+v", m)
	}
}

func BenchmarkLayout10000(b *testing.B) {
	d := diagram.Of(fan(b, 10_000))
	for b.Loop() {
		d.Layout()
	}
}

func BenchmarkLayoutRandom2000(b *testing.B) {
	d := diagram.Of(random(b, 2_000, 3))
	for b.Loop() {
		d.Layout()
	}
}
