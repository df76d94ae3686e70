package ui_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table gives the keys, or the members, of a table of the page's sources: "const NAME … = {" or "= [" at the beginning of a line, up to the line that closes it.
func table(t *testing.T, file, name string) []string {
	t.Helper()
	m := regexp.MustCompile(`(?ms)^(?:export )?const ` + name + `\b[^\n]*? = (\{[^\n]+\}|\{\n.*?^\}|\[[^\n]*\])`).FindStringSubmatch(read(t, "src/"+file))
	if m == nil {
		t.Fatalf("src/%s has no table %s", file, name)
	}
	find := regexp.MustCompile(`(?m)^  '?([\w]+)'?:`)
	switch {
	case strings.HasPrefix(m[1], "["):
		find = regexp.MustCompile(`'(\w+)'`)
	case !strings.Contains(m[1], "\n"):
		find = regexp.MustCompile(`[{,] '?(\w+)'?:`)
	}
	var keys []string
	for _, k := range find.FindAllStringSubmatch(m[1], -1) {
		keys = append(keys, k[1])
	}
	return keys
}

// literals gives what a pattern finds in a file of the program's sources.
func literals(t *testing.T, file, pattern string) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, "../"+file), -1) {
		for _, q := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(m[1], -1) {
			all = append(all, q[1])
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has nothing like %s", file, pattern)
	}
	return all
}

// The page has a word, a shape and a place for whatever the program can tell it: who adds a kind of event or a state must say how the
// page shows it. internal/docs has the same of the reasons why a run does not move.
func TestThePageKnowsWhateverThereIs(t *testing.T) {
	var kinds, stepStates, runStates, joins []string
	for k := range event.Kind(255) {
		if name := k.String(); !strings.HasPrefix(name, "Kind(") {
			kinds = append(kinds, name)
		}
	}
	for s := range replay.StepState(replay.StepStates) {
		stepStates = append(stepStates, s.String())
	}
	for s := range replay.RunState(255) {
		if _, ok := replay.ParseRunState(s.String()); ok {
			runStates = append(runStates, s.String())
		}
	}
	for _, j := range []flow.JoinRule{flow.JoinAny, flow.JoinSettled} { // all is what everybody expects
		joins = append(joins, string(j))
	}
	states := slices.Concat(stepStates, runStates)
	for _, c := range []struct {
		what, file, table string
		want              []string
	}{
		{"event", "told.ts", "kinds", kinds},
		{"reason of a skipped step", "told.ts", "skips", literals(t, "replay/conditions.go", `var skipReasons = (.*)`)},
		{"state", "bits.tsx", "shapes", states},
		{"state of a step", "bits.tsx", "stepStates", stepStates},
		{"outcome", "timeline.tsx", "outcomes", literals(t, "internal/archive/timeline.go", `span(?:Completed|Failed|Lost|TimedOut|Cancelled|Granted|Withdrawn) += (".*?")`)},
		{"join", "step.tsx", "joins", joins},
	} {
		has := table(t, c.file, c.table)
		for _, want := range c.want {
			if !slices.Contains(has, want) {
				t.Errorf("ui/src/%s, %s: there is no entry for the %s %q", c.file, c.table, c.what, want)
			}
		}
	}
}
