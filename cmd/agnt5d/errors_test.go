package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// jsonErrors reads what a verb with -o json said on standard error: one JSON value a line, and nothing else.
func jsonErrors(t *testing.T, args []string, stderr string) (all []jsonError) {
	t.Helper()
	for line := range strings.Lines(stderr) {
		var e jsonError
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil || e.Code == "" || e.Message == "" || e.ExitCode == 0 || e.Details == nil {
			t.Errorf("agnt5d %q: %v in %q", args, err, line)
		}
		all = append(all, e)
	}
	return all
}

// Whatever goes wrong with a verb that has -o json is said in JSON: a daemon that refuses it or is not there, a wrong flag, a wrong
// argument.
func TestEveryVerbsErrorsAreJSON(t *testing.T) {
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"code":"unauthorized","title":"The request carries no valid credentials.","detail":"no key","help":"Send one."}`))
	}))
	defer locked.Close()
	t.Setenv("AGNT5_URL", locked.URL)
	none := filepath.Join(t.TempDir(), "none.db")
	tried := 0
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		for _, sub := range cmd.Commands() {
			walk(sub, append(slices.Clone(path), sub.Name()))
		}
		if len(path) == 0 || cmd.InheritedFlags().Lookup("output") == nil && cmd.Flags().Lookup("output") == nil {
			return
		}
		tried++
		args := slices.Clone(path)
		for _, name := range places(cmd) {
			value := good[strings.TrimSuffix(name, "...")]
			if name == "FILE" {
				value = none
			}
			args = append(args, value)
		}
		for _, more := range [][]string{{"-o", "json", "--none"}, {"--none", "-ojson"}, {"--none=1", "--output=json"}, {"-o", "json", ""}} {
			wrong := append(slices.Clone(args), more...)
			code, out, errs := agnt5d(t, wrong...)
			if all := jsonErrors(t, wrong, errs); code != exitUsage || out != "" || len(all) != 1 || all[0].Code != "usage" || all[0].ExitCode != code {
				t.Errorf("agnt5d %q: exit %d\n%s%s", wrong, code, out, errs)
			}
		}
		switch cmd.Name() {
		case "version", "bench", "demo", "validate", "verify", "doctor", "graph":
			return // they want no daemon
		}
		if len(path) > 1 || cmd.Name() == "register" {
			return
		}
		if f := cmd.Flags().Lookup("all"); f != nil && cmd.Flags().Lookup("dry-run") != nil {
			args = append(slices.Clone(path), "--all")
			if cmd.Flags().Lookup("yes") != nil {
				args = append(args, "--yes")
			}
		}
		if cmd.Name() == "purge" {
			args = append(slices.Clone(path), "--before", "1h")
		}
		if cmd.Name() == "replay" || cmd.Name() == "compact" {
			args = path // without a file it asks the daemon
		}
		if cmd.Name() == "fork" {
			args = append(args, "--from", "s")
		}
		refused := append(args, "-o", "json")
		code, out, errs := agnt5d(t, refused...)
		if all := jsonErrors(t, refused, errs); code != exitAuth || out != "" || len(all) != 1 || all[0].Code != "unauthorized" || all[0].Message != "no key" {
			t.Errorf("agnt5d %q: exit %d\n%s%s", refused, code, out, errs)
		}
	}
	walk(newRoot(), nil)
	if tried < 25 {
		t.Errorf("%d verbs have -o json", tried)
	}
	gone := []string{"list", "--url", "http://" + freePort(t), "-o", "json"}
	code, _, errs := agnt5d(t, gone...)
	if all := jsonErrors(t, gone, errs); code != exitUnreachable || len(all) != 1 || all[0].Code != "unreachable" {
		t.Errorf("agnt5d %q: exit %d\n%s", gone, code, errs)
	}
	for _, args := range [][]string{{"verify", none}, {"history", "r", "--file", none}, {"validate", none}, {"replay", none}, {"register", "n", none}} {
		args = append(args, "-o", "json")
		code, out, errs := agnt5d(t, args...)
		if all := jsonErrors(t, args, errs); code != exitNotFound || out != "" || len(all) != 1 || all[0].Code != "not_found" {
			t.Errorf("agnt5d %q: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

// What a daemon refuses has its code, without the marks that people see, and what helps in details. Text stays text without -o json.
func TestErrorsOfADaemonAreJSON(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	write := func(name, text string) string {
		p := filepath.Join(d.dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	bad := write("bad.yaml", "steps:\n  - {name: pay, service_name: svc}\n  - {name: pay, service_name: svc, handler_name: h}\n")
	idle := write("idle.yaml", "steps:\n  - {name: a, service_name: nobody, handler_name: x}\n")
	if code, _, errs := d.cli(t, "register", "idle", idle); code != 0 {
		t.Fatal(errs)
	}
	if code, _, errs := d.cli(t, "start", "idle", "--id", "r1"); code != 0 {
		t.Fatal(errs)
	}
	for _, step := range []struct {
		args, code string
		exit, n    int
		want       string // in the error
	}{
		{"show nobody", "run_not_found", exitNotFound, 1, `"details":{"help":"\"agnt5d list\" shows the runs that exist."}`},
		{"start nothing", "workflow_not_found", exitNotFound, 1, "agnt5d register"},
		{"retry r1", "run_not_failed", exitConflict, 1, `"message":"run \"r1\": only a failed or cancelled run can be retried"`},
		{"retry r1 nobody other", "run_not_failed", exitConflict, 3, ""},
		{"list --state broken", "invalid_request", exitUsage, 1, "broken"},
		{"list --since soon", "usage", exitUsage, 1, "soon"},
		{"list --workflow idel", "workflow_not_found", exitNotFound, 1, "idle"},
		{"start idle --input {", "usage", exitUsage, 1, "not JSON"},
		{"register idle " + bad, "invalid_definition", exitError, 1, `"errors":[{"code":"handler_missing","step":"pay"`},
		{"wait r1 --timeout 100ms", "timeout", exitTimeout, 1, `"reasons":[{"step":"a","code":"no_worker"`},
		{"start idle --id r1 --wait=100ms", "timeout", exitTimeout, 1, `"no_worker"`},
	} {
		args := append(strings.Fields(step.args), "-o", "json")
		code, out, errs := d.cli(t, args...)
		all := jsonErrors(t, args, errs)
		if code != step.exit || len(all) != step.n || all[0].Code != step.code || !strings.Contains(errs, step.want) {
			t.Errorf("%s: exit %d\n%s%s", step.args, code, out, errs)
		}
		if strings.Contains(all[0].Message, "\n") || strings.HasSuffix(all[0].Message, "("+step.code+")") {
			t.Errorf("%s: message %q", step.args, all[0].Message)
		}
	}
	if _, _, errs := d.cli(t, "show", "nobody"); !strings.HasPrefix(errs, "agnt5d: ") {
		t.Errorf("without -o json: %q", errs)
	}
}
