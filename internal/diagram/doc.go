// Package diagram lays out the graph of a workflow and draws it: one layout for the page, "agnt5d show" and "agnt5d graph".
//
//	d := diagram.Of(graph)               // nodes and edges, with steps that are alike grouped
//	d = d.Fold(300)                      // groups become single nodes when there are more than 300
//	l := d.Layout()                      // layers, positions, bends
//	err := l.SVG(w, states)              // or Mermaid, DOT; Text draws without a layout
//
// A layout is made in four passes. Each step is put in the layer after the last step that it follows. An edge that crosses
// layers is led through a dummy in each; edges from one step share theirs, so that a long fan costs one line. The order
// within the layers is improved by sweeps, each of which sorts a layer by the mean place of its neighbours. Then steps are
// moved towards the middle of their neighbours as far as order and distance allow. 10,000 steps take some tens of
// milliseconds. The result depends on the definition alone.
package diagram
