package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Mistakes at the shell: each is one sentence that says what to do, with the right exit code.
func TestMistakesAtTheShellAreAnsweredWithAWayOut(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	signals := writeFile(t, "s.yaml", "steps:\n  - {name: w, type: wait_signal, signal: {name: reviewed}}\n")
	timer := writeFile(t, "t.yaml", "steps:\n  - {name: t, type: wait_timer, timer: {key: night, delay: 90d}}\n")
	host := strings.TrimPrefix(d.url, "http://")
	for _, c := range []struct {
		args []string
		code int
		want []string // in what is printed
		not  string
	}{
		{[]string{"register", "vr", signals}, exitOK, nil, ""},
		{[]string{"register", "tt", timer}, exitOK, nil, ""},
		{[]string{"start", "vr", "--id", "v-1"}, exitOK, nil, ""},
		{[]string{"start", "tt", "--id", "t-1"}, exitOK, nil, ""},
		{[]string{"replay", "--run", "nope"}, exitNotFound, []string{`no run "nope" in the daemon's journal ("agnt5d list" shows those there are)`}, "replay the daemon"},
		{[]string{"replay", filepath.Join(dir, "runs.db")}, exitConflict, []string{"in use by process", `"agnt5d replay", without a file, reads a copy of a daemon's journal`, "docs/embedding.md"}, ""},
		{[]string{"verify", filepath.Join(dir, "runs.db")}, exitConflict, []string{`"agnt5d replay --check", without a file, checks a copy`}, ""},
		{[]string{"ui", "--file", filepath.Join(dir, "runs.db")}, exitConflict, []string{"A daemon serves the page itself, at its own address"}, "--file out"},
		{[]string{"list", "--file", filepath.Join(dir, "runs.db")}, exitConflict, []string{"Leave --file out to ask the daemon", "--url"}, ""},
		{[]string{"replay", "--at", "0"}, exitUsage, []string{"--at 0: the first event is 1"}, ""},
		{[]string{"services", "delete", "paymentz"}, exitNotFound, []string{`"agnt5d services put NAME URL" sets one up`}, "PUT /v1"},
		{[]string{"start", "vrr"}, exitNotFound, []string{`no such workflow: "vrr"; did you mean "vr"?`}, ""},
		{[]string{"tail", "--past", "--workflow", "vrr"}, exitNotFound, []string{`did you mean "vr"?`}, ""},
		{[]string{"list", "--workflow", "vrr"}, exitNotFound, []string{`did you mean "vr"?`}, ""},
		{[]string{"workflows", "show", "vrr"}, exitNotFound, []string{`did you mean "vr"?`}, ""},
		{[]string{"workflows", "use", "vrr", "1"}, exitNotFound, []string{`did you mean "vr"?`}, ""},
		{[]string{"graph", "vrr"}, exitNotFound, []string{`did you mean "vr"?`}, ""},
		{[]string{"start", "vr", "--version", "9"}, exitNotFound, []string{`"vr" has no version 9; it has 1`}, ""},
		{[]string{"workflows", "show", "vr", "--version", "9"}, exitNotFound, []string{`"vr" has no version 9; it has 1`}, ""},
		{[]string{"start", "tt", "--id", "v-1"}, exitConflict, []string{`run "v-1": the id belongs to another run: its workflow is "vr", not "tt"`}, "input is"},
		{[]string{"start", "vr", "--id", "v-1", "--input", "1"}, exitConflict, []string{`run "v-1": the id belongs to another run: its input is another`}, "its workflow"},
		{[]string{"tail", "--past", "--kind", "Foo"}, exitUsage, []string{`no kind of event "Foo"`, "The kinds are: RunStarted, StepBlocked"}, ""},
		{[]string{"tail", "--past", "--kind", "StepFaild"}, exitUsage, []string{`did you mean "StepFailed"?`}, ""},
		{[]string{"list", "--state", "waiting"}, exitUsage, []string{"want running, finishing, completed, failed, cancelled or quarantined, or several with commas between; a run that waits for something is running"}, "^("},
		{[]string{"list", "--state", "waiting", "--file", journalFile(t)}, exitUsage, []string{"want running, finishing, completed", "a run that waits for something is running"}, ""},
		{[]string{"list", "--since", "today", "--until", "yesterday"}, exitUsage, []string{"since ", " is not before until "}, ""},
		{[]string{"list", "--ended-since", "1h", "--ended-until", "2h"}, exitUsage, []string{"ended_since ", " is not before ended_until "}, ""},
		{[]string{"cancel", "--all", "--since", "1h", "--until", "2h"}, exitUsage, []string{" is not before until "}, ""},
		{[]string{"list", "--since", "1h", "--until", "2h", "--file", journalFile(t)}, exitUsage, []string{" is not before until "}, ""},
		{[]string{"start", "nope"}, exitNotFound, []string{`"agnt5d workflows" lists those there are`}, "GET /v1"},
		{[]string{"list", "--url", d.url + "/x"}, exitNotFound, []string{"check its address, which has no path"}, "openapi"},
		{[]string{"list", "--url", host}, exitOK, []string{"v-1"}, ""},
		{[]string{"signal", "v-1", "reviewed"}, exitOK, []string{"step w took it"}, ""},
		{[]string{"cancel", "v-1"}, exitConflict, []string{`"agnt5d show v-1" says how it ended. "agnt5d retry v-1" reopens one that failed or was cancelled and was not compensated; "agnt5d fork v-1 --from STEP" runs any other again`}, "RUN"},
		{[]string{"retry", "v-1"}, exitConflict, []string{`"agnt5d show v-1" says which state`}, "RUN"},
		{[]string{"start", "vr", "v-2"}, exitUsage, []string{"agnt5d: start wants NAME, and 2 arguments were given; your own id goes with --id"}, "agnt5d: agnt5d"},
		{[]string{"lst"}, exitUsage, []string{`agnt5d: unknown command "lst" for "agnt5d"; did you mean "list"? (see "agnt5d --help")` + "\n"}, "\n\n"},
		{[]string{"list", "-s", "running"}, exitOK, []string{"t-1"}, "v-1"},
		{[]string{"list", "--json"}, exitUsage, []string{"did you mean -o json?"}, ""},
		{[]string{"list", "--limit", "abc"}, exitUsage, []string{"want a whole number, 0 or more"}, "strconv"},
		{[]string{"list", "--limit", "-1"}, exitUsage, []string{"want a whole number, 0 or more"}, ""},
		{[]string{"replay", "--at", "xx"}, exitUsage, []string{"want a whole number, 0 or more"}, "strconv"},
		{[]string{"serve", "--max-payload", "10k"}, exitUsage, []string{"want a whole number"}, "strconv"},
		{[]string{"completion", "tcsh"}, exitUsage, []string{"want bash, zsh, fish or powershell"}, ""},
		{[]string{"completion", "bash"}, exitOK, []string{"bash completion"}, ""},
		{[]string{"serve", "--listen", "127.0.0.1:99999", "--file", filepath.Join(dir, "other.db")}, exitUsage, []string{`"99999" is not a port`}, ""},
		{[]string{"serve", "--keep-deleted-ids", "1ms"}, exitUsage, []string{"--keep-deleted-ids 1ms: want 1s or more"}, ""},
		{[]string{"list", "--state", "broken"}, exitUsage, []string{"broken"}, ""},
		{[]string{"list", "--state", "broken", "--file", journalFile(t)}, exitUsage, []string{"broken"}, ""},
		{[]string{"validate", filepath.Join(dir, "none")}, exitNotFound, nil, ""},
		{[]string{"register", "x", filepath.Join(dir, "none")}, exitNotFound, nil, ""},
		{[]string{"verify", filepath.Join(dir, "none")}, exitNotFound, nil, ""},
		{[]string{"list", "--file", filepath.Join(dir, "none")}, exitNotFound, nil, ""},
		{[]string{"demo", "--dir", dir}, exitUsage, []string{"is not empty", "runs.db is in it"}, ""},
		{[]string{"__complete", "signal", "t-1", ""}, exitOK, []string{":4"}, "reviewed"},
		{[]string{"start", "vr", "--id", "v-3"}, exitOK, nil, ""},
		{[]string{"__complete", "signal", "v-3", "re"}, exitOK, []string{"reviewed\n"}, ""},
		{[]string{"__complete", "fire", "t-1", ""}, exitOK, []string{"night\n"}, ""},
	} {
		code, out, errs := d.cli(t, c.args...)
		said := out + errs
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("agnt5d %q does not say %q:\n%s", c.args, want, said)
			}
		}
		if code != c.code || c.not != "" && strings.Contains(said, c.not) {
			t.Errorf("agnt5d %q: exit %d, want %d, and nothing of %q:\n%s", c.args, code, c.code, c.not, said)
		}
	}
	t.Setenv("AGNT5D_URL", d.url)
	t.Setenv("AGNT5D_API_KEY", "agt_none")
	if code, out, errs := agnt5d(t, "list", "--url", d.url); code != exitOK || !strings.Contains(out, "t-1") || strings.Contains(errs, "AGNT5D_URL") || !strings.Contains(errs, "AGNT5D_API_KEY is taken for AGNT5_API_KEY") {
		t.Errorf("--url and AGNT5D_API_KEY: exit %d, %s", code, errs)
	}
	t.Setenv("AGNT5_URL", "http://127.0.0.1:1")
	if code, _, errs := agnt5d(t, "list"); code != exitUnreachable || strings.Contains(errs, "AGNT5D_URL") {
		t.Errorf("both addresses: exit %d, %s", code, errs)
	}
	t.Setenv("AGNT5_URL", "")
	if code, out, errs := agnt5d(t, "list"); code != exitOK || !strings.Contains(out, "t-1") || !strings.Contains(errs, "warning: AGNT5D_URL is taken for AGNT5_URL") {
		t.Errorf("AGNT5D_URL: exit %d, %s", code, errs)
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_DATA_HOME", "")
	if code, _, errs := agnt5d(t, "serve"); code != exitUsage || !strings.Contains(errs, "say with --file where the journal is to be") {
		t.Errorf("without a home: exit %d, %s", code, errs)
	}
}

// What a daemon prints as its address can be used. A setting that begins as those of clients do is taken, and the log says so; the right
// name comes first.
func TestTheDaemonSaysAnAddressThatWorks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs.db")
	d := startProcess(t, "listening on http://127.0.0.1:", "AGNT5_LISTEN=0.0.0.0:0", "AGNT5_FILE=/nowhere/x.db", "AGNT5D_FILE="+file, "AGNT5D_TEST_MAIN=serve --insecure")
	if code := d.stop(t); code != exitOK || strings.Count(d.said.String(), "this one is taken") != 2 || !strings.Contains(d.said.String(), `"environment":"AGNT5_LISTEN"`) || !strings.Contains(d.said.String(), file) {
		t.Errorf("exit %d\n%s", code, d.said)
	}
}

// A record of a finished run that is damaged: it is counted once however often one looks, and the advice leads out.
func TestAdviceAboutADamagedRunThatHadEnded(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	quick := writeFile(t, "t.yaml", "steps:\n  - {name: t, type: wait_timer, timer: {key: k, delay: 1ms}}\n")
	for _, args := range [][]string{{"register", "tt", quick}, {"start", "tt", "--id", "d-1", "--input", `"UNLIKELYINPUT"`, "--wait=1m"}, {"start", "tt", "--id", "d-2", "--wait=1m"}} {
		if code, out, errs := d.cli(t, args...); code != exitOK {
			t.Fatalf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
	d.kill()
	path := filepath.Join(dir, "runs.db")
	whole, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(whole, []byte("UNLIKELYINPUT")) {
		t.Fatalf("the input is not in the file: %v", err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(whole, []byte("UNLIKELYINPUT"), []byte("unLIKELYINPUT")), 0o600); err != nil {
		t.Fatal(err)
	}
	d.again(t)
	until(t, func() bool {
		_, out, _ := d.cli(t, "list", "--state", "quarantined")
		return strings.Contains(out, "d-1")
	})
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"show", "d-1"}, exitConflict, `if it had ended, "agnt5d delete d-1" removes it. "agnt5d replay --check" says what is damaged`},
		{[]string{"cancel", "d-1"}, exitConflict, "it had ended before, so it cannot be cancelled, only deleted"},
		{[]string{"replay", "--check"}, exitError, "of run d-1: checksum"},
		{[]string{"show", "d-1"}, exitConflict, "quarantined"},
		{[]string{"delete", "d-1"}, exitOK, "is deleted"},
		{[]string{"list"}, exitOK, "d-2"},
	} {
		if code, out, errs := d.cli(t, c.args...); code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("agnt5d %q: exit %d, want %d and %q\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
	if ready := read(t, d.url+"/readyz"); !strings.Contains(ready, "1 damaged record was found since the start") {
		t.Errorf("readyz: %s", ready)
	}
	if figures := read(t, d.url+"/metrics"); !strings.Contains(figures, "\nagnt5_damages 1\n") {
		t.Error("agnt5_damages does not say 1")
	}
	if n := strings.Count(d.said.String(), `"kind":"record"`); n != 1 {
		t.Errorf("the log says %d times that the record is damaged:\n%s", n, d.said)
	}
}

// An error of before is not shown as if it were of now.
func TestAnErrorOfBeforeIsCalledThat(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	file := writeFile(t, "w.yaml", "steps:\n  - {name: w, type: wait_signal, signal: {name: go, timeout: 1s}}\n")
	for _, args := range [][]string{{"register", "w", file}, {"start", "w", "--id", "r", "--wait=1m"}} {
		if code, out, errs := d.cli(t, args...); code != exitOK && code != exitRunFailed {
			t.Fatalf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
	if _, out, _ := d.cli(t, "show", "r"); !strings.Contains(out, "failed at w: signal") || strings.Contains(out, "attempt 0") {
		t.Errorf("a wait that failed:\n%s", out)
	}
	if code, out, errs := d.cli(t, "retry", "r"); code != exitOK {
		t.Fatalf("retry: exit %d\n%s%s", code, out, errs)
	}
	if _, out, _ := d.cli(t, "show", "r"); strings.Contains(out, "running") && !strings.Contains(out, "before: signal") {
		t.Errorf("a wait that was opened again:\n%s", out)
	}
	for _, c := range []struct {
		state       string
		failed, now uint32
		want        string
	}{{"running", 1, 2, "attempt 1: "}, {"retrying", 1, 1, ""}, {"failed", 2, 2, ""}, {"waiting", 0, 0, "before: "}, {"failed", 0, 0, ""}} {
		if got := earlier(c.state, c.failed, c.now); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// A start brings its signal from the shell.
func TestStartWithASignal(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	def := writeFile(t, "w.yaml", "steps:\n  - {name: a, type: wait_signal, signal: {name: go}}\n")
	start := []string{"start", "w", "--id", "r", "--signal", "go", "--payload", `{"x": 1}`, "--signal-id", "s1"}
	d.say(t, exitOK, "version 1", "register", "w", def)
	d.say(t, exitOK, `{"a":{"x": 1}}`, append(start, "--wait")...)
	d.say(t, exitOK, "r", start...)
	d.say(t, exitConflict, "run_finished", "start", "w", "--id", "r", "--signal", "go")
	d.say(t, exitUsage, "name it with --signal", "start", "w", "--payload", "1")
}
