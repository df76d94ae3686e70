package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
)

// routesOf gives the method and path of every route.
func routesOf(t *testing.T) (all [][2]string) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(api.Spec(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			all = append(all, [2]string{strings.ToUpper(method), path})
		}
	}
	if len(all) < 30 {
		t.Fatalf("%d routes", len(all))
	}
	return all
}

// No fixed part of a path stands where an id may, for the same method: a run may be called "cancel".
func TestNoRouteStandsInAnothersWay(t *testing.T) {
	all := routesOf(t)
	for i, a := range all {
		for _, b := range all[i+1:] {
			x, y := strings.Split(a[1], "/"), strings.Split(b[1], "/")
			if a[0] != b[0] || len(x) != len(y) {
				continue
			}
			both := true
			for n := range x {
				both = both && (x[n] == y[n] || strings.HasPrefix(x[n], "{") || strings.HasPrefix(y[n], "{"))
			}
			if both {
				t.Errorf("%s %s and %s take the same path", a[0], a[1], b[1])
			}
		}
	}
}

// raw sends a request as it is, and follows nothing.
func (s *site) raw(method, path, body string) *reply {
	s.t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	path, u.RawQuery, _ = strings.Cut(path, "?")
	u.Opaque = "//" + u.Host + path
	req := &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &reply{Response: resp, text: string(b)}
	_ = json.Unmarshal(b, &r.json)
	return r
}

// Where a path wants an id or name, one that is empty, . or .. is refused: no redirect, no other route, nothing done.
func TestEveryRouteRefusesAPlaceInAPath(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.start("w", "r")
	s.start("w", "cancelled")
	s.want(202, "", "POST", "/v1/runs/cancelled/cancel", "")
	refused := func(method, path, body, want string) {
		t.Helper()
		r := s.raw(method, path, body)
		if r.StatusCode != 400 || r.json["code"] != "invalid_request" || r.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(r.text, want) {
			t.Errorf("%s %s: %d %s", method, path, r.StatusCode, r.text)
		}
	}
	for _, route := range routesOf(t) {
		method, body := route[0], ""
		if method == "POST" || method == "PUT" {
			body = "{}"
		}
		parts := strings.Split(route[1], "/")
		for i := range parts {
			if !strings.HasPrefix(parts[i], "{") {
				continue
			}
			for _, bad := range []string{"", ".", "..", "%2e", "%2E%2E", ".%2e"} {
				path := slices.Clone(parts)
				for n := range path {
					if strings.HasPrefix(path[n], "{") {
						path[n] = "r"
					}
				}
				path[i] = bad
				want := "a place in a path"
				if bad == "" {
					want = "is empty"
				}
				refused(method, strings.Join(path, "/"), body, want)
			}
		}
	}
	for _, path := range []string{"//v1/runs/cancel?all=true", "/v1//runs/cancel?all=true", "/v1/./runs/cancel?all=true", "/v1/runs/x/../cancel?all=true", "/v1/runs/cancel/?all=true",
		"/v1/runs//retry?all=true", "/v1/runs/./retry?all=true"} {
		refused("POST", path, "", "detail")
	}
	refused("GET", "/v1/runs/", "", "the run id is empty")
	for id, state := range map[string]string{"r": "running", "cancelled": "cancelled"} {
		if st := s.state(id); st["state"] != state {
			t.Errorf("run %s is %v", id, st["state"])
		}
	}
}

// In a body, and as Idempotency-Key, the same ids and names are refused. An empty one is not an absent one: each try would make
// another run.
func TestBodiesRefuseTheSameIDs(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.start("w", "r")
	for _, bad := range []string{"", ".", ".."} {
		s.want(400, "invalid_request", "POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":%q}`, bad))
		s.want(400, "invalid_request", "POST", "/v1/workflows/w/runs", "{}", "Idempotency-Key", bad)
		s.want(400, "invalid_request", "POST", "/v1/runs/r/signals/go", fmt.Sprintf(`{"signal_id":%q}`, bad))
		s.want(400, "invalid_request", "POST", "/v1/runs/r/signals/go", "{}", "Idempotency-Key", bad)
		s.want(400, "invalid_request", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":%q,"handlers":["h"],"capacity":1}`, bad))
		s.want(400, "invalid_request", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":"s","handlers":[%q],"capacity":1}`, bad))
		s.want(422, "invalid_definition", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":"s","handlers":["h"],"capacity":1,"workflows":{%q:%s}}`, bad, oneTask))
		s.want(400, "invalid_request", "PUT", "/v1/services/p", fmt.Sprintf(`{"url":"http://127.0.0.1:9/x","handlers":[%q]}`, bad))
		s.want(422, "invalid_definition", "PUT", "/v1/workflows/w", strings.ReplaceAll(oneTask, `"a"`, fmt.Sprintf("%q", bad)))
	}
	if r := s.want(200, "", "GET", "/v1/runs", ""); len(r.json["runs"].([]any)) != 1 {
		t.Errorf("more runs than one: %s", r.text)
	}
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":null}`)
}

// Ids with a slash, and those that are called like a part of a path, name their run on every route.
func TestIDsMayHoldSlashes(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"cancel"}},{"name":"b","type":"wait_timer","timer":{"key":"retry","delay_ms":3600000}}]}`)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	s.start("w", "witness")
	for _, id := range []string{"p/spawn", "a/../b", "a//b", "/", "#1[2]:x", "cancel", "retry", "delete", "events", "runs", "...", strings.Repeat("x/", 256)} {
		st, created, err := c.Start(ctx, "w", nil, client.StartOptions{ID: id})
		if err != nil || !created || st.WorkflowID != id {
			t.Fatalf("%q: %+v %v", id, st, err)
		}
		r := s.want(200, "", "POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":%q}`, id))
		if got := s.want(200, "", "GET", r.Header.Get("Location"), ""); got.json["workflow_id"] != id {
			t.Errorf("%q: Location leads to %v", id, got.json["workflow_id"])
		}
		if len(id) < 500 {
			if got, err := c.Signal(ctx, id, "cancel", 1, id+"/a"); err != nil || got.ConsumedBy != "a" || got.SignalID != id+"/a" {
				t.Errorf("%q: %+v %v", id, got, err)
			}
		}
		reasons, err := c.Explain(ctx, id)
		if err != nil || len(reasons) == 0 || strings.ContainsAny(id, "[#") && !strings.Contains(reasons[0].Command, " '"+id+"' ") {
			t.Errorf("%q: %+v %v", id, reasons, err)
		}
		for what, err := range map[string]error{"cancel": c.Cancel(ctx, id, ""), "cancel again": c.Cancel(ctx, id, "")} {
			if err != nil {
				t.Errorf("%q: %s: %v", id, what, err)
			}
		}
		for _, err := range []error{c.Retry(ctx, id, ""), c.FireTimer(ctx, id, "retry"), c.Cancel(ctx, id, "")} {
			if err != nil && !(len(id) < 500 && strings.Contains(err.Error(), "run_finished")) {
				t.Errorf("%q: %v", id, err)
			}
		}
		if events, _, err := c.Events(ctx, id, 0, 100); err != nil || len(events) < 4 || events[0].WorkflowID != id {
			t.Errorf("%q: %v %v", id, events, err)
		}
		if err := c.Delete(ctx, id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	if st := s.state("witness"); st["state"] != "running" {
		t.Errorf("another run is %v", st["state"])
	}
	for _, id := range []string{strings.Repeat("x", 513), "a b", "a%2Fb", "é"} {
		s.want(400, "invalid_request", "POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":%q}`, id))
	}
}

// What is done to many runs wants to be told to which: a filter, or all=true. Nothing at all does not mean everything.
func TestManyWantAFilterOrAll(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	for i := range 3 {
		s.start("w", fmt.Sprint("r", i))
	}
	done := func(path, body string, matched, done float64) {
		t.Helper()
		if r := s.want(200, "", "POST", path, body); r.json["matched"] != matched || r.json["done"] != done {
			t.Errorf("%s %s: %s, want %v and %v", path, body, r.text, matched, done)
		}
	}
	s.want(202, "", "POST", "/v1/runs/r2/cancel", "")
	for _, path := range []string{"/v1/runs/cancel", "/v1/runs/retry"} {
		for _, query := range []string{"", "?dry_run=true", "?all=false", "?all=", "?all=1", "?all=yes", "?dry_run=", "?workflow=w&dry_run=maybe", "?workflow=", "?all=true&workflow=", "?workflow=w&state=", "?since=", "?include=signals"} {
			s.want(400, "invalid_request", "POST", path+query, "")
		}
		for _, body := range []string{"{}", `{"include":"signals"}`, `{"reason":"x"}`, `{"workflow":""}`, `{"workflow":null}`, `{"all":true,"workflow":""}`, `{"all":true,"state":null}`, `{"workflow":"w","id_prefix":""}`,
			`{"all":false}`, `{"all":null}`, `{"all":"true"}`, `{"all":1}`, `{"workflow":5}`, `{"workflow":"w","dry_run":"true"}`, `{"every":true}`} {
			s.want(400, "invalid_request", "POST", path, body)
		}
		s.want(400, "invalid_request", "POST", path+"?workflow=w", `{"workflow":"w"}`)
		s.want(400, "invalid_request", "POST", path+"?all=true", `{"all":true}`)
	}
	s.want(400, "invalid_request", "POST", "/v1/runs/cancel?all=true", fmt.Sprintf(`{"reason":%q}`, strings.Repeat("x", 1025)))
	done("/v1/runs/cancel?all=true&dry_run=true", "", 2, 0)
	done("/v1/runs/cancel", `{"workflow":"w","dry_run":true}`, 2, 0)
	done("/v1/runs/retry?workflow=w", `{"dry_run":true}`, 1, 0)
	for id, state := range map[string]string{"r0": "running", "r1": "running", "r2": "cancelled"} {
		if st := s.state(id); st["state"] != state {
			t.Errorf("run %s is %v", id, st["state"])
		}
	}
	done("/v1/runs/cancel?all=true&id_prefix=r0", "", 1, 1)
	done("/v1/runs/cancel", `{"all":true,"reason":"all of them"}`, 1, 1)
	done("/v1/runs/retry?all=true&dry_run=false", "", 3, 3)
	for _, query := range []string{"workflow=", "state=", "id_prefix=", "since=", "until="} {
		s.want(400, "invalid_request", "GET", "/v1/runs?"+query, "")
	}
}
