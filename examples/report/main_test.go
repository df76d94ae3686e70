package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// The program is killed while it counts, or while it reports. What was under way may be done once more, all else is done once, and the report is written and sent,
// whether all went well or not.
func TestKilledAndItReports(t *testing.T) {
	well := []string{"count oslo", "count lyon", "count berlin", "report completed", "send night-1.txt", `completed: {"sold":140}`}
	badly := []string{"count oslo", "count lyon", "report failed", "send night-1.txt", "failed: item_failed"}
	for _, c := range []struct {
		closed, kill, text string
		want               []string
	}{{"none", "count lyon", "completed: nothing is wrong\n", well}, {"lyon", "count lyon", "failed: ", badly}, {"lyon", "report", "failed: ", badly}} {
		dir := t.TempDir()
		args := []string{"-file", filepath.Join(dir, "n.db"), "-closed", c.closed}
		lines := killtest.Program(t, c.kill, args...)
		lines = append(lines, killtest.Program(t, "", args...)...)
		var got []string // each once, where it came first
		for _, line := range lines {
			if !slices.Contains(got, line) {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, c.want) || len(lines) > len(got)+1 {
			t.Errorf("%s is closed: %q\nwant %q", c.closed, lines, c.want)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "night-1.txt")); err != nil || !strings.HasPrefix(string(text), c.text) {
			t.Errorf("%s is closed: the report is %q: %v", c.closed, text, err)
		}
	}
}
