package flow

import (
	"fmt"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	task := func(name string, more string) string {
		return fmt.Sprintf(`{"name":%q,"service_name":"s","handler_name":"h"%s}`, name, more)
	}
	for _, c := range []struct {
		what  string
		steps []string
		want  string
	}{
		{"two conditions", []string{task("a", `,"when":"true"`), task("b", `,"when":"true"`), task("c", `,"dependencies":["a","b"]`)}, "join_all_of_conditions c"},
		{"what follows from conditions", []string{task("a", `,"when":"true"`), task("b", `,"when":"true"`), task("x", `,"after":["b"]`), task("c", `,"dependencies":["a"],"after":["x"]`)}, "join_all_of_conditions c"},
		{"any", []string{task("a", `,"when":"true"`), task("b", `,"when":"true"`), task("c", `,"dependencies":["a","b"],"join":"any"`)}, ""},
		{"one condition", []string{task("a", `,"when":"true"`), task("b", ``), task("c", `,"dependencies":["a","b"]`)}, ""},
		{"one after the other", []string{task("a", `,"when":"true"`), task("x", `,"dependencies":["a"]`), task("b", `,"dependencies":["x"],"when":"true"`), task("c", `,"dependencies":["a","b"]`)}, ""},
		{"over on_failure", []string{task("a", `,"when":"true","on_failure":"b"`), task("b", ``), task("c", `,"dependencies":["a","b"]`)}, ""},
		{"shared", []string{task("a", `,"on_failure":"e"`), task("b", `,"on_failure":"e"`), task("e", `,"dependencies":["a"]`)}, "on_failure_shared e"},
		{"shared by all", []string{task("a", `,"on_failure":"e"`), task("b", `,"on_failure":"e"`), task("e", `,"dependencies":["a"],"after":["b"]`)}, ""},
		{"shared by what comes one after the other", []string{task("a", `,"on_failure":"e"`), task("x", `,"after":["a"]`), task("b", `,"dependencies":["x"],"on_failure":"e"`), task("e", ``)}, ""},
		{"shared by two branches", []string{task("a", `,"on_failure":"e"`), task("b", `,"dependencies":["a"],"on_failure":"e"`), task("c", `,"dependencies":["a"],"on_failure":"e"`), task("e", ``)}, "on_failure_shared e"},
	} {
		_, problems, warnings := Check([]byte(`{"steps":[` + strings.Join(c.steps, ",") + `]}`))
		got := ""
		for _, w := range warnings {
			got += w.Code + " " + w.Step
			if w.Line != 1 || w.Column == 0 {
				t.Errorf("%s: %+v", c.what, w)
			}
		}
		if got != c.want || len(problems) > 0 {
			t.Errorf("%s: %s, want %s; %v", c.what, got, c.want, problems)
		}
	}
}

func TestWarningsOfManyOutputs(t *testing.T) {
	d := &Definition{}
	var names []string
	for i := range 1001 {
		names = append(names, fmt.Sprint("a", i))
		d.Steps = append(d.Steps, Task(names[i], "s", "h"))
	}
	if w := Warnings(d); len(w) != 1 || w[0].Code != CodeManyOutputs || w[0].Step != "" {
		t.Errorf("%v", w)
	}
	d.Output = []byte(`"${ steps.a1.output }"`)
	if w := Warnings(d); len(w) != 0 {
		t.Errorf("%v", w)
	}
	d.Output = nil
	d.Steps = append(d.Steps, Task("join", "s", "h", After(names...)))
	if w := Warnings(d); len(w) != 1 || w[0].Step != "join" {
		t.Errorf("%v", w)
	}
	d.Steps[1001] = Task("join", "s", "h", RunAfter(names...))
	if w := Warnings(d); len(w) != 0 {
		t.Errorf("%v", w)
	}
}

// As many steps as there may be, with names as long as real ones, many with an expression that names a step far before it.
func TestALargeDefinitionWithExpressions(t *testing.T) {
	d := &Definition{}
	name := func(i int) string { return fmt.Sprintf("individuals_ID%07d_chr%d", i, i%22) }
	for i := range MaxSteps {
		s := Task(name(i), "bioinformatics-pipeline", "individuals_merge_of_one_chromosome")
		if i > 0 {
			s.Dependencies = []string{name(i - 1)}
		}
		if i%20 == 1 {
			s.When = fmt.Sprintf("steps.%s.output.ok", name(i/2))
		}
		d.Steps = append(d.Steps, s)
	}
	if _, err := NewGraph(d); err != nil {
		t.Errorf("%.300s", err)
	}
	if w := Warnings(d); len(w) > 0 {
		t.Errorf("%.300s", w)
	}
}
