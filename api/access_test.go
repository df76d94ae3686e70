package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/engine"
)

// token makes an access token, as somebody who has the admin token by.
func (s *site) token(by, name, scope string, more string) string {
	s.t.Helper()
	r := s.want(201, "", "POST", "/v1/tokens", fmt.Sprintf(`{"name":%q,"scope":%q%s}`, name, scope, more), as(by)...)
	return r.json["token"].(string)
}

// as gives the header that shows a token; "": none.
func as(token string) []string {
	if token == "" {
		return nil
	}
	return []string{"Authorization", "Bearer " + token}
}

// rights says which tokens may use a route, by the scope that the document gives it.
var rights = map[string][]string{
	"public":  {"none", "revoked", "expired", "read", "operate", "worker", "worker:svc", "admin"},
	"read":    {"read", "operate", "admin"},
	"operate": {"operate", "admin"},
	"worker":  {"worker", "worker:svc", "admin"},
	"admin":   {"admin"},
}

// TestEveryRouteAsksForItsScope walks every route of the document, streams included: without a token, with each scope, with a
// revoked and an expired one.
func TestEveryRouteAsksForItsScope(t *testing.T) {
	s := open(t, engine.Options{Clock: engine.NewTestClock()})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.start("w", "r")
	tokens := map[string]string{"none": "", "admin": s.token("", "root", "admin", "")}
	for _, scope := range []string{"read", "operate", "worker", "worker:svc"} {
		tokens[scope] = s.token(tokens["admin"], strings.ReplaceAll(scope, ":", "-"), scope, "")
	}
	tokens["revoked"] = s.token(tokens["admin"], "gone", "admin", "")
	s.want(204, "", "DELETE", "/v1/tokens/gone", "", as(tokens["admin"])...)
	tokens["expired"] = s.token(tokens["admin"], "old", "admin", `,"ttl_ms":60000`)
	s.want(200, "", "GET", "/v1/runs", "", as(tokens["expired"])...)
	s.want(200, "", "POST", "/v1/test-clock", `{"advance":"1m"}`, as(tokens["admin"])...)

	var doc struct {
		Paths map[string]map[string]struct {
			Scope string `json:"x-agnt5-scope"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(api.Spec(), &doc); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for path, methods := range doc.Paths {
		for method, route := range methods {
			may := rights[route.Scope]
			if may == nil {
				t.Fatalf("%s %s: scope %q", method, path, route.Scope)
			}
			for who, token := range tokens {
				for _, accept := range []string{"application/json", "text/event-stream"} {
					status, body, head := s.knock(method, strings.NewReplacer("{", "x", "}", "").Replace(path), token, accept)
					tried++
					what := fmt.Sprintf("%s %s (%s) as %s: %d %s", method, path, accept, who, status, body)
					valid := !slices.Contains([]string{"none", "revoked", "expired"}, who)
					switch {
					case path == "/v1/session" && method != "delete": // which look at the token themselves
						if (status == 401) == (method == "get" && valid) {
							t.Error(what)
						}
					case slices.Contains(may, who):
						if status == 401 || status == 403 {
							t.Error(what)
						}
					case !valid:
						if status != 401 || !strings.Contains(body, `"code":"unauthorized"`) || head.Get("WWW-Authenticate") == "" {
							t.Error(what)
						}
					default:
						if status != 403 || !strings.Contains(body, `"code":"forbidden"`) || !strings.Contains(body, "needs the scope "+route.Scope) {
							t.Error(what)
						}
					}
				}
			}
		}
	}
	if tried < 400 {
		t.Errorf("only %d requests", tried)
	}
}

// knock sends a request and reads its answer, but no more than the head of a stream.
func (s *site) knock(method, path, token, accept string) (int, string, http.Header) {
	s.t.Helper()
	method = strings.ToUpper(method)
	body := ""
	if method == "POST" || method == "PUT" {
		body = "{}"
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text := ""
	if strings.Contains(resp.Header.Get("Content-Type"), "problem") {
		var b strings.Builder
		_, _ = bufio.NewReader(resp.Body).WriteTo(&b)
		text = b.String()
	}
	return resp.StatusCode, text, resp.Header
}

// TestTheFirstTokenClosesTheDaemon: until it is made nobody needs one; it must be admin; only its hash is kept.
func TestTheFirstTokenClosesTheDaemon(t *testing.T) {
	path := t.TempDir() + "/runs.db"
	s := openAt(t, path, engine.Options{})
	s.want(200, "", "GET", "/v1/runs", "")
	if r := s.want(200, "", "GET", "/v1/session", ""); r.json["open"] != true || r.json["scope"] != "admin" {
		t.Error(r.text)
	}
	s.want(409, "admin_token_first", "POST", "/v1/tokens", `{"name":"ci","scope":"operate"}`)
	s.want(400, "invalid_request", "POST", "/v1/tokens", `{"name":"local","scope":"admin"}`)
	s.want(400, "invalid_request", "POST", "/v1/tokens", `{"name":"a b","scope":"admin"}`)
	s.want(400, "invalid_request", "POST", "/v1/tokens", `{"name":"ci","scope":"root"}`)
	s.want(400, "invalid_request", "POST", "/v1/tokens", `{"name":"ci","scope":"worker:"}`)
	s.join(`"h"`, "")
	first := s.want(201, "", "POST", "/v1/tokens", `{"name":"root","scope":"admin"}`)
	if hint, _ := first.json["hint"].(string); !strings.Contains(hint, "refused from now on: 1 (of svc)") {
		t.Errorf("whoever makes the first token is not told of the worker: %s", first.text)
	}
	root := first.json["token"].(string)
	if len(root) != 53 || !strings.HasPrefix(root, "agt_") {
		t.Errorf("the token is %q", root)
	}
	s.want(401, "unauthorized", "GET", "/v1/runs", "")
	s.want(401, "unauthorized", "GET", "/v1/runs", "", "Authorization", "Basic "+root)
	if r := s.want(401, "unauthorized", "GET", "/v1/runs", "", as(root[:30])...); !strings.Contains(r.text, "not whole") {
		t.Error(r.text)
	}
	s.want(400, "invalid_request", "GET", "/v1/runs?access_token="+root, "", as(root)...)
	s.want(409, "token_exists", "POST", "/v1/tokens", `{"name":"root","scope":"read"}`, as(root)...)
	ci := s.token(root, "ci", "operate", "")
	list := s.want(200, "", "GET", "/v1/tokens", "", as(root)...)
	if strings.Contains(list.text, "agt_") || !strings.Contains(list.text, `"name":"ci"`) {
		t.Error(list.text)
	}
	s.want(204, "", "DELETE", "/v1/tokens/ci", "", as(root)...)
	s.want(204, "", "DELETE", "/v1/tokens/ci", "", as(root)...)
	s.want(404, "token_not_found", "DELETE", "/v1/tokens/nobody", "", as(root)...)
	if r := s.want(401, "unauthorized", "GET", "/v1/runs", "", as(ci)...); !strings.Contains(r.text, "revoked") {
		t.Error(r.text)
	}
	again := s.token(root, "ci", "read", "")
	s.want(401, "unauthorized", "GET", "/v1/runs", "", as(ci)...)
	s.want(200, "", "GET", "/v1/runs", "", as(again)...)

	s.close()
	s = openAt(t, path, engine.Options{})
	s.want(401, "unauthorized", "GET", "/v1/runs", "")
	s.want(200, "", "GET", "/v1/runs", "", as(again)...)
	r := s.want(200, "", "DELETE", "/v1/tokens/root", "", as(root)...) // also the last admin token; the file can still make one
	if !strings.Contains(r.text, `"hint":"no admin token is left; stop the daemon and make one on its file`) {
		t.Errorf("the last admin token is revoked without a word: %s", r.text)
	}
	s.want(401, "unauthorized", "GET", "/v1/tokens", "")
}

// TestTheDayOfATokensUse: it is in the list, and in the journal when it is opened again.
func TestTheDayOfATokensUse(t *testing.T) {
	path := t.TempDir() + "/runs.db"
	s := openAt(t, path, engine.Options{})
	root := s.token("", "root", "admin", "")
	today := time.Now().UTC().Format(time.DateOnly)
	used := func() bool {
		r := s.want(200, "", "GET", "/v1/tokens", "", as(root)...)
		return strings.Contains(r.text, `"last_used":"`+today+`"`)
	}
	for limit := time.Now().Add(10 * time.Second); !used(); {
		if time.Now().After(limit) {
			t.Fatal("the day of use is not shown")
		}
	}
	s.close()
	s = openAt(t, path, engine.Options{})
	rows, err := s.eng.Settings("token/")
	if err != nil || !strings.Contains(string(rows["token/root"]), today) {
		t.Errorf("%s %v", rows["token/root"], err)
	}
}

// TestWhoDidWhat: what a token asks for has its name in history, and so has what is done to tokens and services.
func TestWhoDidWhat(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}}]}`)
	root := s.token("", "root", "admin", "")
	ann := s.token(root, "ann", "operate", "")
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r"}`, as(ann)...)
	s.want(202, "", "POST", "/v1/runs/r/signals/other", `{}`, as(ann)...)
	s.want(202, "", "POST", "/v1/runs/r/cancel", `{}`, as(root)...)
	s.want(202, "", "POST", "/v1/runs/r/retry", `{}`, as(ann)...)
	s.want(201, "", "PUT", "/v1/services/web", `{"url":"http://127.0.0.1:1/x","handlers":["h"]}`, as(root)...)
	s.want(204, "", "DELETE", "/v1/services/web", "", as(root)...)
	s.want(204, "", "DELETE", "/v1/tokens/ann", "", as(root)...)
	r := s.want(200, "", "GET", "/v1/events", "", as(root)...)
	var got struct {
		Events []struct {
			Kind string
			Data map[string]any
		}
	}
	if err := json.Unmarshal([]byte(r.text), &got); err != nil {
		t.Fatal(err)
	}
	var by []string
	for _, e := range got.Events {
		if e.Data["by"] != nil {
			by = append(by, strings.TrimSpace(fmt.Sprint(e.Kind, " ", either(e.Data["key"]), " ", e.Data["by"])))
		}
	}
	want := []string{"WorkflowRegistered  local", "SettingChanged token/root local", "SettingChanged token/ann root", "RunStarted  ann", "SignalReceived  ann", "RunCancelled  root",
		"RunReopened  ann", "SettingChanged service/web root", "SettingChanged service/web root", "SettingChanged token/ann root"}
	if !slices.Equal(by, want) {
		t.Errorf("got  %q\nwant %q", by, want)
	}
}

func either(v any) any {
	if v == nil {
		return ""
	}
	return v
}

// TestARevokedTokenEndsItsStream: what was open when a token is revoked does not go on.
func TestARevokedTokenEndsItsStream(t *testing.T) {
	s := open(t, engine.Options{})
	root := s.token("", "root", "admin", "")
	ci := s.token(root, "ci", "read", "")
	w := s.token(root, "w", "worker", "")
	req, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/events", nil)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+ci)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(err, resp)
	}
	defer resp.Body.Close()
	worker := s.want(201, "", "POST", "/v1/workers", `{"service_name":"svc","handlers":["h"],"capacity":1}`, as(w)...).json["worker_id"].(string)
	polled := make(chan *reply, 1)
	go func() {
		polled <- s.send("POST", "/v1/workers/"+worker+"/poll", `{"seq":1,"max":1,"wait_ms":30000}`, as(w)...)
	}()
	for !strings.Contains(s.want(200, "", "GET", "/v1/workers", "", as(root)...).text, `"waiting":true`) {
	}
	s.want(204, "", "DELETE", "/v1/tokens/ci", "", as(root)...)
	s.want(204, "", "DELETE", "/v1/tokens/w", "", as(root)...)
	done := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(resp.Body).WriteTo(&strings.Builder{})
		done <- err
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the stream goes on")
	}
	select {
	case r := <-polled:
		if r.StatusCode != 401 {
			t.Errorf("the poll: %d %s", r.StatusCode, r.text)
		}
	case <-time.After(10 * time.Second):
		t.Error("the poll goes on")
	}
}

// TestAWorkersTokenIsForItsService: it cannot use another's session, and publishes only what is new or its own.
func TestAWorkersTokenIsForItsService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	s := openAt(t, path, engine.Options{})
	const v1 = `{"steps":[{"name":"a","service_name":"pay","handler_name":"h"}]}`
	const v2 = `{"steps":[{"name":"b","service_name":"pay","handler_name":"h"}]}`
	const v3 = `{"steps":[{"name":"e","service_name":"pay","handler_name":"h"}]}`
	join := func(service, publish string) string {
		return `{"service_name":"` + service + `","handlers":["h"],"capacity":1,"worker_id":"` + service + `-1"` + publish + `}`
	}
	flow := func(name, def string) string { return `,"workflows":{"` + name + `":` + def + `}` }
	s.want(201, "", "PUT", "/v1/workflows/handmade", v1)
	root := s.token("", "root", "admin", "")
	pay := s.token(root, "pay", "worker:pay", "")
	mail := s.token(root, "mail", "worker:mail", "")
	any := s.token(root, "any", "worker", "")

	s.want(201, "", "POST", "/v1/workers", join("pay", ""), as(pay)...)
	s.want(201, "", "POST", "/v1/workers", join("mail", ""), as(mail)...)
	if r := s.want(403, "forbidden", "POST", "/v1/workers", join("mail", ""), as(pay)...); !strings.Contains(r.text, "worker:mail") {
		t.Error(r.text)
	}
	for _, token := range []string{mail, any, root} {
		s.want(204, "", "POST", "/v1/workers/mail-1/poll", `{"max":0}`, as(token)...)
		s.want(200, "", "POST", "/v1/workers/mail-1/heartbeat", `{"tokens":[]}`, as(token)...)
	}
	s.want(403, "forbidden", "POST", "/v1/workers/mail-1/poll", `{"max":0}`, as(pay)...)
	s.want(403, "forbidden", "POST", "/v1/workers/mail-1/heartbeat", `{"tokens":[]}`, as(pay)...)
	s.want(403, "forbidden", "DELETE", "/v1/workers/mail-1", "", as(pay)...)
	s.want(204, "", "DELETE", "/v1/workers/mail-1", "", as(mail)...)

	s.want(201, "", "POST", "/v1/workers", join("pay", flow("orders", v1)), as(pay)...) // new
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("orders", v2)), as(pay)...) // its own
	s.want(201, "", "POST", "/v1/workers", join("mail", flow("orders", v1)), as(mail)...)
	for _, c := range []struct{ token, body, why string }{
		{mail, join("mail", flow("orders", `{"steps":[{"name":"c","service_name":"pay","handler_name":"h"}]}`)), `service \"pay\" publishes`},
		{pay, join("pay", flow("handmade", v2)), "no worker publishes"},
		{pay, `{"service_name":"pay","handlers":["h"],"capacity":1,"publish":"current"` + flow("orders", v1) + `}`, "older version current"},
		{any, `{"service_name":"pay","handlers":["h"],"capacity":1,"publish":"current"` + flow("orders", v1) + `}`, "older version current"},
	} {
		if r := s.want(403, "forbidden", "POST", "/v1/workers", c.body, as(c.token)...); !strings.Contains(r.text, c.why) || !strings.Contains(r.text, "scope admin") {
			t.Error(r.text)
		}
	}
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("handmade", v2)), as(root)...) // handed over
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("handmade", `{"steps":[{"name":"d","service_name":"pay","handler_name":"h"}]}`)), as(pay)...)
	s.want(201, "", "PUT", "/v1/workflows/same", v1, as(root)...)
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("same", v1)), as(root)...) // handed over as it is
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("same", v2)), as(pay)...)
	if r := s.want(200, "", "GET", "/v1/workflows/orders", "", as(root)...); r.json["current"] != 2.0 {
		t.Error(r.text)
	}

	two := func(a, b string) string { return join("pay", `,"workflows":{"aaa":`+a+`,"handmade2":`+b+`}`) }
	s.want(201, "", "PUT", "/v1/workflows/handmade2", v1, as(root)...)
	s.want(403, "forbidden", "POST", "/v1/workers", two(v1, v2), as(pay)...)
	s.want(404, "workflow_not_found", "GET", "/v1/workflows/aaa", "", as(root)...) // of a publication that is refused nothing is kept
	s.want(400, "invalid_request", "POST", "/v1/workers", `{"service_name":"pay","handlers":["h"],"capacity":0,"workflows":{"aaa":`+v1+`}}`, as(pay)...)
	s.want(404, "workflow_not_found", "GET", "/v1/workflows/aaa", "", as(root)...)

	s.want(201, "", "POST", "/v1/workers", join("pay", flow("shrunk", v1)), as(pay)...)
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("shrunk", v2)), as(pay)...)
	s.want(204, "", "DELETE", "/v1/workflows/shrunk?version=1", "", as(root)...)
	s.want(201, "", "PUT", "/v1/workflows/handmade3", v1, as(root)...)
	s.want(204, "", "DELETE", "/v1/workflows/handmade3", "", as(root)...)
	s.want(204, "", "DELETE", "/v1/workflows/same", "", as(root)...) // which pay publishes
	for range 2 {                                                    // the second time by what the journal knows
		for _, c := range []struct{ token, body, why string }{
			{pay, join("pay", flow("shrunk", v1)), "bring back a version that was deleted"},
			{pay, join("pay", flow("handmade3", v2)), "publish a workflow that was deleted"},
			{mail, join("mail", flow("same", v3)), `service \"pay\" publishes`},
		} {
			if r := s.want(403, "forbidden", "POST", "/v1/workers", c.body, as(c.token)...); !strings.Contains(r.text, c.why) || !strings.Contains(r.text, "scope admin") {
				t.Error(r.text)
			}
		}
		s.want(201, "", "POST", "/v1/workers", join("pay", flow("shrunk", v2)), as(pay)...) // nothing new
		s.close()
		s = openAt(t, path, engine.Options{})
	}
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("same", v3)), as(pay)...)

	s.want(201, "", "PUT", "/v1/workflows/orders", v3, as(root)...) // an admin takes the name back
	if r := s.want(403, "forbidden", "POST", "/v1/workers", join("pay", flow("orders", `{"steps":[{"name":"f","service_name":"pay","handler_name":"h"}]}`)), as(pay)...); !strings.Contains(r.text, "no worker publishes") {
		t.Error(r.text)
	}
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("orders", v2)), as(pay)...) // what the name has had changes nothing, and nobody is locked out
	if r := s.want(200, "", "GET", "/v1/workflows/orders", "", as(root)...); r.json["current"] != 3.0 {
		t.Error(r.text)
	}
	s.want(200, "", "PUT", "/v1/workflows/orders/current", `{"version":2}`, as(root)...) // which takes nothing back
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("orders", v3)), as(root)...)
	s.want(200, "", "PUT", "/v1/workflows/orders/current", `{"version":2}`, as(root)...)
	s.want(201, "", "POST", "/v1/workers", join("pay", flow("orders", `{"steps":[{"name":"g","service_name":"pay","handler_name":"h"}]}`)), as(pay)...)
}

// TestABrowsersSession: a token becomes a cookie that only the daemon's own page can use to change something.
func TestABrowsersSession(t *testing.T) {
	s := open(t, engine.Options{})
	root := s.token("", "root", "admin", "")
	ann := s.token(root, "ann", "operate", "")
	s.want(401, "unauthorized", "POST", "/v1/session", `{"token":"agt_wrong"}`)
	r := s.want(204, "", "POST", "/v1/session", `{"token":"`+ann+`"}`)
	set := r.Header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie has no %s: %s", part, set)
		}
	}
	if strings.Contains(set, ann) || strings.Contains(set, "Max-Age") {
		t.Errorf("the cookie: %s", set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	with := func(more ...string) []string { return append([]string{"Cookie", cookie}, more...) }
	own := []string{"Origin", s.url, "Content-Type", "application/json"}
	if r := s.want(200, "", "GET", "/v1/session", "", with()...); r.json["by"] != "ann" || r.json["scope"] != "operate" || r.json["open"] != false {
		t.Error(r.text)
	}
	s.want(200, "", "GET", "/v1/runs", "", with()...)
	s.want(400, "invalid_request", "POST", "/v1/runs/cancel", `{}`, with(own...)...)
	s.want(400, "invalid_request", "POST", "/v1/runs/cancel", `{}`, with("Sec-Fetch-Site", "same-origin", "Content-Type", "application/json")...)
	s.want(403, "origin_refused", "POST", "/v1/runs/cancel", `{}`, with()...)
	s.want(403, "origin_refused", "POST", "/v1/runs/cancel", `{}`, with("Origin", "http://evil.example", "Content-Type", "application/json")...)
	s.want(403, "origin_refused", "POST", "/v1/runs/cancel", `{}`, with("Sec-Fetch-Site", "same-site", "Content-Type", "application/json")...)
	s.want(403, "forbidden", "POST", "/v1/runs/delete", `{}`, with(own...)...)
	s.want(204, "", "DELETE", "/v1/session", "", with(own...)...)
	s.want(401, "unauthorized", "GET", "/v1/runs", "", with()...)

	r = s.want(204, "", "POST", "/v1/session", `{"token":"`+ann+`"}`)
	cookie, _, _ = strings.Cut(r.Header.Get("Set-Cookie"), ";")
	s.want(200, "", "GET", "/v1/runs", "", with()...)
	s.want(204, "", "DELETE", "/v1/tokens/ann", "", as(root)...)
	s.want(401, "unauthorized", "GET", "/v1/runs", "", with()...)
}

// TestAWorkerReadsWhatItsTaskRefersTo: by showing the lease token of a task under way, and nothing else.
func TestAWorkerReadsWhatItsTaskRefersTo(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"a"}},{"name":"other","type":"wait_signal","signal":{"name":"other"}},
		{"name":"b","service_name":"pay","handler_name":"h","dependencies":["a"]}]}`)
	root := s.token("", "root", "admin", "")
	pay := s.token(root, "pay", "worker:pay", "")
	mail := s.token(root, "mail", "worker:mail", "")
	every := s.token(root, "any", "worker", "")
	for _, run := range []string{"r", "another"} {
		s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"`+run+`"}`, as(root)...)
	}
	for _, signal := range []string{"a", "other"} {
		s.want(202, "", "POST", "/v1/runs/r/signals/"+signal, `{"payload":{"secret":"`+signal+`"}}`, as(root)...)
	}
	id := s.want(201, "", "POST", "/v1/workers", `{"service_name":"pay","handlers":["h"],"capacity":1}`, as(pay)...).json["worker_id"].(string)
	task := s.want(200, "", "POST", "/v1/workers/"+id+"/poll", `{"seq":1,"max":1,"wait_ms":10000}`, as(pay)...).json["tasks"].([]any)[0].(map[string]any)
	lease := task["token"].(string)
	read := func(status int, run, step, token, lease string) {
		t.Helper()
		code := map[int]string{200: "", 403: "forbidden"}[status]
		r := s.want(status, code, "GET", "/v1/runs/"+run+"/steps/"+step+"/output", "", append(as(token), "Agnt5-Lease-Token", lease)...)
		if status == 200 && r.text != `{"secret":"a"}` || status == 403 && !strings.Contains(r.text, "needs the scope read") {
			t.Errorf("%s %s: %s", run, step, r.text)
		}
	}
	read(200, "r", "a", pay, lease)
	read(200, "r", "a", every, lease)
	read(200, "r", "a", root, "nonsense") // who may read needs no lease
	read(403, "r", "a", mail, lease)      // of another service
	read(403, "r", "a", pay, "")
	read(403, "r", "a", pay, "nonsense")
	read(403, "r", "a", pay, lease[:len(lease)-2]+"AA")
	read(403, "r", "other", pay, lease) // on which the task does not depend
	read(403, "r", "b", pay, lease)
	read(403, "r", "nothing", pay, lease)
	read(403, "another", "a", pay, lease)
	read(403, "nobody", "a", pay, lease)
	s.want(403, "forbidden", "GET", "/v1/runs/r", "", append(as(pay), "Agnt5-Lease-Token", lease)...)
	s.want(200, "", "POST", "/v1/workers/"+id+"/poll", `{"max":0,"outcomes":[{"token":"`+lease+`","status":"failed","error":{"message":"again"}}]}`, as(pay)...)
	read(403, "r", "a", pay, lease) // the attempt is over
}

// TestTheCookieOfASecurePage: a browser that came by https, perhaps through a proxy that ends TLS, never sends the cookie otherwise; and a
// page that came by http is another one.
func TestTheCookieOfASecurePage(t *testing.T) {
	s := open(t, engine.Options{})
	login := `{"token":"` + s.token("", "root", "admin", "") + `"}`
	for origin, secure := range map[string]bool{s.url: false, strings.Replace(s.url, "http:", "https:", 1): true} {
		r := s.want(204, "", "POST", "/v1/session", login, "Origin", origin, "Content-Type", "application/json")
		if set := r.Header.Get("Set-Cookie"); strings.Contains(set, "; Secure") != secure {
			t.Errorf("%s: %s", origin, set)
		}
	}
	over := httptest.NewTLSServer(s.api)
	t.Cleanup(over.Close)
	for origin, want := range map[string]int{over.URL: 204, strings.Replace(over.URL, "https:", "http:", 1): 403} {
		req, err := http.NewRequest("POST", over.URL+"/v1/session", strings.NewReader(login))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Content-Type", "application/json")
		resp, err := over.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || want == 204 && !strings.Contains(resp.Header.Get("Set-Cookie"), "; Secure") {
			t.Errorf("%s: %s %s", origin, resp.Status, resp.Header.Get("Set-Cookie"))
		}
	}
}

// TestEveryWriteHasAName: whatever a person asks for over HTTP stands in the journal with the name of the token. The actions are all
// routes of the document that change something for people; what is left out says why.
func TestEveryWriteHasAName(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "runs.db"), engine.Options{Clock: engine.NewTestClock()})
	s.want(201, "", "PUT", "/v1/workflows/objects", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h","object_keys":["k"]}]}`)
	s.start("objects", "r0")
	w := s.join(`"h"`, "")
	s.outcome(w, s.task(w, 1)["token"].(string), `"status":"completed","objects":{"k":1}`)
	root := s.token("", "root", "admin", "")
	s.token(root, "leaver", "read", "")
	waits := `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}}]}`
	sleeps := `{"steps":[{"name":"a","type":"wait_timer","timer":{"key":"t","delay":"1h"}}]}`
	done := map[string]bool{
		// Nothing of these is in the journal, or it is no person who asks.
		"login": true, "logout": true, "previewSchedule": true, "compactJournal": true, "advanceClock": true,
		// TestTheHoldIsEndedByName: it needs a hold.
		"resumeAll":  true,
		"joinWorker": true, "pollWorker": true, "heartbeat": true, "leaveWorker": true,
	}
	for i, a := range []struct{ id, method, path, body, kind string }{
		{"putWorkflow", "PUT", "/v1/workflows/w", waits, "WorkflowRegistered"},
		{"putWorkflow", "PUT", "/v1/workflows/w", sleeps, "WorkflowRegistered"},
		{"useWorkflow", "PUT", "/v1/workflows/w/current", `{"version":1}`, "WorkflowUsed"},
		{"startRun", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r1"}`, "RunStarted"},
		{"startRuns", "POST", "/v1/runs/batch", `{"runs":[{"workflow_name":"w","workflow_id":"r2"},{"workflow_name":"w","workflow_id":"r4"},{"workflow_name":"w","workflow_id":"r5"},{"workflow_name":"w","workflow_id":"r6"}]}`, "RunStarted"},
		{"startRun", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r3","version":2}`, "RunStarted"},
		{"signalRun", "POST", "/v1/runs/r1/signals/other", `{}`, "SignalReceived"},
		{"fireTimer", "POST", "/v1/runs/r3/timers/t/fire", `{}`, "TimerFired"},
		{"cancelRun", "POST", "/v1/runs/r1/cancel", `{}`, "RunCancelled"},
		{"retryRun", "POST", "/v1/runs/r1/retry", `{}`, "RunReopened"},
		{"completeStep", "POST", "/v1/runs/r4/steps/a/complete", `{"output":1}`, "StepCorrected"},
		{"skipStep", "POST", "/v1/runs/r5/steps/a/skip", `{}`, "StepCorrected"},
		{"failStep", "POST", "/v1/runs/r6/steps/a/fail", `{}`, "StepCorrected"},
		{"forkRun", "POST", "/v1/runs/r4/fork", `{"from":"a","set":{"a":1},"workflow_id":"r7"}`, "RunForked"},
		{"pauseRun", "POST", "/v1/runs/r1/pause", `{}`, "RunPaused"},
		{"resumeRun", "POST", "/v1/runs/r1/resume", `{"reason":"done"}`, "RunResumed"},
		{"pauseRuns", "POST", "/v1/runs/pause?workflow=w", `{"state":"running"}`, "RunPaused"},
		{"resumeRuns", "POST", "/v1/runs/resume", `{"paused":true}`, "RunResumed"},
		{"tagRun", "PATCH", "/v1/runs/r1", `{"tags":{"team":"data"}}`, "RunTagged"},
		{"cancelRuns", "POST", "/v1/runs/cancel?workflow=w", ``, "RunCancelled"},
		{"retryRuns", "POST", "/v1/runs/retry?workflow=w&state=cancelled", ``, "RunReopened"},
		{"putSchedule", "PUT", "/v1/schedules/s", `{"workflow":"w","every":"1h"}`, "ScheduleChanged"},
		{"pauseSchedule", "POST", "/v1/schedules/s/pause", `{}`, "ScheduleChanged"},
		{"resumeSchedule", "POST", "/v1/schedules/s/resume", `{}`, "ScheduleChanged"},
		{"triggerSchedule", "POST", "/v1/schedules/s/trigger", `{}`, "RunStarted"},
		{"backfillSchedule", "POST", "/v1/schedules/s/backfill", `{"from":"2020-01-01T00:00:00Z","to":"2020-01-01T02:00:00Z"}`, "ScheduleChanged"},
		{"deleteSchedule", "DELETE", "/v1/schedules/s", ``, "ScheduleChanged"},
		{"cancelRun", "POST", "/v1/runs/r1/cancel", `{}`, "RunCancelled"},
		{"cancelRun", "POST", "/v1/runs/r2/cancel", `{}`, "RunCancelled"},
		{"deleteRun", "DELETE", "/v1/runs/r1", ``, "RunsDeleted"},
		{"deleteRuns", "POST", "/v1/runs/delete?workflow=w", ``, "RunsDeleted"},
		{"deleteWorkflow", "DELETE", "/v1/workflows/w?version=2", ``, "WorkflowDeleted"},
		{"putService", "PUT", "/v1/services/web", `{"url":"http://127.0.0.1:1/x","handlers":["h"]}`, "SettingChanged"},
		{"pauseService", "POST", "/v1/services/web/pause", `{"reason":"why"}`, "SettingChanged"},
		{"resumeService", "POST", "/v1/services/web/resume", ``, "SettingChanged"},
		{"deleteService", "DELETE", "/v1/services/web", ``, "SettingChanged"},
		{"deleteObject", "DELETE", "/v1/objects/k", ``, "ObjectDeleted"},
		{"noteBackup", "POST", "/v1/backups", `{"up_to":1,"bytes":1}`, "SettingChanged"},
		{"createToken", "POST", "/v1/tokens", `{"name":"new","scope":"read"}`, "SettingChanged"},
		{"revokeToken", "DELETE", "/v1/tokens/leaver", ``, "SettingChanged"},
	} {
		done[a.id] = true
		who := fmt.Sprintf("p%d", i)
		person := s.token(root, who, "admin", "")
		if r := s.send(a.method, a.path, a.body, as(person)...); r.StatusCode/100 != 2 {
			t.Errorf("%s %s: %d %s", a.method, a.path, r.StatusCode, r.text)
		}
		var named []string
		events := s.want(200, "", "GET", "/v1/events?limit=1000", "", as(root)...)
		for _, e := range events.json["events"].([]any) {
			e := e.(map[string]any)
			if data, _ := e["data"].(map[string]any); data["by"] == who {
				named = append(named, e["kind"].(string))
			}
		}
		if !slices.Contains(named, a.kind) {
			t.Errorf("%s %s: %q have the name, want %s", a.method, a.path, named, a.kind)
		}
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(api.Spec(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, route := range methods {
			if method != "get" && !done[route.ID] {
				t.Errorf("%s %s (%s) is not tried", method, path, route.ID)
			}
		}
	}
}
