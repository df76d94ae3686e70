package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
)

// TestMain is the program itself in the process that the tests start and kill.
func TestMain(m *testing.M) {
	if args := os.Getenv("POLLER_ARGS"); args != "" {
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		main()
		return
	}
	os.Exit(m.Run())
}

// program starts the program, and kills it when it prints a line that begins with until. It gives what it printed.
func program(t *testing.T, until string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "POLLER_ARGS="+strings.Join(args, " "))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if lines = append(lines, scan.Text()); until != "" && strings.HasPrefix(scan.Text(), until) {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	return lines
}

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
	lines := program(t, "look 2", args...)
	lines = append(lines, program(t, "", args...)...)
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
	lines := program(t, "", "-file", filepath.Join(t.TempDir(), "p.db"), "-interval", "1ms", "-looks", "50", "-rounds", "3")
	if last := lines[len(lines)-1]; last != `completed: {"given_up":true,"rows":0}` || !slices.Contains(lines, "given up") {
		t.Errorf("%q", lines)
	}
}
