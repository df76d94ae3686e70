package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// good is an argument for each name that a verb's usage line has.
var good = map[string]string{"RUN": "r", "NAME": "n", "TIMER": "t", "VERSION": "1", "WORKFLOW": "w", "KEY": "k", "STEP": "s", "NAME=VALUE": "team=data", "FILE": "", "INCREMENT": "", "URL": "http://127.0.0.1:9/x"}

// places gives the arguments that a verb's usage line names: those that must be there, and those in brackets.
func places(cmd *cobra.Command) (all []string) {
	use, _, _ := strings.Cut(cmd.Use, " | ")
	words := strings.Fields(use)
	for i, word := range words {
		if i == 0 || strings.HasPrefix(words[i-1], "--") { // the verb, or a flag's value
			continue
		}
		if word = strings.Trim(word, "[]."); word == strings.ToUpper(word) {
			all = append(all, word)
		}
	}
	return all
}

// Every verb refuses an id or name that is empty, . or .., as an argument or as a flag: exit code 2, and nothing is sent. That is
// what an unset variable in a script becomes.
func TestEveryVerbRefusesWhatAnUnsetVariableGives(t *testing.T) {
	var sent atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	t.Setenv("AGNT5_URL", srv.URL)
	file := filepath.Join(t.TempDir(), "w.yaml")
	if err := os.WriteFile(file, []byte("steps:\n  - {name: a, service_name: s, handler_name: h}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tried := 0
	refused := func(args ...string) {
		t.Helper()
		tried++
		code, out, errs := agnt5d(t, args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, "empty") && !strings.Contains(errs, "a place in a path") {
			t.Errorf("agnt5d %q: exit %d\n%s%s", args, code, out, errs)
		}
	}
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		for _, sub := range cmd.Commands() {
			walk(sub, append(slices.Clone(path), sub.Name()))
		}
		if len(path) == 0 {
			return
		}
		names, args := places(cmd), slices.Clone(path)
		for _, name := range names {
			value, known := good[strings.TrimSuffix(name, "...")]
			if !known {
				t.Fatalf("%s: what is %s?", cmd.CommandPath(), name)
			}
			if name == "FILE" || name == "INCREMENT" {
				value = file
			}
			args = append(args, value)
		}
		if cmd.Name() == "fork" {
			args = append(args, "--from", "s")
		}
		for i, name := range names {
			for _, bad := range []string{"", ".", ".."} {
				if bad != "" && (name == "FILE" || name == "INCREMENT" || name == "URL") {
					continue
				}
				wrong := slices.Clone(args)
				wrong[len(path)+i] = bad
				refused(wrong...)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			bads := map[string][]string{"run": {"", ".", ".."}, "id": {"", ".", ".."}, "workflow": {"", ".", ".."}, "handler": {".", "..", "a,..", "a,,b"},
				"state": {""}, "id-prefix": {""}, "since": {""}, "until": {""}, "file": {""}}[f.Name]
			if cmd.Name() == "serve" {
				return // its flags name no run
			}
			for _, bad := range bads {
				at := args
				if slices.Contains([]string{"cancel", "retry"}, cmd.Name()) {
					at = append(slices.Clone(path), "--all", "--yes")
				}
				if f.Name == "run" {
					at = path
				}
				refused(append(slices.Clone(at), "--"+f.Name, bad)...)
			}
		})
	}
	walk(newRoot(), nil)
	if n := sent.Load(); n != 0 || tried < 80 {
		t.Errorf("%d requests were sent in %d tries", n, tried)
	}
}

// What a script with an unset variable does to a daemon: nothing. What it may do, it must say.
func TestManyAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	file := filepath.Join(d.dir, "w.yaml")
	if err := os.WriteFile(file, []byte("steps:\n  - {name: ok, type: wait_signal, signal: {name: go}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"register", "w", file}, 0, ""},
		{[]string{"start", "w", "--id", "a/b#1"}, 0, "a/b#1"},
		{[]string{"start", "w", "--id", "cancel"}, 0, "cancel"},
		{[]string{"start", "w", "--id", ".."}, exitUsage, "a place in a path"},
		{[]string{"cancel", ""}, exitUsage, "RUN is empty"},
		{[]string{"cancel", ".."}, exitUsage, "a place in a path"},
		{[]string{"cancel", "--all", "--workflow", "", "--yes"}, exitUsage, "empty"},
		{[]string{"cancel", "--all"}, exitUsage, "--yes"},
		{[]string{"cancel", "cancel", "--dry-run"}, exitUsage, "--all"},
		{[]string{"cancel", "--all", "--dry-run"}, 0, "2 runs match; nothing was done"},
		{[]string{"list", "--state", "running"}, 0, "a/b#1"},
		{[]string{"explain", "a/b#1"}, 0, "agnt5d signal 'a/b#1' go"},
		{[]string{"history", "a/b#1"}, 0, "RunStarted"},
		{[]string{"cancel", "cancel"}, 0, "run cancel is cancelled"},
		{[]string{"signal", "a/b#1", "go", "--id", "cancel/ok"}, 0, "step ok took it"},
		{[]string{"show", "a/b#1"}, 0, "completed"},
		{[]string{"retry", "--all", "--yes", "--dry-run", "-o", "json"}, 0, `{"matched":1,"done":0}`},
		{[]string{"retry", "--all", "--yes"}, 0, "1 run matched, 1 open again"},
		{[]string{"delete", "a/b#1"}, 0, "deleted"},
		{[]string{"list", "--state", "running"}, 0, "cancel"},
	} {
		code, out, errs := d.cli(t, step.args...)
		if code != step.code || !strings.Contains(out+errs, step.want) {
			t.Errorf("agnt5d %q: exit %d, want %d and %q\n%s%s", step.args, code, step.code, step.want, out, errs)
		}
	}
}
