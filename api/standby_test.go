package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/api"
)

// A node that waits tells who asks where the active one is, and nothing to a page of another site.
func TestANodeThatWaits(t *testing.T) {
	h := api.NewStandby("10.0.0.2:8080", []string{"two.example"})
	h.Tell("another node has the journal", "http://10.0.0.1:8080")
	for _, c := range []struct {
		path, host, origin string
		status             int
		says, active       string
	}{
		{"/healthz", "two.example", "", 200, `{"status":"ok"}`, "http://10.0.0.1:8080"},
		{"/readyz", "10.0.0.2:8080", "", 503, `"code":"standby"`, "http://10.0.0.1:8080"},
		{"/v1/runs", "10.0.0.2:8080", "", 503, `"code":"standby"`, "http://10.0.0.1:8080"},
		{"/", "10.0.0.2:8080", "", 503, `"detail":"another node has the journal"`, "http://10.0.0.1:8080"},
		{"/v1/runs", "evil.example", "", 421, "host_refused", ""},
		{"/v1/runs", "10.0.0.2:8080", "http://evil.example", 403, "origin_refused", ""},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || w.Header().Get(api.ActiveHeader) != c.active || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%+v: %d %v %s", c, w.Code, w.Header(), w.Body)
		}
	}
}
