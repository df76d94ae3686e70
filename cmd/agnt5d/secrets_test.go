package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
)

// Secrets are planted wherever there is room for one, and then looked for: in the journal, a copy of it, the log at debug level, the
// figures, lists, events, errors, and the daemon's process.
func TestPlantedSecretsAreFoundNowhere(t *testing.T) {
	dir := t.TempDir()
	keys, path := filepath.Join(dir, "payload.keys"), filepath.Join(dir, "runs.db")
	put(t, keys, []byte(keyLine("spring")))
	d := startDaemon(t, dir, "--payload-key", keys, "--log-level", "debug", "--log-format", "json")
	secrets := map[string]string{
		"payload key": strings.Fields(keyLine("spring"))[1], "push secret": "PLANTED-push-secret", "password in a push URL": "PLANTED-push-password",
		"password in the daemon's URL": "PLANTED-url-password", "token in a query": "PLANTED-query-token", "Authorization header": "PLANTED-header", "payload": "PLANTED-payload",
	}
	seen := map[string]string{} // by where it was seen
	root := secret(t, func() string { _, out, _ := d.cli(t, "token", "create", "root", "--scope", "admin"); return out }())
	secrets["access token"], secrets["half of a token"] = root, root[4:30]

	send := func(method, path, body string, header ...string) *http.Response {
		t.Helper()
		resp, text := exchange(t, method, d.url+path, body, header...)
		seen[fmt.Sprintf("the answer to %s %.30s (%d)", method, path, len(seen))] = text
		return resp
	}
	admin := []string{"Authorization", "Bearer " + root}

	// What is refused.
	send("GET", "/v1/runs", "", "Authorization", "Bearer PLANTED-header")
	send("GET", "/v1/runs", "", "Authorization", "Basic PLANTED-header")
	send("GET", "/v1/runs", "", "Authorization", "Bearer "+root+"x")
	send("GET", "/v1/runs?access_token=PLANTED-query-token", "")
	for _, query := range []string{"?access_token=PLANTED-query-token", "?token=PLANTED-query-token%zz", "?limit=1&token=PLANTED-query-token;"} {
		send("GET", "/v1/runs"+query, "", admin...)
	}
	send("DELETE", "/v1/tokens/"+root, "", admin...)
	send("POST", "/v1/tokens", `{"name":"`+root+`","scope":"read"}`, admin...)
	send("POST", "/v1/session", `{"token":"PLANTED-header"}`)
	send("POST", "/v1/session", `{"tokn":"PLANTED-header"}`)
	send("POST", "/v1/session", `{"token":["PLANTED-header"]}`)
	for _, url := range []string{"http://u:PLANTED-push-password@127.0.0.1:1/x", "http://u:PLANTED-push-password@", "http://u:PLANTED-push-password@[::1", "http://127.0.0.1:1/?PLANTED-push-password", "x:PLANTED-push-password@y"} {
		if resp := send("PUT", "/v1/services/web", `{"url":"`+url+`","handlers":["h"]}`, admin...); resp.StatusCode != 400 {
			t.Errorf("%s: %d", url, resp.StatusCode)
		}
	}
	for _, url := range []string{"http://u:PLANTED-url-password@127.0.0.1:1", "http://127.0.0.1:1?key=PLANTED-url-password", "u:PLANTED-url-password@127.0.0.1:1", "http://u:PLANTED-url-password@[::1"} {
		code, out, errs := agnt5d(t, "list", "--url", url)
		if code != exitUsage {
			t.Errorf("%s: exit %d", url, code)
		}
		seen["list --url (standard output and error) "+url[:8]] = out + errs
	}

	// What is done.
	cookie := send("POST", "/v1/session", `{"token":"`+root+`"}`).Header.Get("Set-Cookie")
	cookie, _, _ = strings.Cut(cookie, ";")
	_, secrets["cookie"], _ = strings.Cut(cookie, "=")
	send("GET", "/v1/session", "", "Cookie", cookie)
	calls := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			w.WriteHeader(500)
		}
		_, _ = w.Write([]byte(`"ok"`))
	}))
	defer web.Close()
	if resp := send("PUT", "/v1/services/web", `{"url":"`+web.URL+`","handlers":["h"],"secret":"PLANTED-push-secret"}`, admin...); resp.StatusCode != 201 {
		t.Fatal(resp.Status)
	}
	t.Setenv("AGNT5_API_KEY", root)
	c := d.client(t)
	if _, _, err := c.Register(t.Context(), "w", []byte("steps:\n  - {name: a, service_name: web, handler_name: h, retry: {max_attempts: 3, initial_interval: 1ms}}\n")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Start(t.Context(), "w", "PLANTED-payload", client.StartOptions{ID: "r"}); err != nil {
		t.Fatal(err)
	}
	if st, err := c.Wait(t.Context(), "r"); err != nil || st.State != "completed" || calls < 2 {
		t.Fatal(st, err, calls)
	}
	var ci model.Token
	var err error
	if ci, err = c.CreateToken(t.Context(), "ci", "worker:svc", 0); err != nil {
		t.Fatal(err)
	}
	secrets["worker's token"] = ci.Token
	for _, path := range []string{"/metrics", "/v1/tokens", "/v1/services", "/v1/services/web", "/readyz", "/openapi.json", "/v1/workers"} {
		if resp := send("GET", path, "", admin...); resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	var copied strings.Builder
	if err := c.Journal(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	seen["a copy of the journal"] = copied.String()
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", d.cmd.Process.Pid)); err == nil {
		seen["the daemon's command line"] = string(line)
	}
	for _, verb := range [][]string{{"token", "list"}, {"services"}, {"tail", "--past"}, {"token", "list", "-o", "json"}, {"token", "revoke", "ci"}} {
		code, out, errs := d.cli(t, verb...)
		if code != 0 {
			t.Errorf("%q: exit %d: %s", verb, code, errs)
		}
		if verb[0] == "tail" {
			out = strings.ReplaceAll(out, "PLANTED-payload", "") // what it is for
		}
		seen["agnt5d "+strings.Join(verb, " ")] = out + errs
	}
	if code := d.stop(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	seen["the daemon's log"] = d.said.String()
	journal, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen["the journal"] = string(journal)
	if !strings.Contains(seen["the daemon's log"], `"level":"DEBUG"`) || len(seen) < 25 {
		t.Errorf("not everything was looked at: %d places\n%s", len(seen), d.said)
	}
	for what, text := range secrets {
		if len(text) < 8 {
			t.Errorf("no %s was planted", what)
		}
		for where, all := range seen {
			if i := strings.Index(all, text); i >= 0 {
				t.Errorf("%s has the %s: %.200q", where, what, all[max(0, i-60):])
			}
		}
	}
}

// A secret that stands where a file or a name is wanted is not repeated.
func TestASecretInTheWrongPlaceIsNotRepeated(t *testing.T) {
	dir := t.TempDir()
	key := strings.TrimSpace(keyLine("spring"))
	token := "agt_0123456789012345678901234567890123456789012345678"
	path := filepath.Join(dir, "runs.db")
	for _, c := range []struct {
		env  string
		args []string
	}{
		{"", []string{"serve", "--listen", "127.0.0.1:0", "--file", path, "--payload-key", key}},
		{"", []string{"serve", "--listen", "127.0.0.1:0", "--file", path, "--payload-key", strings.Fields(key)[1]}},
		{key, []string{"token", "list", "--file", path}},
		{"", []string{"list", "--token-file", token}},
		{"", []string{"token", "create", token, "--scope", "admin", "--file", path}},
		{"", []string{"token", "revoke", token, "--file", path}},
		{"", []string{"token", "revoke", token, "--url", "127.0.0.1:1"}},
	} {
		t.Setenv("AGNT5D_PAYLOAD_KEY", c.env)
		if c.env != "" {
			agnt5d(t, "token", "create", "root", "--scope", "admin", "--file", path)
		}
		code, out, errs := agnt5d(t, c.args...)
		if code == 0 || strings.Contains(out+errs, token[4:]) || strings.Contains(out+errs, strings.Fields(key)[1]) || strings.Contains(errs, "no answer") {
			t.Errorf("%.3q: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
}
