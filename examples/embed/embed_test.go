package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program of the README is killed while it charges, and started again: it goes on with charge, and reserve is not repeated.
func TestKilledAndStartedAgain(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "embed")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	first := exec.Command(bin)
	first.Dir = dir
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said = append(said, lines.Text())
		if lines.Text() == "charge 17" {
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := first.Wait(); err == nil || strings.Join(said, ",") != "reserve 17,charge 17" {
		t.Fatalf("the first process: %v, said %q", err, said)
	}
	second := exec.Command(bin)
	second.Dir = dir
	rest, err := second.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, rest)
	}
	if !strings.HasPrefix(string(rest), "charge 17\nship 17\ncompleted ") {
		t.Fatalf("the second process said %q", rest)
	}
}

func TestItIsUnderSixtyLines(t *testing.T) {
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n >= 60 {
		t.Fatalf("%d lines", n)
	}
}
