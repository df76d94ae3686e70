package etl

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

//go:embed data/sources
var data embed.FS

// Unpack puts the sources into dir/sources, for the handlers to read and for a person to look at.
func Unpack(dir string) error {
	sources, err := fs.Sub(data, "data/sources")
	if err != nil {
		return err
	}
	return fs.WalkDir(sources, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, "sources", filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := fs.ReadFile(sources, path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
}

const pageRows = 100

// page is what the API answers. Next is 0 on the last page.
type page struct {
	Observations []observation `json:"observations"`
	Pages        int           `json:"pages"`
	Next         int           `json:"next"`
}

// API serves sources/api/observations.jsonl of dir in pages of JSON: GET /observations?page=N, N from 1.
func API(dir string) (http.Handler, error) {
	b, err := os.ReadFile(filepath.Join(dir, "sources", "api", "observations.jsonl"))
	if err != nil {
		return nil, err
	}
	var all []observation
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		var o observation
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("observations.jsonl: line %d: %w", len(all)+1, err)
		}
		all = append(all, o)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	pages := (len(all) + pageRows - 1) / pageRows
	mux := http.NewServeMux()
	mux.HandleFunc("GET /observations", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil || n < 1 || n > pages {
			http.Error(w, fmt.Sprintf("page: want 1 to %d", pages), http.StatusBadRequest)
			return
		}
		answer := page{Observations: all[(n-1)*pageRows : min(n*pageRows, len(all))], Pages: pages}
		if n < pages {
			answer.Next = n + 1
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // the client went away
	})
	return mux, nil
}

// ServeAPI serves API on a free loopback port until stop is called.
func ServeAPI(dir string) (url string, stop func() error, err error) {
	h, err := API(dir)
	if err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(l) }() // ends with Close
	return "http://" + l.Addr().String(), srv.Close, nil
}
