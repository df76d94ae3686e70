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

const (
	input    = "../etl/data/sources/files/seattle-2013.csv"
	parallel = 8
)

// wrong are the lines of the file that its generator spoiled (examples/etl/DATA.md).
var wrong = []string{
	`wrong: line 38: cell 4 is no number: ""`, `wrong: line 43: 84 degrees`, `wrong: line 62: 2013-02-30 is no day`, `wrong: line 71: -9999 mm of rain`,
	`wrong: line 131: the night has 45.5 degrees, the day 11.1`, `wrong: line 137: cell 4 is no number: ""`, `wrong: line 203: -9999 mm of rain`,
	`wrong: line 204: -9999 mm of rain`, `wrong: line 219: 84 degrees`, `wrong: line 235: cell 4 is no number: ""`, `wrong: line 333: cell 4 is no number: ""`,
	`wrong: line 336: -9999 mm of rain`, `wrong: line 344: the night has 45.5 degrees, the day -2.1`,
}

func with(lines []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return !strings.HasPrefix(s, prefix) })
}

func TestTheDefinitionIsValid(t *testing.T) {
	d := definition(options{tolerate: 5, parallel: parallel})
	if problems := flow.Validate(&d); len(problems) > 0 {
		t.Fatal(problems)
	}
}

// The importer is killed in the middle. Started again, it reads no file again, imports only what was not recorded, and reports each bad row.
func TestKilledBetweenRows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "i.db")
	args := []string{"-file", file, "-input", input}
	lines := killtest.Program(t, "row 150", args...)
	first := with(lines, "row ")
	lines = append(lines, killtest.Program(t, "", args...)...)
	if got := with(lines, "read "); len(got) != 1 {
		t.Errorf("the file was read %d times: %q", len(got), lines)
	}
	if got := with(lines, "wrong: "); !slices.Equal(got, wrong) {
		t.Errorf("%q\nwant %q", got, wrong)
	}
	if last := lines[len(lines)-1]; last != `completed: {"imported":357,"refused":false,"rejected":13}` {
		t.Error(last)
	}
	if n := len(with(lines, "row ")); n < 370 || n > 370+parallel {
		t.Errorf("%d rows were begun, %d before the kill; want 370 and at most the %d again that were under way", n, len(first), parallel)
	}
	days, err := filepath.Glob(file + ".store/Seattle-2013-*.json") // three good days stand in the file twice
	if err != nil || len(days) != 354 {
		t.Errorf("%d days are in the store, want 354: %v", len(days), err)
	}
	text, err := os.ReadFile(file + ".store/rejected.csv")
	if err != nil || strings.Count(string(text), "\n") != 13 || !strings.HasPrefix(string(text), "38,Seattle,2013-02-05,3.3,,6.7,5.1,rain,C\n") {
		t.Errorf("%v: %s", err, text)
	}
}

// More bad rows than are tolerated, and the file is refused: nothing is reported as imported.
func TestRefused(t *testing.T) {
	lines := killtest.Program(t, "", "-file", filepath.Join(t.TempDir(), "i.db"), "-input", input, "-tolerate", "2")
	if last := lines[len(lines)-1]; last != `completed: {"imported":0,"refused":true,"rejected":0}` {
		t.Error(last)
	}
	if got := with(lines, "refused: "); len(got) != 1 || !strings.HasPrefix(got[0], "refused: item_failed: 8 of 370 items failed, and tolerate allows 7") {
		t.Errorf("%q", got)
	}
}
