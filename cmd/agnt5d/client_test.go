package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheVerbsAgainstADaemon goes through what a person does with a daemon, by the program's own verbs.
func TestTheVerbsAgainstADaemon(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	file := filepath.Join(dir, "order.yaml")
	yaml := "steps:\n  - {name: pay, service_name: svc, handler_name: noop}\n  - {name: ok, type: wait_signal, dependencies: [pay], signal: {name: packed}}\n" +
		"  - {name: nap, type: wait_timer, dependencies: [ok], timer: {key: nap, delay_ms: 3600000}}\n"
	bad := filepath.Join(dir, "bad.yaml")
	for path, text := range map[string]string{file: yaml, bad: "steps:\n  - {name: pay, service_name: svc}\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var worker *process
	for _, step := range []struct {
		before func()
		args   string
		code   int
		out    string // on stdout; all of them
		errs   string // on stderr
	}{
		{nil, "register order " + file, 0, "order version 1 is new", ""},
		{nil, "register order " + file, 0, "registered before", ""},
		{nil, "register bad " + bad, exitError, "", "bad.yaml:2:5: step \"pay\": a task needs a handler_name (handler_missing)"},
		{nil, "register b@d " + bad, exitError, "", "name_invalid"},
		{nil, "register b@d " + bad, exitError, "", "handler_missing"},
		{nil, "register order " + dir + "/none", exitNotFound, "", "none"},
		{nil, "start order --id o1 --input {\"n\":1}", 0, "o1", ""},
		{nil, "start order --id o1 --input {\"n\":1}", 0, "o1", ""},
		{nil, "start order --id o1 --input 2", exitConflict, "", "run_conflict"},
		{nil, "start order --input {", exitUsage, "", "not JSON"},
		{nil, "start none", exitNotFound, "", "workflow_not_found"},
		{nil, "explain o1", 0, "no worker or push service serves svc/noop", ""},
		{nil, "show o1", 0, "○ pay|· ok|scheduled", ""},
		{func() {
			worker = startWorker(t, d.url)
			until(t, func() bool { _, out, _ := d.cli(t, "show", "o1"); return strings.Contains(out, "◷ ok") })
		}, "show o1", 0, "✔ pay|◷ ok|agnt5d signal o1 packed", ""},
		{nil, "signal o1 packed --payload {\"box\":1} --id s1", 0, "step ok took it", ""},
		{nil, "signal o1 packed --payload 2 --id s1", exitConflict, "", "signal_conflict"},
		{nil, "signal o1 packd", 0, "never be taken; it waits for: packed", ""},
		{nil, "fire o1 none", exitNotFound, "", "timer_not_found"},
		{nil, "fire o1 none", exitNotFound, "", "it has: nap"},
		{nil, "fire o1 nap", 0, "fired", ""},
		{nil, "start order --id o1 --input {\"n\":1} --wait", 0, "o1  completed|fired_at", ""},
		{nil, "retry o1", exitConflict, "", "run_not_failed"},
		{nil, "history o1", 0, "RunStarted|SignalReceived|RunCompleted", ""},
		{nil, "tail --run o1", 0, "RunStarted|RunCompleted", ""},
		{nil, "start order --id o2", 0, "o2", ""},
		{nil, "cancel o2 --reason twice", 0, "cancelled", ""},
		{nil, "start order --id o2 --wait", exitCancelled, "o2  cancelled", ""},
		{nil, "explain o2", 0, "twice|agnt5d retry o2", ""},
		{nil, "list --id-prefix o2", 0, "cancelled|twice", ""},
		{nil, "retry o2", 0, "open again", ""},
		{nil, "cancel --all --workflow order", 0, "matched, 1 cancelled", ""},
		{nil, "cancel --all --workflow order", 0, "0 runs matched, 0 cancelled", ""},
		{nil, "cancel --workflow order", exitUsage, "", "--all"},
		{nil, "cancel --all", exitUsage, "", "--yes"},
		{nil, "cancel --all --state completed", exitUsage, "", "state: completed: no such run is cancelled; want running or quarantined"},
		{nil, "retry --all --state failed,running", exitUsage, "", "state: running: no such run is retried; want failed or cancelled"},
		{nil, "delete --all --state running --dry-run", exitUsage, "", "state: running: no such run is deleted; want completed, failed or cancelled"},
		{nil, "delete --all --state quarantined", exitUsage, "", "no such run is deleted"},
		{nil, "purge --before 1h --state running", exitUsage, "", "no such run is deleted"},
		{nil, "purge --before 1h --state quarantined,failed", exitUsage, "", "no such run is deleted"},
		{nil, "purge --before 1h --state failed,completed", 0, "0 runs deleted", ""},
		{nil, "retry --all --yes", 0, "1 run matched, 1 open again", ""},
		{nil, "cancel --all --yes", 0, "1 run matched, 1 cancelled", ""},
		{nil, "retry o2 --all", exitUsage, "", "not both"},
		{nil, "show", exitUsage, "", "agnt5d: show wants RUN, and 0 arguments were given"},
		{nil, "list extra", exitUsage, "", "takes no argument"},
		{nil, "list --bogus", exitUsage, "", "agnt5d list --help"},
		{nil, "list --worklow order", exitUsage, "", "unknown flag: --worklow; did you mean --workflow? (see"},
		{nil, "show none", exitNotFound, "", "\"agnt5d list\" shows the runs"},
		{nil, "services", 0, "svc      poll", ""},
		{nil, "services put pay http://127.0.0.1:9/x --handler charge", 0, "is set up|secret ", ""},
		{nil, "services put pay http://127.0.0.1:9/y --handler charge,refund --timeout 5s", 0, "is changed", ""},
		{nil, "services put pay http://10.1.2.3/x --handler charge", exitUsage, "", "--push-allow"},
		{nil, "services put pay http://127.0.0.1:9/y", exitUsage, "", "--handler"},
		{nil, "services", 0, "pay|127.0.0.1:9/y|5s|charge refund", ""},
		{nil, "services delete pay", 0, "removed", ""},
		{nil, "services delete pay", exitNotFound, "", "service_not_found"},
		{nil, "replay --at 99999", exitNotFound, "", "the last one is"},
		{nil, "list", 0, "RUN|o1|completed|o2|cancelled", ""},
		{nil, "list --state odd", exitUsage, "", "odd"},
		{nil, "workers", 0, "svc|HANDLERS", ""},
		{nil, "objects", 0, "KEY", ""},
		{nil, "replay --run o1", 0, "run running → completed", ""},
		{nil, "replay --check", 0, "every checksum and link holds", ""},
		{nil, "delete o1", 0, "deleted", ""},
		{nil, "delete o1", exitNotFound, "", "run_expired"},
		{nil, "show o1", exitNotFound, "", "run_expired"},
		{nil, "__complete show o", 0, "o2\torder cancelled", ""},
		{nil, "__complete start o", 0, "order", ""},
		{nil, "show o2 --url ftp://x", exitUsage, "", "http://"},
		{func() {
			if code := worker.stop(t); code != 0 {
				t.Errorf("the worker ended with %d: %s", code, worker.said)
			}
			if code := d.stop(t); code != 0 {
				t.Errorf("the daemon ended with %d: %s", code, d.said)
			}
		}, "show o2", exitUnreachable, "", "agnt5d serve"},
		{nil, "show o2 --file " + dir + "/runs.db", 0, "o2|cancelled", ""},
		{nil, "list --file " + dir + "/runs.db", 0, "o2|cancelled", ""},
		{nil, "history o2 --file " + dir + "/runs.db", 0, "RunCancelled", ""},
		{nil, "objects --file " + dir + "/runs.db", 0, "KEY", ""},
		{nil, "explain o2 --file " + dir + "/runs.db", 0, "cancelled", ""},
		{nil, "show none --file " + dir + "/runs.db", exitNotFound, "", "none"},
	} {
		if step.before != nil {
			step.before()
		}
		code, out, errs := d.cli(t, strings.Fields(step.args)...)
		if code != step.code || !strings.Contains(errs, step.errs) {
			t.Errorf("agnt5d %s: exit %d, want %d\n%s%s", step.args, code, step.code, out, errs)
		}
		for _, want := range strings.Split(step.out, "|") {
			if !strings.Contains(out, want) {
				t.Errorf("agnt5d %s: no %q in\n%s", step.args, want, out)
			}
		}
	}
}

// With -o json every verb prints JSON, and payloads keep their bytes.
func TestTheVerbsPrintJSON(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := filepath.Join(d.dir, "w.yaml")
	if err := os.WriteFile(file, []byte("steps:\n  - {name: ok, type: wait_signal, signal: {name: go}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	input := `{"n":12345678901234567890,"n":"<"}`
	for _, args := range [][]string{{"register", "w", file}, {"start", "w", "--id", "r", "--input", input}, {"start", "w", "--id", "r2"}, {"list"}, {"show", "r"}, {"explain", "r"}, {"history", "r"},
		{"workers"}, {"objects"}, {"signal", "r", "go", "--payload", input}, {"tail", "--run", "r"}, {"cancel", "r2"}, {"retry", "r2"}, {"cancel", "--all", "--yes"}, {"replay", "--run", "r"}, {"replay", "--check"}, {"delete", "r"}} {
		code, out, errs := d.cli(t, append(args, "-o", "json")...)
		if code != 0 {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%v: not JSON: %s", args, line)
			}
		}
		switch args[0] {
		case "show", "history", "tail":
			if !strings.Contains(out, input) {
				t.Errorf("%v: the input is not %s in %s", args, input, out)
			}
		}
	}
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	listen := strings.TrimPrefix(d.url, "http://")
	settings := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(settings, []byte("listne: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"serve --listen 0.0.0.0:0":                                "--insecure",
		"serve --listen nonsense":                                 "HOST:PORT",
		"serve --lease 1ms":                                       "--lease",
		"serve --push-allow x":                                    "--push-allow",
		"serve --config " + settings:                              "listne",
		"serve --file " + dir + "/x.db --listen " + listen:        "Choose another with --listen",
		"serve --listen 127.0.0.1:0 --file " + dir + "/runs.db":   "process",
		"serve --listen 127.0.0.1:0 --file " + dir:                "directory",
		"serve --listen 127.0.0.1:0 --file " + settings:           "journal",
		"serve --listen 127.0.0.1:0 --max-payload 1 --file /nope": "--max-payload",
	} {
		code, out, errs := agnt5d(t, strings.Fields(args)...)
		if code == 0 || !strings.Contains(errs, want) || strings.Contains(out, "listening") {
			t.Errorf("%s: exit %d, %q", args, code, errs)
		}
	}
	t.Setenv("AGNT5D_LEASE", "odd")
	if code, _, errs := agnt5d(t, "serve"); code != exitUsage || !strings.Contains(errs, "AGNT5D_LEASE") {
		t.Errorf("exit %d, %q", code, errs)
	}
}
