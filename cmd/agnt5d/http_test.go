package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// exchange sends a request with some headers, each a name and a value, and gives the answer and its body.
func exchange(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// get gives the status and the body of an answer.
func get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	resp, body := exchange(t, http.MethodGet, url, "", header...)
	return resp.StatusCode, body
}

// read gives the body alone.
func read(t *testing.T, url string) string {
	t.Helper()
	_, body := get(t, url)
	return body
}
