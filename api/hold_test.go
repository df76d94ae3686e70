package api_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// The hold of a careful engine: what is said of it, that its end stands in the journal with the name of who asked and why, and that it is
// asked for as it should be.
func TestTheHoldIsEndedByName(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "runs.db"), engine.Options{Careful: true})
	root := s.token("", "root", "admin", "")
	reader, person := s.token(root, "reader", "read", ""), s.token(root, "ada", "operate", "")
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h"}]}`, as(root)...)
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r1"}`, as(person)...)
	if h := s.want(200, "", "GET", "/v1/hold", "", as(reader)...).json; h["held"] != true || h["runs"] != 1.0 || h["resuming"] != false || h["since"] == nil {
		t.Errorf("the hold is %v", h)
	}
	if r := s.want(200, "", "GET", "/readyz", ""); !strings.Contains(r.text, `"code":"held"`) || !strings.Contains(r.text, "agnt5d resume --all") {
		t.Errorf("/readyz says %s", r.text)
	}
	for body, code := range map[string]string{`{"per_second":-1}`: "invalid_request", `{"per_second":1000001}`: "invalid_request", `{"persecond":1}`: "invalid_request",
		`{"reason":"` + strings.Repeat("x", 1025) + `"}`: "invalid_request"} {
		s.want(400, code, "POST", "/v1/hold/resume", body, as(person)...)
	}
	s.want(403, "forbidden", "POST", "/v1/hold/resume", "", as(reader)...)
	s.want(202, "", "POST", "/v1/hold/resume", `{"per_second":1000,"reason":"all is well"}`, as(person)...)
	for s.want(200, "", "GET", "/v1/hold", "", as(reader)...).json["held"] == true {
		if t.Context().Err() != nil {
			t.Fatal("it is held still")
		}
	}
	events := s.want(200, "", "GET", "/v1/events?limit=1000", "", as(root)...).text
	if !strings.Contains(events, "every run is resumed, 1000 a second: all is well") || !strings.Contains(events, `"by":"ada"`) {
		t.Errorf("the journal does not say who ended the hold: %s", events)
	}
	if h := s.want(202, "", "POST", "/v1/hold/resume", "", as(person)...).json; h["held"] != false || h["resumed"] != 1.0 {
		t.Errorf("without a hold: %v", h)
	}
}
