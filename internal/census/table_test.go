package census

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

var update = flag.Bool("update", false, "write the tables of docs/census.md anew")

// public is a definition that somebody has published, with what it needs.
type public struct {
	source, name string
	needs        []string
}

func (p *public) key() string { return p.source + ": " + p.name }

func lines(t *testing.T, name string) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "testdata/census", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if all = append(all, strings.Split(strings.TrimSuffix(line, "\n"), "\t")); len(all[len(all)-1]) != 3 {
			t.Fatalf("%s: %q", name, line)
		}
	}
	return all
}

func published(t *testing.T) (all []public) {
	t.Helper()
	for _, l := range lines(t, "needs.tsv") {
		all = append(all, public{l[0], l[1], strings.Fields(l[2])})
	}
	return all
}

func constructOf(need string) *construct {
	for i := range constructs {
		if constructs[i].need == need {
			return &constructs[i]
		}
	}
	return nil
}

// missing gives each public definition that cannot be expressed, with the reasons.
func missing(t *testing.T, all []public) map[string][]string {
	t.Helper()
	of := map[string][]string{}
	known := map[string]bool{}
	for _, p := range all {
		known[p.key()] = true
		for _, need := range p.needs {
			switch c := constructOf(need); {
			case c == nil:
				t.Errorf("%s needs %q, which is in no table", p.key(), need)
			case c.ours == "":
				of[p.key()] = append(of[p.key()], c.why)
			}
		}
	}
	for _, l := range lines(t, "missing.tsv") {
		key := l[0] + ": " + l[1]
		if !known[key] || l[2] == "" {
			t.Errorf("missing.tsv: there is no %s, or it has no reason", key)
		}
		of[key] = append(of[key], l[2])
	}
	return of
}

// Every need is in the table of constructs, and every definition of testdata/census has ours for all that its public one needs: the
// table says what is so.
func TestTheTableHolds(t *testing.T) {
	needs := map[string]int{}
	by := map[string]*public{}
	all := published(t)
	lost := missing(t, all)
	for i, p := range all {
		by[p.key()] = &all[i]
		for _, need := range p.needs {
			needs[need]++
		}
	}
	for i := range constructs {
		c := &constructs[i]
		if needs[c.need] == 0 || (c.ours == "") == (c.why == "") || c.called == "" {
			t.Errorf("the construct %s is of no use: %+v", c.need, c)
		}
	}
	if len(lost)*20 > len(all) {
		t.Errorf("%d of %d definitions cannot be expressed, which is more than one in twenty", len(lost), len(all))
	}
	shown, defs := map[string]bool{}, load(t)
	for _, d := range defs {
		if len(d.Cases) == 0 {
			continue
		}
		key := d.Of[0] + ": " + d.Of[1]
		p := by[key]
		if p == nil || lost[key] != nil || shown[key] {
			t.Errorf("%s: no public definition is called %s, or it cannot be expressed, or two have it", d.name, key)
			continue
		}
		shown[key] = true
		for _, need := range p.needs {
			uses := constructOf(need).uses
			if uses != nil && !slices.ContainsFunc(family(d, defs), func(d *definition) bool { return uses(d.def) }) {
				t.Errorf("%s: %s needs %s, and it has none of that", d.name, key, need)
			}
		}
	}
}

// family is a definition and its children.
func family(d *definition, defs []*definition) []*definition {
	all := []*definition{d}
	for _, child := range defs {
		if slices.ContainsFunc(d.def.Steps, func(s flow.Step) bool { return s.Workflow == child.name }) {
			all = append(all, child)
		}
	}
	return all
}

// Fifty definitions or more are run, each through a success and a failure, and each part of the language is in five or more of them.
func TestTheSetIsWide(t *testing.T) {
	uses := map[string]int{}
	n := 0
	for _, d := range load(t) {
		if len(d.Cases) == 0 {
			continue
		}
		n++
		if s := d.Cases["success"]; s.State != "completed" {
			t.Errorf("%s: no case success that completes", d.name)
		}
		f := d.Cases["failure"]
		if f.State != "failed" && len(f.Failed)+len(f.TimedOut)+len(f.Ended) == 0 {
			t.Errorf("%s: nothing fails in its case failure", d.name)
		}
		for name, in := range parts {
			if in(d.def) {
				uses[name]++
			}
		}
	}
	if n < 50 {
		t.Errorf("there are %d definitions", n)
	}
	for name := range parts {
		if uses[name] < 5 {
			t.Errorf("%s: %d definitions have it, want 5", name, uses[name])
		}
	}
}

// parts is the language.
var parts = map[string]func(*flow.Definition) bool{
	"when, join":   usesWhen,
	"for_each":     usesItems,
	"on_failure":   has(func(s *flow.Step) bool { return s.OnFailure != "" }),
	"repeat":       constructOf("loop").uses,
	"wait_timer":   usesType(flow.TypeWaitTimer),
	"after":        has(func(s *flow.Step) bool { return len(s.After) > 0 }),
	"wait_signal":  usesType(flow.TypeWaitSignal),
	"on_timeout":   has(func(s *flow.Step) bool { return s.Signal != nil && s.Signal.OnTimeout != "" }),
	"timeout":      constructOf("runtimeout").uses,
	"step timeout": has(func(s *flow.Step) bool { return s.TimeoutMS != nil }),
	"retry":        constructOf("retry").uses,
	"templates":    has(func(s *flow.Step) bool { return s.Input != nil }),
	"output":       func(d *flow.Definition) bool { return d.Output != nil },
	"parallel":     usesParallel,
	"object_keys":  has(func(s *flow.Step) bool { return len(s.ObjectKeys) > 0 }),
	"workflow":     usesType(flow.TypeWorkflow),
	"finally":      usesFinally,
	"compensate":   usesUndo,
	"tolerate":     has(func(s *flow.Step) bool { return s.Tolerate != nil }),
	"max_parallel": has(func(s *flow.Step) bool { return s.MaxParallel != nil }),
}

// docs/census.md has the tables that follow from the data.
func TestDocs(t *testing.T) {
	path := filepath.Join(root, "docs/census.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := published(t)
	text := string(page)
	for name, table := range map[string]string{"counts": counts(all, missing(t, all)), "constructs": table(all), "missing": reasons(missing(t, all))} {
		begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
		head, rest, found := strings.Cut(text, begin)
		_, tail, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Fatalf("docs/census.md has no place for its %s", name)
		}
		text = head + begin + table + end + tail
	}
	if *update {
		err = os.WriteFile(path, []byte(text), 0o644)
	} else if text != string(page) {
		err = fmt.Errorf("docs/census.md and testdata/census differ: go test ./internal/census -run Docs -update, and read what changed")
	}
	if err != nil {
		t.Error(err)
	}
}

func counts(all []public, missing map[string][]string) string {
	total, lost := map[string]int{}, map[string]int{}
	for _, p := range all {
		total[p.source]++
		if missing[p.key()] != nil {
			lost[p.source]++
		}
	}
	var b strings.Builder
	b.WriteString("| source | definitions | can be expressed |\n|---|---|---|\n")
	for _, source := range slices.Sorted(maps.Keys(total)) {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", source, total[source], total[source]-lost[source])
	}
	fmt.Fprintf(&b, "| all | %d | %d (%.1f %%) |\n", len(all), len(all)-len(missing), 100*float64(len(all)-len(missing))/float64(len(all)))
	return b.String()
}

func table(all []public) string {
	n := map[string]int{}
	for _, p := range all {
		for _, need := range p.needs {
			n[need]++
		}
	}
	var b strings.Builder
	b.WriteString("| what it is called there | definitions | what it is here |\n|---|---|---|\n")
	for _, c := range slices.SortedStableFunc(slices.Values(constructs), func(a, b construct) int { return n[b.need] - n[a.need] }) {
		ours := c.ours
		if ours == "" {
			ours = "nothing: " + c.why
		}
		fmt.Fprintf(&b, "| %s | %d | %s |\n", c.called, n[c.need], ours)
	}
	return b.String()
}

func reasons(missing map[string][]string) string {
	by := map[string][]string{}
	for key, why := range missing {
		reason := strings.Join(why, "; ")
		by[reason] = append(by[reason], key)
	}
	var b strings.Builder
	b.WriteString("| definitions | why not |\n|---|---|\n")
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[reason])
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.Join(by[reason], "`, `"), reason)
	}
	return b.String()
}
