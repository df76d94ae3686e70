package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/killtest"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

func TestTheDefinitionIsValid(t *testing.T) {
	d := definition()
	if problems := flow.Validate(&d); len(problems) > 0 {
		t.Fatal(problems)
	}
}

// The program is killed while it gives the money back. Started again, it goes on: what was under way may be done once more, and all else is done once, in order.
func TestKilledWhileItTakesBack(t *testing.T) {
	args := []string{"-file", filepath.Join(t.TempDir(), "s.db"), "-broken"}
	lines := killtest.Program(t, "refund", args...)
	lines = append(lines, killtest.Program(t, "", args...)...)
	want := []string{"reserve books", "charge 12", "ship books", `refund 12 "receipt of books"`, `release books "shelf 7"`, "tell books failed", "failed: ship: no van"}
	var got []string // each once, where it came first
	for _, line := range lines {
		if !slices.Contains(got, line) {
			got = append(got, line)
		}
	}
	if !slices.Equal(got, want) || len(lines) > len(want)+1 {
		t.Errorf("%q\nwant %q", lines, want)
	}
}

// An order that is shipped is not taken back.
func TestShipped(t *testing.T) {
	lines := killtest.Program(t, "", "-file", filepath.Join(t.TempDir(), "s.db"))
	if want := []string{"reserve books", "charge 12", "ship books", "tell books completed", `completed: {"shipped":"books"}`}; !slices.Equal(lines, want) {
		t.Errorf("%q\nwant %q", lines, want)
	}
}
