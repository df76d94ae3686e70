package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/model"
)

// Two runs are compared at the shell, with the exit codes of diff(1): by the daemon, and in a file.
func TestDiffAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := writeFile(t, "w.yaml", "steps:\n  - {name: ok, type: wait_signal, signal: {name: go}}\n")
	d.say(t, 0, "", "register", "w", file)
	for _, id := range []string{"one", "same", "other", "waits"} {
		d.say(t, 0, id, "start", "w", "--id", id)
	}
	for id, payload := range map[string]string{"one": "1", "same": "1", "other": "2"} {
		d.say(t, 0, "step ok took it", "signal", id, "go", "--payload", payload)
	}
	d.say(t, 0, "they did the same", "diff", "one", "same")
	d.say(t, exitDiffer, "they first differ at signal go:", "diff", "one", "other")
	d.say(t, exitDiffer, "ok    output      completed, output of 1 byte  completed, output of 1 byte", "diff", "one", "other")
	d.say(t, exitDiffer, "the runs differ in: state", "diff", "one", "waits")
	d.say(t, exitDiffer, "waits  nothing more", "diff", "one", "waits")
	d.say(t, exitNotFound, `run "nobody": no such run`, "diff", "one", "nobody")
	d.say(t, exitUsage, "diff wants RUN RUN", "diff", "one")
	code, out, errs := d.cli(t, "diff", "one", "other", "-o", "json")
	var got model.Diff
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDiffer || errs != "" || got.Divergence == nil || got.Divergence.Signal != "go" || len(got.Steps) != 1 {
		t.Errorf("-o json: exit %d, %v\n%s%s", code, err, out, errs)
	}
	if code := d.stop(t); code != 0 {
		t.Fatalf("the daemon ended with %d", code)
	}
	path := filepath.Join(d.dir, "runs.db")
	d.say(t, 0, "they did the same", "diff", "one", "same", "--file", path)
	d.say(t, exitDiffer, "they first differ at signal go:", "diff", "one", "other", "--file", path)
	d.say(t, exitNotFound, `no run "nobody"`, "diff", "one", "nobody", "--file", path)
	d.say(t, exitUnreachable, "no answer", "diff", "one", "same")
}
