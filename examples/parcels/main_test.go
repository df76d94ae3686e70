package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/killtest"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

const parallel = 32

func TestTheDefinitionsAreValid(t *testing.T) {
	for _, d := range []flow.Definition{parcel(), order(options{parallel: parallel})} {
		if problems := flow.Validate(&d); len(problems) > 0 {
			t.Fatal(problems)
		}
	}
}

// The program is killed while a run has a thousand children. Each is started once, and does once what was not under way at the kill.
func TestKilledAmongAThousandChildren(t *testing.T) {
	args := []string{"-file", filepath.Join(t.TempDir(), "p.db")}
	lines := killtest.Program(t, "ship 300", args...)
	lines = append(lines, killtest.Program(t, "", args...)...)
	for _, what := range []string{"pack ", "ship "} {
		all := slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return !strings.HasPrefix(s, what) })
		different := len(slices.Compact(slices.Sorted(slices.Values(all))))
		if different != 1000 || len(all) > 1000+parallel {
			t.Errorf("%s: %d of %d parcels; want 1000, and at most %d again", what, len(all), different, parallel)
		}
	}
	if n := len(lines); n < 2 || lines[n-2] != "1000 children completed" || lines[n-1] != `completed: {"grams":600500,"shipped":1000}` {
		t.Errorf("%q", lines[max(n-2, 0):])
	}
}
