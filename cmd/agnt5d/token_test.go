package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/model"
)

// secret is the one line that token create prints to standard output.
func secret(t *testing.T, out string) string {
	t.Helper()
	if !strings.HasPrefix(out, "agt_") || strings.Count(out, "\n") != 1 {
		t.Fatalf("token create printed %q", out)
	}
	return strings.TrimSpace(out)
}

// Tokens at the shell, from the first one to a worker and a verb that use one.
func TestTokensAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	must := func(code int, want string, args ...string) string {
		t.Helper()
		got, out, errs := d.cli(t, args...)
		if got != code || !strings.Contains(out+errs, want) {
			t.Fatalf("agnt5d %q: exit %d, want %d with %q\n%s%s", args, got, code, want, out, errs)
		}
		return out
	}
	must(0, "no request needs one", "token", "list")
	must(exitConflict, "admin", "token", "create", "ci", "--scope", "operate")
	must(exitUsage, "--scope", "token", "create", "ci")
	must(exitUsage, `did you mean "operate"`, "token", "create", "ci", "--scope", "oprate")
	must(exitUsage, "--expires", "token", "create", "ci", "--scope", "read", "--expires", "soon")
	if resp, err := http.Post(d.url+"/v1/workers", "application/json", strings.NewReader(`{"service_name":"pay","handlers":["h"],"capacity":1}`)); err != nil || resp.StatusCode != 201 {
		t.Fatal(resp, err)
	}
	root := secret(t, must(0, "warning: workers that are connected without an access token, and are refused from now on: 1 (of pay)", "token", "create", "root", "--scope", "admin"))
	must(exitAuth, "no access token was sent", "list")
	t.Setenv("AGNT5_API_KEY", root)
	ci := secret(t, must(0, "", "token", "create", "ci", "--scope", "operate", "--expires", "90d"))
	must(exitConflict, "exists", "token", "create", "ci", "--scope", "read")
	must(exitConflict, "leave --file out to ask the daemon", "token", "list", "--file", filepath.Join(d.dir, "runs.db"))

	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(ci+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AGNT5_API_KEY", "agt_of_somebody_else")
	must(0, "RUN", "list", "--token-file", file)
	flow := filepath.Join(t.TempDir(), "w.yaml")
	if err := os.WriteFile(flow, []byte("steps:\n  - {name: a, type: wait_signal, signal: {name: go}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(exitAuth, "needs the scope admin", "register", "w", flow, "--token-file", file)
	t.Setenv("AGNT5_API_KEY", root)
	must(0, "", "register", "w", flow)
	must(0, "", "start", "w", "--id", "r", "--token-file", file)
	must(exitNotFound, "", "objects", "delete", "none")
	if code, _, errs := d.cli(t, "objects", "delete", "none", "--token-file", file); code != exitAuth || !strings.Contains(errs, "needs the scope admin") {
		t.Errorf("who may not delete an object hears whether it is there: exit %d, %s", code, errs)
	}
	must(0, "by=ci", "history", "r")

	var list struct{ Tokens []model.Token }
	if err := json.Unmarshal([]byte(must(0, "", "token", "list", "-o", "json")), &list); err != nil || len(list.Tokens) != 2 {
		t.Fatal(list, err)
	}
	must(0, "is revoked", "token", "revoke", "ci")
	must(exitAuth, "was revoked", "list", "--token-file", file)
	must(exitNotFound, "nobody", "token", "revoke", "nobody")

	// Without the daemon, on its file: what was made there counts there.
	if code := d.stop(t); code != 0 {
		t.Fatalf("exit %d\n%s", code, d.said)
	}
	path := filepath.Join(d.dir, "runs.db")
	must(0, "revoked", "token", "list", "--file", path)
	if _, _, errs := agnt5d(t, "token", "revoke", "root", "--file", path); !strings.Contains(errs, "no admin token is left") {
		t.Errorf("the last admin token is revoked without a word: %s", errs)
	}
	must(exitConflict, "admin", "token", "create", "ann", "--scope", "read", "--file", path)
	ann := secret(t, must(0, "", "token", "create", "ann", "--scope", "admin", "--file", path))
	d.again(t)
	must(exitAuth, "was revoked", "list")
	t.Setenv("AGNT5_API_KEY", ann)
	must(0, "1 run", "cancel", "--all", "--yes")
	if out := must(0, "", "token", "create", "bob", "--scope", "admin"); out == "" || strings.Contains(must(0, "bob", "token", "revoke", "bob", "-o", "json"), "hint") {
		t.Error("an admin token is left, and something is said")
	}
	must(0, `"hint":"no admin token is left`, "token", "revoke", "ann", "-o", "json")
	for _, text := range []string{root, ci, ann} {
		if strings.Contains(d.said.String(), text) {
			t.Error("the daemon's log has a token")
		}
	}
}

// An address that others reach wants a token and TLS, or says that it has none.
func TestAWideAddressWantsATokenAndTLS(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	refused := func(want string, args ...string) {
		t.Helper()
		code, out, errs := agnt5d(t, append([]string{"serve", "--listen", "0.0.0.0:0", "--file", path}, args...)...)
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%q: exit %d, want %q\n%s%s", args, code, want, out, errs)
		}
	}
	refused("there is no TLS")
	refused("token create NAME --scope admin", "--insecure-no-tls")
	_, out, errs := agnt5d(t, "token", "create", "root", "--scope", "admin", "--file", path)
	root := secret(t, out)
	if strings.Contains(errs, root) {
		t.Error("the token stands on standard error, too")
	}
	refused("there is no TLS")
	_, port, _ := net.SplitHostPort(freePort(t))
	d := &daemon{url: "http://127.0.0.1:" + port, args: "serve --listen 0.0.0.0:" + port + " --file " + path + " --insecure-no-tls"}
	d.process = startProcess(t, "listening on", "AGNT5D_TEST_MAIN="+d.args)
	if code, _, errs := d.cli(t, "list"); code != exitAuth {
		t.Errorf("exit %d\n%s", code, errs)
	}
	t.Setenv("AGNT5_API_KEY", root)
	if code, _, errs := d.cli(t, "list"); code != 0 {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if d.stop(t); !strings.Contains(d.said.String(), "there is no TLS") {
		t.Errorf("no warning at the start:\n%s", d.said)
	}
}

// A password in the daemon's address is refused, and not repeated.
func TestACredentialInAnAddressIsRefused(t *testing.T) {
	for _, url := range []string{"http://ann:hunter2@127.0.0.1:9", "http://127.0.0.1:9/?key=hunter2", "http://127.0.0.1:9/#hunter2"} {
		code, out, errs := agnt5d(t, "list", "--url", url)
		if code != exitUsage || strings.Contains(out+errs, "hunter2") || !strings.Contains(errs, "AGNT5_API_KEY") {
			t.Errorf("%s: exit %d\n%s%s", url, code, out, errs)
		}
	}
}
