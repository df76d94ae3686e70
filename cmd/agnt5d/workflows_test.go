package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A release is rolled back at the shell: the versions are seen, an old one is made current, and new runs get it, also after a restart.
func TestWorkflowsAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := func(name, text string) string {
		p := filepath.Join(d.dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	one := file("one.json", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}}]}`)
	two := file("two.json", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}},{"name":"b","service_name":"svc","handler_name":"b","dependencies":["a"]}]}`)
	for _, step := range []struct {
		args string
		code int
		want []string
	}{
		{"workflows", 0, []string{"no workflow is registered"}},
		{"register rel " + one, 0, nil},
		{"start rel --id r1", 0, nil},
		{"register rel " + two, 0, nil},
		{"start rel --id r2", 0, nil},
		{"workflow", 0, []string{"WORKFLOW", "rel       2        2         2"}},
		{"workflows show rel", 0, []string{`"handler_name": "b"`}},
		{"workflows show rel --version 1", 0, []string{"rel version 1, one of 2, from 1 to 2; version 2 is current\n", "{\n  \"steps\": [\n    {\n      \"name\": \"a\",\n"}},
		{"workflows show rel --version 1 -o json", 0, []string{`"version":1,"current":2`}},
		{"workflows show rel --version 3", exitNotFound, []string{"version 3"}},
		{"workflows diff rel 1", exitDiffer, []string{"rel, version 1 to 2:\n+ step b\n"}},
		{"workflows diff rel 2 1", exitDiffer, []string{"rel, version 2 to 1:\n- step b\n"}},
		{"workflows diff rel 2 2", 0, []string{"they are the same"}},
		{"workflows diff rel 1 2 -o json", exitDiffer, []string{`{"name":"rel","from":1,"to":2,"added":["b"],"removed":[],"changed":[],"reordered":false}`}},
		{"workflows diff rel 1 x", exitUsage, []string{`VERSION "x"`}},
		{"workflows diff rel 7", exitNotFound, []string{"version 7"}},
		{"workflows use rel 0", exitUsage, []string{`VERSION "0"`}},
		{"workflows use rel one", exitUsage, []string{`VERSION "one"`}},
		{"workflows use rel 3", exitNotFound, []string{"version 3"}},
		{"workflows use nope 1", exitNotFound, []string{"nope"}},
		{"register rel " + two, 0, []string{"rel version 2 was registered before and is current ("}},
		{"register rel " + one, 0, []string{"rel version 1 was registered before and is current again instead of version 2: new runs get it, others keep theirs"}},
		{"register rel " + two + " -o json", 0, []string{`"version":2,`, `"replaced":1`}},
		{"workflows use rel 1", 0, []string{"rel version 1 is current instead of version 2"}},
		{"workflows use rel 1 -o json", 0, []string{`{"name":"rel","version":1,`}},
		{"start rel --id r3", 0, nil},
		{"show r3 -o json", 0, []string{`"version":1`}},
		{"show r2 -o json", 0, []string{`"version":2`}},
		{"start rel --id r4 --version 2", 0, []string{"r4"}},
		{"start rel --id r4 --version 2", 0, []string{"r4"}},
		{"start rel --id r4", 0, []string{"r4"}},
		{"start rel --id r4 --version 1", exitConflict, []string{"run_conflict", "version"}},
		{"start rel --id r5 --version 3", exitNotFound, []string{"version 3"}},
		{"start nope --version 1", exitNotFound, []string{"nope"}},
		{"show r4 -o json", 0, []string{`"version":2`}},
		{"workflows", 0, []string{"rel       1        2         4"}},
		{"cancel r4", 0, nil},
		{"start rel --id r4 --version 1", exitConflict, []string{"run_conflict", "version"}},
	} {
		code, out, errs := d.cli(t, strings.Fields(step.args)...)
		if code != step.code {
			t.Errorf("%s: exit %d, want %d\n%s%s", step.args, code, step.code, out, errs)
		}
		for _, want := range step.want {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: no %s in\n%s%s", step.args, want, out, errs)
			}
		}
	}
	d.kill()
	d = startDaemon(t, d.dir)
	if _, out, errs := d.cli(t, "workflows"); !strings.Contains(out, "rel       1        2         3") {
		t.Errorf("after a restart:\n%s%s", out, errs)
	}
}

// A version that no run uses is deleted at the shell, and so is a workflow without runs; what is in use, or current, is not. That is in the
// journal: it holds after a kill, the numbers are not used again, and the history says so.
func TestWorkflowsAreDeletedAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := func(signal string) string {
		return writeFile(t, signal+".yaml", "steps:\n  - {name: w, type: wait_signal, signal: {name: "+signal+"}}\n")
	}
	one, two, three := file("one"), file("two"), file("three")
	d.say(t, 0, "version 1 is new", "register", "w", one)
	d.say(t, 0, "r1", "start", "w", "--id", "r1")
	d.say(t, 0, "version 2 is new", "register", "w", two)
	d.say(t, 0, "version 3 is new", "register", "w", three)
	d.say(t, exitConflict, `workflow "w" version 1: runs of the workflow use the version: run "r1" is one (workflow_in_use)`, "workflows", "delete", "w", "--version", "1")
	d.say(t, exitConflict, "the version is the current one: version 3 (version_current)", "workflows", "delete", "w", "--version", "3")
	d.say(t, exitConflict, "workflow_in_use", "workflows", "delete", "w")
	d.say(t, exitUsage, "--version 0", "workflows", "delete", "w", "--version", "0")
	d.say(t, exitNotFound, `"w" has no version 9; it has 1 to 3`, "workflows", "delete", "w", "--version", "9")
	d.say(t, 0, "w version 2 is deleted", "workflows", "delete", "w", "--version", "2")
	d.say(t, exitNotFound, `"w" has no version 2; it has 1, 3`, "workflows", "delete", "w", "--version", "2")
	d.say(t, exitNotFound, `"w" has no version 2; it has 1, 3`, "start", "w", "--version", "2")
	d.say(t, exitNotFound, `"w" has no version 2; it has 1, 3`, "workflows", "show", "w", "--version", "2")
	d.say(t, exitNotFound, "has no version 2", "workflows", "use", "w", "2")
	d.say(t, 0, "w         3        2         1", "workflows")
	d.say(t, 0, "WorkflowDeleted workflow_name=w version=2", "tail", "--past")
	d.say(t, 0, "", "cancel", "r1")
	d.say(t, exitConflict, "workflow_in_use", "workflows", "delete", "w", "--version", "1") // one that has ended counts, too
	d.kill()
	path := filepath.Join(d.dir, "runs.db")
	d.say(t, 0, "nothing is damaged", "verify", path)
	d.say(t, 0, "", "replay", path, "--check")
	d.say(t, 0, "cancelled", "show", "r1", "--file", path)
	d.again(t)
	d.say(t, 0, "w         3        2         0", "workflows")
	d.say(t, exitNotFound, `"w" has no version 2; it has 1, 3`, "start", "w", "--version", "2")
	d.say(t, 0, "version 4 is new", "register", "w", two) // its number is not used again
	d.say(t, 0, "w version 1 is current instead of version 4", "workflows", "use", "w", "1")
	d.say(t, 0, "WorkflowUsed workflow_name=w version=1", "tail", "--past")
	d.say(t, 0, "", "delete", "r1")
	d.say(t, 0, `{"name":"w","version":4}`, "workflows", "delete", "w", "--version", "4", "-o", "json")
	d.say(t, 0, "workflow w is deleted, with all of its versions", "workflows", "delete", "w")
	d.say(t, 0, "no workflow is registered", "workflows")
	d.say(t, exitNotFound, `no such workflow: "w"`, "start", "w")
	d.kill()
	d.say(t, 0, "nothing is damaged", "verify", path)
	d.again(t)
	d.say(t, 0, "no workflow is registered", "workflows")
	d.say(t, 0, "version 5 is new", "register", "w", one)
	d.say(t, 0, "r2", "start", "w", "--id", "r2")
}
