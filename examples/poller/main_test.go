package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/killtest"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

func TestTheDefinitionIsValid(t *testing.T) {
	d := definition(options{interval: time.Second, rounds: 5})
	if problems := flow.Validate(&d); len(problems) > 0 {
		t.Fatal(problems)
	}
}

// The program is killed after its second look. Started again, it goes on: it begins no second export, and every look but the one at
// which it was killed happens once.
func TestKilledBetweenLooks(t *testing.T) {
	args := []string{"-file", filepath.Join(t.TempDir(), "p.db"), "-interval", "20ms", "-looks", "5"}
	lines := killtest.Program(t, "look 2", args...)
	lines = append(lines, killtest.Program(t, "", args...)...)
	if n := len(slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return s != "export begun" })); n != 1 {
		t.Errorf("the export was begun %d times: %q", n, lines)
	}
	if last := lines[len(lines)-1]; last != `completed: {"given_up":false,"rows":1200}` {
		t.Errorf("%q", lines)
	}
	if !slices.Contains(lines, "look 5 at e-17") || slices.ContainsFunc(lines, func(s string) bool { return strings.HasPrefix(s, "look 6") }) {
		t.Errorf("%q", lines)
	}
}

// What is never done is given up after so many rounds.
func TestGivenUp(t *testing.T) {
	lines := killtest.Program(t, "", "-file", filepath.Join(t.TempDir(), "p.db"), "-interval", "1ms", "-looks", "50", "-rounds", "3")
	if last := lines[len(lines)-1]; last != `completed: {"given_up":true,"rows":0}` || !slices.Contains(lines, "given up") {
		t.Errorf("%q", lines)
	}
}
