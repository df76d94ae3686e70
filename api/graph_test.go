package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
)

// A graph has every step in a place of its own, behind those that it follows; a version keeps its graph, and steps that are alike
// fold when that is asked for.
func TestTheGraphOfAWorkflow(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	var steps, names []string
	for i := range 20 {
		steps = append(steps, fmt.Sprintf(`{"name":"p%d","service_name":"svc","handler_name":"h","dependencies":["a"]}`, i))
		names = append(names, fmt.Sprintf(`"p%d"`, i))
	}
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go","timeout_ms":5,"on_timeout":"late"}},
		{"name":"late","service_name":"svc","handler_name":"h"},`+strings.Join(steps, ",")+`,{"name":"end","service_name":"svc","handler_name":"h","dependencies":[`+strings.Join(names, ",")+`]}]}`)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.Graph(t.Context(), "w", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if g.Name != "w" || g.Version != 2 || g.Layers != 3 || len(g.Nodes) != 23 || len(g.Edges) != 41 || len(g.Groups) != 1 || g.Groups[0].Count != 20 {
		t.Errorf("%+v", g)
	}
	taken := map[[2]int]string{}
	for _, n := range g.Nodes {
		at := [2]int{n.X, n.Y}
		if taken[at] != "" || n.X < 0 || n.Y < 0 || n.X+n.Width > g.Width || n.Y+n.Height > g.Height || (n.Group != nil) != strings.HasPrefix(n.Name, "p") {
			t.Errorf("%+v stands with %q in %d x %d", n, taken[at], g.Width, g.Height)
		}
		taken[at] = n.Name
	}
	kinds := map[string]int{}
	for _, e := range g.Edges {
		from, to := g.Nodes[e.From], g.Nodes[e.To]
		first, last := e.Points[0], e.Points[len(e.Points)-1]
		if from.Layer >= to.Layer || first[0] != from.X+from.Width || last[0] != to.X {
			t.Errorf("%+v from %+v to %+v", e, from, to)
		}
		kinds[e.Kind]++
	}
	if kinds["on_timeout"] != 1 || kinds["dependency"] != 40 {
		t.Errorf("edges: %v", kinds)
	}
	folded, err := c.Graph(t.Context(), "w", 0, 10)
	if err != nil || len(folded.Nodes) != 4 || len(folded.Nodes[2].Steps) != 20 || *folded.Nodes[2].Group != 0 {
		t.Errorf("folded: %+v %v", folded, err)
	}
	if unfolded, err := c.Graph(t.Context(), "w", 0, 100); err != nil || len(unfolded.Nodes) != 23 {
		t.Errorf("a small graph was folded: %v", err)
	}
	if one, err := c.Graph(t.Context(), "w", 1, -1); err != nil || one.Version != 1 || len(one.Nodes) != 1 || one.Digest == g.Digest {
		t.Errorf("version 1: %+v %v", one, err)
	}
	tag := s.want(200, "", "GET", "/v1/workflows/w/graph", "").Header.Get("ETag")
	s.want(304, "", "GET", "/v1/workflows/w/graph?version=2", "", "If-None-Match", tag)
	s.want(200, "", "GET", "/v1/workflows/w/graph?fold=10", "", "If-None-Match", tag)
	s.want(404, "workflow_not_found", "GET", "/v1/workflows/w/graph?version=3", "")
	s.want(404, "workflow_not_found", "GET", "/v1/workflows/none/graph", "")
}
