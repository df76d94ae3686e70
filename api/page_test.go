package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// Browsers get the page at /, everybody else the few words that were there before it.
func TestThePageIsForBrowsers(t *testing.T) {
	eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "page "+r.URL.Path) })
	with, without := New(eng, Options{Page: page}), New(eng, Options{})
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for _, c := range []struct {
		s                          *Server
		method, path, host, accept string
		site                       string
		status                     int
		want                       string
	}{
		{with, "GET", "/", "127.0.0.1", browser, "none", 200, "page /"},
		{with, "HEAD", "/", "127.0.0.1", browser, "none", 200, "page /"},
		{with, "GET", "/", "127.0.0.1", "*/*", "", 200, "GET /openapi.json"},
		{with, "GET", "/", "127.0.0.1", "", "", 200, "GET /openapi.json"},
		{with, "GET", "/ui/app.js", "127.0.0.1", "*/*", "same-origin", 200, "page /ui/app.js"},
		{with, "GET", "/", "127.0.0.1", browser, "cross-site", 200, "page /"}, // a link in a chat
		{with, "GET", "/", "evil.example", browser, "none", 421, "host_refused"},
		{with, "GET", "/ui/app.js", "evil.example", "*/*", "", 421, "host_refused"},
		{with, "GET", "/v1/runs", "127.0.0.1", browser, "cross-site", 403, "origin_refused"},
		{with, "POST", "/", "127.0.0.1", browser, "", 405, "method_not_allowed"},
		{with, "POST", "/ui/app.js", "127.0.0.1", browser, "", 404, "not_found"},
		{without, "GET", "/", "127.0.0.1", browser, "none", 200, "GET /openapi.json"},
		{without, "GET", "/ui/app.js", "127.0.0.1", browser, "none", 404, "not_found"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = c.host
		for name, value := range map[string]string{"Accept": c.accept, "Sec-Fetch-Site": c.site} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		c.s.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s of %s, Accept %q, from %q: %d %s; want %d %s", c.method, c.path, c.host, c.accept, c.site, w.Code, w.Body, c.status, c.want)
		}
	}
}
