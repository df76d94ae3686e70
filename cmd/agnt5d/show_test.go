package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/diagram"
)

func TestTheDrawingOfAGraph(t *testing.T) {
	for name, want := range map[string][]string{
		"parallel_processing": {"@", "│ @", "│ │ @", "@─┴─┘"},
		"nightly_etl":         {"@", "├─@", "├─│─@", "@ │ │", "@─┴─┘"},
		"document_approval":   {"@", "@", "@", "├─@", "│ @", "@─┘"},
	} {
		b, err := os.ReadFile(filepath.Join("../../testdata/flow/document", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		def, problems := flow.Parse(b)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		g, err := flow.NewGraph(def)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := diagram.Of(g).Rails(60)
		if !strings.HasPrefix(strings.Join(got, "\n"), strings.Join(want, "\n")) {
			t.Errorf("%s is drawn as\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// A run of 2,000 parallel steps is told in a few lines: what is alike is put together, and every number is right.
func TestALargeRunIsToldInAFewLines(t *testing.T) {
	const n = 2_000
	path := filepath.Join(t.TempDir(), "wide.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	steps := []flow.Step{flow.Task("begin", "svc", "begin")}
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprint("part_", i))
		steps = append(steps, flow.Task(parts[i], "far", "work", flow.After("begin")))
	}
	steps = append(steps, flow.Task("join", "svc", "begin", flow.After(parts...)))
	if err := eng.Register("fan", flow.Definition{Steps: steps}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	err = engine.Handle(eng, "svc", "begin", func(context.Context, map[string]any) (int, error) { close(done); return 1, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "fan", nil, engine.WithID("wide")); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := eng.Close(); err != nil { // it waits for the handler, and so the parts are scheduled
		t.Fatal(err)
	}
	say := func(want string, most int, args ...string) string {
		t.Helper()
		var out, errs strings.Builder
		if code := run(t.Context(), args, strings.NewReader(""), &out, &errs); code != exitOK {
			t.Fatalf("%q: exit %d: %s", args, code, errs.String())
		}
		if lines := strings.Count(out.String(), "\n"); lines > most {
			t.Errorf("%q prints %d lines, want at most %d", args, lines, most)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q does not say %q:\n%s", args, want, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(line) > 200 {
				t.Errorf("%q: a line of %d columns", args, utf8.RuneCountInString(line))
			}
		}
		return out.String()
	}
	say("part_0 … part_1999 ×2000  2000 scheduled", 12, "show", "wide", "--file", path)
	say("part_0 and 1999 more (part_1, part_2, part_3, …): is queued for far/work", 4, "explain", "wide", "--file", path)
	say("no step is failed", 8, "show", "wide", "--only", "failed", "--file", path)
	say("part_0 … part_1999 ×2000", 3, "graph", "--run", "wide", "--file", path)
	say("</svg>", 20, "graph", "--run", "wide", "--format", "svg", "--file", path)
	if all := say("part_1999", n+12, "show", "wide", "--all", "--file", path); strings.Count(all, "scheduled") < n {
		t.Error("--all does not draw each step")
	}
}
