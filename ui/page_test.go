//go:build !noui

package ui

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The page stays small: 60 KB of script and 8 KB of style as they are sent.
func TestThePageStaysSmall(t *testing.T) {
	h := Handler(Full)
	for path, most := range map[string]int{"/ui/app.js": 60 << 10, "/ui/app.css": 8 << 10} {
		w := get(t, h, path, "Accept-Encoding", "gzip")
		if n := w.Body.Len(); w.Header().Get("Content-Encoding") != "gzip" || n == 0 || n > most {
			t.Errorf("%s: %d bytes of gzip, want at most %d", path, n, most)
		}
	}
}

func TestEveryFileComesWithThePolicy(t *testing.T) {
	h := Handler(Full)
	for path, kind := range map[string]string{"/": "text/html; charset=utf-8", "/ui/app.js": "text/javascript; charset=utf-8", "/ui/app.css": "text/css; charset=utf-8", "/ui/app.svg": "image/svg+xml"} {
		w := get(t, h, path)
		if w.Code != 200 || w.Header().Get("Content-Type") != kind || w.Header().Get("Content-Security-Policy") != policy || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		if again := get(t, h, path, "If-None-Match", w.Header().Get("ETag")); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("%s with its ETag: %d", path, again.Code)
		}
		packed := get(t, h, path, "Accept-Encoding", "gzip")
		if again := get(t, h, path, "Accept-Encoding", "gzip", "If-None-Match", packed.Header().Get("ETag")); again.Code != 304 {
			t.Errorf("%s with the ETag of its gzip: %d", path, again.Code)
		}
	}
	for _, path := range []string{"/ui/", "/ui/none.js", "/ui/../page.go", "/index.html"} {
		if w := get(t, h, path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// Without JavaScript the document says in a sentence what to do; with --ui-read-only it says so to the script.
func TestTheDocument(t *testing.T) {
	full, readOnly := get(t, Handler(Full), "/").Body.String(), get(t, Handler(ReadOnly), "/").Body.String()
	if !strings.Contains(full, "<noscript>") || !strings.Contains(full, "agnt5d explain RUN") {
		t.Error("no word for a browser without JavaScript")
	}
	if !strings.Contains(full, `name="agnt5d-page" content="full"`) || !strings.Contains(readOnly, `name="agnt5d-page" content="read-only"`) {
		t.Error("the document does not say whether it may change anything")
	}
	if regexp.MustCompile(`<script>|<style>| on[a-z]+=| style=`).MatchString(full) {
		t.Error("the document has a script or a style in it, which the policy refuses")
	}
}

// Nothing is loaded from anywhere else, and no text becomes markup.
func TestTheBuildNamesNoOtherHost(t *testing.T) {
	for _, name := range []string{"index.html", "ui/app.js", "ui/app.css"} {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, url := range regexp.MustCompile(`https?://[a-zA-Z0-9.:-]+`).FindAllString(string(b), -1) {
			if url != "http://www.w3.org" && url != "http://127.0.0.1:8080" && url != "http://localhost:8080" { // of SVG, and of command lines
				t.Errorf("%s names %s", name, url)
			}
		}
	}
}
