package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

// What a step gave is printed as its handler gave it, by the daemon and of its file; so is what the run gave. Graphs say how many items of a
// list are done.
func TestOutputAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	raw := "{ \"n\":12345678901234567890,\n\t\"a\":\"<é\\u00e9>\", \"a\":1.50 }"
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"give": func(context.Context, *worker.Task) (json.RawMessage, error) { return json.RawMessage(raw), nil },
	})
	file := writeFile(t, "w.yaml", `steps:
  - {name: each, service_name: svc, handler_name: give, for_each: [1, 2]}
  - {name: one, service_name: svc, handler_name: give}
  - {name: hold, type: wait_signal, signal: {name: go}}
output: "${ steps.one.output }"
`)
	d.say(t, 0, "", "register", "w", file)
	d.say(t, 0, "r", "start", "w", "--id", "r", "--tag", "team=data")
	until(t, func() bool {
		code, _, _ := d.cli(t, "output", "r", "one")
		each, _, _ := d.cli(t, "output", "r", "each")
		return code == 0 && each == 0
	})
	d.say(t, exitConflict, "step_not_completed", "output", "r", "hold", "-o", "json")
	d.say(t, exitNotFound, "step_not_found", "output", "r", "each[2]")
	d.say(t, exitNotFound, "run_not_found", "output", "nobody", "one")
	d.say(t, exitConflict, "run r is running and has no output", "output", "r")
	d.say(t, 0, "each [for each: 2 of 2 items]", "graph", "--run", "r")
	d.say(t, 0, "each [for each: 2 of 2 items]</text>", "graph", "--run", "r", "--format", "svg")
	d.say(t, 0, "each [for each]", "graph", "w")
	d.say(t, 0, "tags team=data\nhold: waits for signal", "explain", "r")
	d.say(t, 0, `"tags":{"team":"data"}`, "explain", "r", "-o", "json")
	d.say(t, 0, "", "signal", "r", "go")
	d.say(t, 0, "", "wait", "r")
	look := func(more ...string) {
		t.Helper()
		for _, c := range []struct {
			want string
			args []string
		}{{raw, []string{"r", "one"}}, {raw, []string{"r", "each[1]"}}, {"[" + raw + "," + raw + "]", []string{"r", "each"}}, {raw, []string{"r"}}} {
			if code, out, errs := d.cli(t, append(append([]string{"output"}, c.args...), more...)...); code != 0 || out != c.want {
				t.Errorf("output %q %q: exit %d\n%q, want\n%q\n%s", c.args, more, code, out, c.want, errs)
			}
		}
	}
	look()
	look("-o", "json")
	if code := d.stop(t); code != 0 {
		t.Errorf("the daemon ended with %d", code)
	}
	db := filepath.Join(d.dir, "runs.db")
	look("--file", db)
	d.say(t, exitNotFound, "the run has no such step", "output", "r", "each[2]", "--file", db)
	d.say(t, exitNotFound, "no run", "output", "nobody", "one", "--file", db)
}
