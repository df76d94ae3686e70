// Package ui holds the web page: its sources, and what they were built to, in dist. The page is static files that speak to the
// public API and to nothing else. Only cmd/agnt5d imports this package, so a program that embeds the engine does not carry the
// page; with the build tag noui, neither does the daemon.
package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

// policy lets the page load its own two files and speak to its own daemon. Nothing that it shows can become a script or a style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// types are the media types of the page's files by their endings.
var types = map[string]string{"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml", "txt": "text/plain; charset=utf-8"}

// file is one that is sent as it is.
type file struct {
	plain, packed []byte
	kind, tag     string
}

// Mode is what the page offers.
type Mode string

const (
	Full     Mode = "full"
	ReadOnly Mode = "read-only" // nothing that changes anything
	File     Mode = "file"      // nor what only a daemon knows
)

// Handler serves the page: its document at /, its files below /ui/. It is nil in a program that was built without the page.
func Handler(mode Mode) http.Handler {
	if files == nil {
		return nil
	}
	all := map[string]*file{}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if path == "index.html" {
			path = ""
			body = bytes.Replace(body, []byte(`name="agnt5d-page" content="full"`), []byte(`name="agnt5d-page" content="`+mode+`"`), 1)
		}
		all["/"+path] = made(body, path)
		return nil
	})
	if err != nil {
		panic("ui: the files in the program cannot be read: " + err.Error()) // they are part of it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := all[r.URL.Path]; f != nil {
			f.serve(w, r)
			return
		}
		http.NotFound(w, r)
	})
}

func made(body []byte, path string) *file {
	sum := sha256.Sum256(body)
	f := &file{plain: body, tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	if path == "" {
		path = ".html"
	}
	f.kind = types[path[strings.LastIndexByte(path, '.')+1:]]
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	f.packed = out.Bytes()
	return f
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // kept, and asked about each time: a new daemon has a new page
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept, Accept-Encoding")
	body, tag := f.plain, f.tag
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body, tag = f.packed, "W/"+f.tag
	}
	h.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
