package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program says what it is in one way, wherever it is asked: the verb, the flag, and a daemon.
func TestVersionIsTheSameEverywhere(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	_, verb, _ := d.cli(t, "version")
	code, flag, errs := d.cli(t, "--version")
	if code != 0 || flag != verb || !strings.HasPrefix(flag, "agnt5d ") {
		t.Errorf("--version: exit %d\n%s%s\nversion:\n%s", code, flag, errs, verb)
	}
	var said struct {
		Version, Commit, Go, OS, Zones string
		Format                         int
	}
	_, out, _ := d.cli(t, "version", "-o", "json")
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	daemon, err := d.client(t).Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if said.Version == "" || said.Commit == "" || said.Go == "" || said.OS == "" || said.Zones == "" || !strings.Contains(verb, "time zones "+said.Zones) {
		t.Errorf("something is missing: %s", out)
	}
	if daemon.Version != said.Version || daemon.Commit != said.Commit || daemon.Go != said.Go || daemon.Format != said.Format || daemon.Zones != said.Zones {
		t.Errorf("the daemon says %+v, the program %+v", daemon, said)
	}
}

// A release names itself by -ldflags, as "make build VERSION=..." does.
func TestAReleaseIsStamped(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := filepath.Join(t.TempDir(), "agnt5d")
	const build = "github.com/agnt5/agnt5d/internal/build."
	if out, err := exec.Command("go", "build", "-ldflags", "-X "+build+"version=v1.2.3 -X "+build+"commit=0123abc", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(bin, "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "agnt5d v1.2.3, commit 0123abc, ") {
		t.Errorf("%v: %s", err, out)
	}
}
