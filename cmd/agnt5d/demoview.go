package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/agnt5/agnt5d/examples/etl"
	"github.com/agnt5/agnt5d/flow"
)

// demoView draws the graph: on a terminal the whole of it, again and again in the same place; elsewhere a line for each change.
type demoView struct {
	w        io.Writer
	redraw   bool
	steps    []flow.Step
	depth    map[string]int // how many steps are before it on the longest way
	state    map[string]string
	progress map[string]demoNews
	drawn    int // lines on the screen that the next drawing goes over
}

func newDemoView(w io.Writer) *demoView {
	v := &demoView{w: w, redraw: isTerminal(w), steps: etl.Definition(etl.Nightly).Steps,
		depth: map[string]int{}, state: map[string]string{}, progress: map[string]demoNews{}}
	for _, s := range v.steps {
		for _, d := range s.Dependencies {
			v.depth[s.Name] = max(v.depth[s.Name], v.depth[d]+1)
		}
	}
	return v
}

func isTerminal(w io.Writer) bool {
	f, ok := unwrap(w).(*os.File)
	if !ok || os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// say writes a line that stays.
func (v *demoView) say(format string, args ...any) {
	v.drawn = 0
	fmt.Fprintf(v.w, "── "+format+"\n", args...)
}

func (v *demoView) show(n demoNews) {
	if n.Step == "" {
		return
	}
	changed := n.State != "" && n.State != v.state[n.Step]
	if n.State != "" {
		v.state[n.Step] = n.State
	}
	if n.Total > 0 {
		v.progress[n.Step] = n
	}
	switch {
	case v.redraw:
		v.draw()
	case changed:
		fmt.Fprintf(v.w, "  %s\n", strings.TrimRight(v.line(n.Step), " "))
	}
}

// cutOff marks what was running when the process was killed.
func (v *demoView) cutOff() {
	for _, s := range v.steps {
		if v.state[s.Name] == "running" {
			v.show(demoNews{Step: s.Name, State: "cut off"})
		}
	}
}

func (v *demoView) draw() {
	if v.drawn > 0 {
		fmt.Fprintf(v.w, "\x1b[%dA", v.drawn)
	}
	for _, s := range v.steps {
		fmt.Fprintf(v.w, "\x1b[2K  %s\n", v.line(s.Name))
	}
	v.drawn = len(v.steps)
}

var demoMarks = map[string]string{"": "·", "running": "▶", "waiting": "◷", "completed": "✓", "cut off": "✗", "failed": "✗"}

// line is a step as it is: indented by what must come before it, with a bar while it runs.
func (v *demoView) line(step string) string {
	state := v.state[step]
	text := fmt.Sprintf("%-46s", strings.Repeat("  ", v.depth[step])+demoMarks[state]+" "+step)
	if n := v.progress[step]; v.redraw && state == "running" && n.Total > 0 {
		const cells = 20
		full := n.Done * cells / n.Total
		return fmt.Sprintf("%s%s%s %d of %d", text, strings.Repeat("█", full), strings.Repeat("░", cells-full), n.Done, n.Total)
	}
	return text + state
}
