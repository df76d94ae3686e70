package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// The Allow header of a 405 names the very methods that the path knows: each of them is no 405, and HEAD goes with GET. That of the
// bulk routes has the methods of a run, too, for a run may be called "cancel".
func TestAllowNamesWhatAPathKnows(t *testing.T) {
	s := open(t, engine.Options{})
	paths := map[string]bool{}
	for p := range s.want(200, "", "GET", "/openapi.json", "").json["paths"].(map[string]any) {
		paths[strings.NewReplacer("{", "", "}", "").Replace(p)] = true
	}
	if len(paths) < 25 {
		t.Fatalf("%d paths", len(paths))
	}
	for path := range paths {
		r := s.want(405, "method_not_allowed", "PROPFIND", path, "")
		allow := strings.Split(r.Header.Get("Allow"), ", ")
		if slices.Contains(allow, "GET") != slices.Contains(allow, "HEAD") {
			t.Errorf("%s: Allow %q", path, allow)
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			if method == "GET" && strings.Contains(path, "events") || path == "/v1/journal" {
				continue // streams
			}
			req, err := http.NewRequest(method, s.url+path, strings.NewReader("no JSON"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if known := resp.StatusCode != http.StatusMethodNotAllowed; known != slices.Contains(allow, method) {
				t.Errorf("%s %s: %d, and Allow is %q", method, path, resp.StatusCode, allow)
			}
		}
	}
	for path, want := range map[string]string{"/v1/runs": "GET, HEAD", "/v1/runs/cancel": "GET, HEAD, POST, PATCH, DELETE", "/v1/runs/retry": "GET, HEAD, POST, PATCH, DELETE", "/v1/runs/delete": "GET, HEAD, POST, PATCH, DELETE"} {
		if r := s.want(405, "method_not_allowed", "PROPFIND", path, ""); r.Header.Get("Allow") != want {
			t.Errorf("%s: Allow %q, want %q", path, r.Header.Get("Allow"), want)
		}
	}
}

// A signal whose name no step waits for is recorded, and the answer says that it will never be taken.
func TestASignalThatNothingWaitsForHasAHint(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"s","type":"wait_signal","signal":{"name":"reviewed"}},{"name":"t","type":"wait_signal","signal":{"name":"paid"},"dependencies":["s"]}]}`)
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r"}`)
	for _, c := range []struct{ name, by, hint string }{
		{"revieved", "", "no step of its workflow waits for that name, so it will never be taken; it waits for: reviewed, paid"},
		{"paid", "", ""},
		{"reviewed", "s", ""},
	} {
		r := s.want(202, "", "POST", "/v1/runs/r/signals/"+c.name, `{}`)
		by, _ := r.json["consumed_by"].(string)
		if hint, _ := r.json["hint"].(string); by != c.by || hint != c.hint {
			t.Errorf("%s: %s", c.name, r.text)
		}
	}
}
