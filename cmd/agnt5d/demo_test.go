package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/examples/etl"
)

// The first thing that a newcomer runs, as it is built: the report is there and right, and nothing that had completed ran again.
func TestDemoKillsAndGoesOn(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "agnt5d")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	out, err := exec.Command(bin, "demo", "--dir", dir).CombinedOutput()
	said := string(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, want := range []string{
		"kill -9", "clean_data             cut off by the kill, run again",
		"A schedule beside it, nightly, starts it every night", "T02:00:00Z", "5 steps had completed before the kill and were not run again", "replay " + filepath.Join(dir, "demo.db"), "ui --file " + filepath.Join(dir, "demo.db"),
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "\x1b") {
		t.Errorf("escape sequences where there is no terminal:\n%q", said)
	}
	entries, err := etl.Ledger(dir)
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]int{}
	for _, e := range entries {
		if e.What == "began" {
			bodies[e.Step]++
		}
	}
	for step, n := range bodies {
		if want := map[bool]int{true: 2, false: 1}[step == demoVictim]; n != want {
			t.Errorf("the body of %s ran %d times, want %d", step, n, want)
		}
	}
	if len(bodies) != 9 {
		t.Errorf("%d steps are in the ledger, want 9", len(bodies))
	}
	if checked, err := exec.Command("go", "run", "../../examples/etl/check", dir).CombinedOutput(); err != nil {
		t.Errorf("the report: %v: %s", err, checked)
	}
	if checked, err := exec.Command(bin, "replay", filepath.Join(dir, "demo.db"), "--check").CombinedOutput(); err != nil {
		t.Errorf("the journal: %v: %s", err, checked)
	}
	eng, err := engine.Open(filepath.Join(dir, "demo.db"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := eng.ScheduleGet(t.Context(), "nightly"); err != nil || s.State != "active" || s.Next == nil {
		t.Errorf("the schedule: %+v, %v", s, err)
	}
	if err := eng.Close(); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command(bin, "demo", "--dir", dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "empty folder") {
		t.Errorf("a second demo in the same folder: %v: %s", err, out)
	}
}

// On a terminal the graph is drawn over itself.
func TestDemoViewRedraws(t *testing.T) {
	var b bytes.Buffer
	v := newDemoView(&b)
	v.redraw = true
	v.show(demoNews{Step: demoVictim, State: "running"})
	v.show(demoNews{Step: demoVictim, Done: 5, Total: 10})
	if said := b.String(); !strings.Contains(said, "\x1b[10A") || !strings.Contains(said, strings.Repeat("█", 10)+strings.Repeat("░", 10)+" 5 of 10") {
		t.Fatalf("%q", said)
	}
}
