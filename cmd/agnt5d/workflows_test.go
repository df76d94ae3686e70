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
		{"workflows show rel --version 1", 0, []string{"{\n  \"steps\": [\n    {\n      \"name\": \"a\",\n"}},
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
