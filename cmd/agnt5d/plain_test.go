package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What handlers, clients and workers write gives a terminal no orders, and forges no line: every verb shows it escaped, also in errors.
// For programs it stays as it is.
func TestTextFromOutsideGivesATerminalNoOrders(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	const evil = "\x1b]0;title\a\x9b2J\u202e\nrun r9  completed"
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	post := func(path, body string) (got map[string]any) {
		t.Helper()
		resp, err := http.Post(d.url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			t.Fatal(path, resp.Status)
		}
		_ = json.NewDecoder(resp.Body).Decode(&got)
		return got
	}
	d.say(t, 0, "", "register", "w", writeFile(t, "w.yaml", "steps:\n  - {name: a, service_name: pay, handler_name: h, retry: {max_attempts: 1}}\n"))
	d.say(t, 0, "", "register", "waits", writeFile(t, "w.yaml", "steps:\n  - {name: a, type: wait_signal, signal: {name: go}}\n"))
	id := post("/v1/workers", `{"service_name":"pay","handlers":["h"],"capacity":1,"service_version":`+quoted(evil)+`,"host":`+quoted(evil)+`}`)["worker_id"].(string)
	post("/v1/workflows/w/runs", `{"workflow_id":"r"}`)
	task := post("/v1/workers/"+id+"/poll", `{"seq":1,"max":1,"wait_ms":10000}`)["tasks"].([]any)[0].(map[string]any)
	post("/v1/workers/"+id+"/poll", fmt.Sprintf(`{"max":0,"outcomes":[{"token":%q,"status":"failed","error":{"message":%s,"type":%s,"stack":%s,"retryable":false}}]}`, task["token"], quoted(evil), quoted(evil), quoted(evil)))
	post("/v1/workflows/waits/runs", `{"workflow_id":"c"}`)
	post("/v1/runs/c/signals/other", `{"payload":`+quoted(evil)+`}`)
	post("/v1/runs/c/cancel", `{"reason":`+quoted(evil)+`}`)
	shown := 0
	for _, verb := range []string{"workers", "list", "show r", "show c", "history r", "history c", "explain r", "explain c", "tail --past", "wait r", "wait c", "diff r c", "show nobody" + evil} {
		_, out, errs := d.cli(t, strings.SplitN(verb, " ", 2)...)
		if verb == "tail --past" || strings.HasPrefix(verb, "diff") {
			_, out, errs = d.cli(t, strings.Fields(verb)...)
		}
		for _, bad := range []string{"\x1b", "\a", "\u009b", "\u202e", "\nrun r9"} {
			if strings.Contains(out+errs, bad) {
				t.Errorf("%.20q shows %q: %q", verb, bad, out+errs)
			}
		}
		if strings.Contains(out+errs, `\u001b]0;title`) {
			shown++
		}
	}
	if shown < 8 {
		t.Errorf("only %d verbs show the text at all", shown)
	}
	_, out, _ := d.cli(t, "show", "r", "-o", "json")
	var st struct {
		Error struct{ Message string } `json:"error"`
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil || !strings.Contains(st.Error.Message, "\x1b]0;title\a") {
		t.Errorf("for programs: %v %s", err, out)
	}
}
