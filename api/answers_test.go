package api_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
)

// A client that has the run waits for its next change, not for its end.
func TestAWaitWithAnETagEndsAtTheNextChange(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}},{"name":"b","type":"wait_signal","signal":{"name":"stay"}}]}`)
	s.start("w", "r")
	tag := s.want(200, "", "GET", "/v1/runs/r", "").Header.Get("ETag")
	if r := s.want(304, "", "GET", "/v1/runs/r", "", "If-None-Match", tag, "Prefer", "wait=1"); r.Header.Get("Preference-Applied") != "wait=1" || r.Header.Get("ETag") != tag {
		t.Errorf("got %v", r.Header)
	}
	s.want(200, "", "GET", "/v1/runs/r", "", "If-None-Match", `"1"`, "Prefer", "wait=300") // it has changed since
	changed := make(chan *reply, 1)
	go func() {
		changed <- s.send("GET", "/v1/runs/r?steps=none", "", "If-None-Match", "W/"+tag, "Prefer", "wait=300")
	}()
	s.want(202, "", "POST", "/v1/runs/r/signals/go", "")
	select {
	case r := <-changed:
		if r.StatusCode != 200 || r.json["state"] != "running" || r.Header.Get("ETag") == tag {
			t.Errorf("%d %s", r.StatusCode, r.text)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a change did not end the wait")
	}
	s.want(202, "", "POST", "/v1/runs/r/cancel", "")
	tag = s.want(200, "", "GET", "/v1/runs/r", "").Header.Get("ETag")
	s.want(304, "", "GET", "/v1/runs/r", "", "If-None-Match", tag, "Prefer", "wait=300") // nothing changes any more
	s.want(404, "run_not_found", "GET", "/v1/runs/nope", "", "If-None-Match", tag, "Prefer", "wait=300")
}

// Large answers are compressed for those who take it; small ones, streams and what workers get are not.
func TestLargeAnswersAreCompressed(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	big := `"` + strings.Repeat("x", 20_000) + `"`
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r","input_data":`+big+`}`)
	ask := func(path, accept string) *http.Response {
		req, _ := http.NewRequest("GET", s.url+path, nil)
		req.Header.Set("Accept-Encoding", accept)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	r := ask("/v1/runs/r", "br, gzip;q=0.5")
	z, err := gzip.NewReader(r.Body)
	if err != nil || r.Header.Get("Content-Encoding") != "gzip" || r.ContentLength > 1000 || r.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("%v %d %v", r.Header, r.ContentLength, err)
	}
	if text, err := io.ReadAll(z); err != nil || !strings.Contains(string(text), big) {
		t.Errorf("%.100s %v", text, err)
	}
	tag := r.Header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Errorf("two forms of one run have the same strong tag %s", tag)
	}
	s.want(304, "", "GET", "/v1/runs/r", "", "If-None-Match", tag)
	for path, accept := range map[string]string{"/v1/runs/r": "gzip;q=0", "/v1/runs/r?steps=all": "br", "/healthz": "gzip"} {
		if r := ask(path, accept); r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s for %q is compressed", path, accept)
		}
	}
	if e := s.stream("/v1/events", "Accept-Encoding", "gzip"); e.resp.Header.Get("Content-Encoding") != "" || e.next() == nil {
		t.Error("an event stream is compressed")
	}
	var encoding string // as the client's own transport asks for it
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.srv.Config.Handler.ServeHTTP(w, r)
		encoding = w.Header().Get("Content-Encoding")
	}))
	defer front.Close()
	c, err := client.New(front.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := c.Status(t.Context(), "r", "all"); err != nil || string(st.Input) != big {
		t.Error(err)
	}
	if front.Close(); encoding != "gzip" {
		t.Errorf("the client was sent %q", encoding)
	}
}
