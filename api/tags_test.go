package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// Tags come with a start, by itself or in a batch, are changed by PATCH, and pick runs in lists and in what is done to many.
func TestTags(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"s","type":"wait_signal","signal":{"name":"go"}}]}`)
	if r := s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"a","tags":{"team":"data","env":"prod"}}`); fmt.Sprint(r.json["tags"]) != "map[env:prod team:data]" {
		t.Errorf("%s", r.text)
	}
	long, many := strings.Repeat("x", 257), `"t0":""`
	for i := 1; i < 17; i++ {
		many += fmt.Sprintf(`,"t%d":""`, i)
	}
	for bad, says := range map[string]string{`{"a:b":"x"}`: "letters, digits, _ . -", `{"":"x"}`: "empty", `{"..":"x"}`: "a place in a path", `{"a":"` + long + `"}`: "257 bytes", `{"a":"\u0007"}`: "does not print",
		`{` + many + `}`: "17 tags, a run has at most 16", `{"a":1}`: "tags", `["a"]`: "tags"} {
		if r := s.want(400, "invalid_request", "POST", "/v1/workflows/w/runs", `{"tags":`+bad+`}`); !strings.Contains(r.text, says) {
			t.Errorf("%s: %s, want %s", bad, r.text, says)
		}
		s.want(400, "invalid_request", "PATCH", "/v1/runs/a", `{"tags":`+bad+`}`)
	}
	r := s.want(200, "", "POST", "/v1/runs/batch", `{"runs":[{"workflow_name":"w","workflow_id":"b","tags":{"team":"data"}},{"workflow_name":"w","tags":{"a b":"c"}}]}`)
	if !strings.Contains(r.text, `"code":"invalid_request"`) {
		t.Errorf("%s", r.text)
	}
	if r := s.want(200, "", "PATCH", "/v1/runs/b", `{"tags":{"team":null,"env":"prod"}}`); fmt.Sprint(r.json["tags"]) != "map[env:prod]" {
		t.Errorf("%s", r.text)
	}
	if r := s.want(200, "", "PATCH", "/v1/runs/b", `{"tags":{"env":null}}`); fmt.Sprint(r.json["tags"]) != "map[]" {
		t.Errorf("%s", r.text)
	}
	s.want(200, "", "PATCH", "/v1/runs/b", `{"tags":{"env":"prod"}}`)
	s.want(400, "invalid_request", "PATCH", "/v1/runs/b", `{"tags":{}}`)
	s.want(404, "run_not_found", "PATCH", "/v1/runs/c", `{"tags":{"a":"b"}}`)
	for query, want := range map[string]string{"tag=team:data": "a", "tag=env:prod": "b a", "tag=env:prod&tag=team:data": "a", "tag=env:prod&sort=end": "", "tag=env:": ""} {
		if got := s.ids(t, "/v1/runs?"+query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, bad := range []string{"tag=", "tag=team", "tag=:x", "tag=a:b&tag="} {
		s.want(400, "invalid_request", "GET", "/v1/runs?"+bad, "")
	}
	for _, body := range []string{`{"tag":"env:prod"}`, `{"tag":["env:prod","team:data"]}`} {
		want := map[bool]float64{true: 1, false: 2}[strings.Contains(body, "[")]
		if r := s.want(200, "", "POST", "/v1/runs/cancel?dry_run=true", body); r.json["matched"] != want {
			t.Errorf("%s: %s", body, r.text)
		}
	}
	for _, bad := range []string{`{"tag":""}`, `{"tag":[]}`, `{"tag":["a:b",""]}`, `{"tag":null}`, `{"tag":1}`} {
		s.want(400, "invalid_request", "POST", "/v1/runs/cancel", bad)
	}
}

// ids gives the ids of a list of runs.
func (s *site) ids(t *testing.T, path string) string {
	t.Helper()
	var all []string
	for _, run := range s.want(200, "", "GET", path, "").json["runs"].([]any) {
		all = append(all, run.(map[string]any)["workflow_id"].(string))
	}
	return strings.Join(all, " ")
}
