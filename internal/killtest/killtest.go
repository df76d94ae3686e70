// Package killtest runs the program of a package as a process that its tests kill.
package killtest

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const env = "AGNT5_KILLTEST_ARGS" // the arguments of the program, with spaces between them

// Main is TestMain of such a package: in a process that Program started it is the program itself.
func Main(m *testing.M, program func()) {
	if args := os.Getenv(env); args != "" {
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		program()
		return
	}
	os.Exit(m.Run())
}

// Program starts the program and kills it (SIGKILL) when it prints a line that begins with until; "": it is left to end by itself. It gives
// the lines that were printed. Arguments have no spaces in them.
func Program(t *testing.T, until string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env+"="+strings.Join(args, " "))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	killed := false
	for scan := bufio.NewScanner(out); scan.Scan(); {
		lines = append(lines, scan.Text())
		if until != "" && !killed && strings.HasPrefix(scan.Text(), until) {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			killed = true
		}
	}
	_ = cmd.Wait()
	if until != "" && !killed {
		t.Fatalf("the program printed no line %q, and was not killed: %q", until, lines)
	}
	return lines
}
