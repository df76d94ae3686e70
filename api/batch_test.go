package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
)

// Many runs start with one request; each has its own answer, and the same request again starts nothing twice.
func TestManyRunsStartAtOnce(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}}]}`)
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"there","input_data":"other"}`)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	starts := []client.BatchStart{
		{Workflow: "w", ID: "one"}, {Workflow: "w", ID: "two", Input: 2, Signal: &client.StartSignal{Name: "go", ID: "s", Payload: "now"}},
		{Workflow: "nothing", ID: "three"}, {Workflow: "w", ID: "there"}, {Workflow: "w", ID: "a b"}, {Workflow: "w", Version: 1},
	}
	for try := range 2 {
		got, err := c.StartMany(t.Context(), starts)
		if err != nil || len(got) != len(starts) {
			t.Fatal(got, err)
		}
		for i, want := range []string{"", "", "workflow_not_found", "run_conflict", "invalid_request", ""} {
			code := ""
			if got[i].Error != nil {
				code = got[i].Error.Code
			}
			if code != want || got[i].Created != (want == "" && (try == 0 || i == 5)) {
				t.Errorf("%d, %d: %+v %v", try, i, got[i], got[i].Error)
			}
		}
	}
	if st := s.want(200, "", "GET", "/v1/runs/two", ""); st.json["state"] != "completed" || fmt.Sprint(st.json["output"]) != `map[a:now]` {
		t.Errorf("%s", st.text)
	}
	// As many as there may be begin in the order of the request.
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf(`{"workflow_name":"w","workflow_id":"n%d"}`, i))
	}
	s.want(200, "", "POST", "/v1/runs/batch", `{"runs":[`+strings.Join(all, ",")+`]}`)
	text := s.want(200, "", "GET", "/v1/runs?id_prefix=n&limit=1000", "").text
	if last, first := strings.Index(text, `"n999"`), strings.Index(text, `"n0"`); last < 0 || first < last {
		t.Errorf("the newest is not the last of the request: %d, %d", last, first)
	}
	s.want(400, "invalid_request", "POST", "/v1/runs/batch", `{"runs":[`+strings.Join(append(all, all[0]), ",")+`]}`)
	s.want(400, "invalid_request", "POST", "/v1/runs/batch", `{"runs":[]}`)
	s.want(400, "invalid_request", "POST", "/v1/runs/batch", `{}`)
}

func TestAStartWithASignalOverHTTP(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}}]}`)
	start := `{"workflow_id":"r","signal":{"name":"go","signal_id":"s1","payload":{"x": 1}}}`
	if st := s.want(201, "", "POST", "/v1/workflows/w/runs", start); st.json["state"] != "completed" {
		t.Errorf("%s", st.text)
	}
	s.want(200, "", "POST", "/v1/workflows/w/runs", start)
	s.want(409, "run_finished", "POST", "/v1/workflows/w/runs", strings.Replace(start, "s1", "s2", 1))
	s.want(409, "signal_conflict", "POST", "/v1/workflows/w/runs", strings.Replace(start, "go", "come", 1))
	s.want(400, "invalid_request", "POST", "/v1/workflows/w/runs", `{"signal":{"name":""}}`)
	s.want(400, "invalid_request", "POST", "/v1/workflows/w/runs", `{"signal":{"nam":"go"}}`)
}

// A run that starts later is there at once; it says until when its first steps wait.
func TestARunStartsLater(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"timeout_ms":60000,"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}}]}`)
	for i, later := range []string{`"delay":"1h"`, `"delay_ms":3600000`, `"start_at":"2999-01-01T00:00:00+01:00"`} {
		st := s.want(201, "", "POST", "/v1/workflows/w/runs", fmt.Sprintf(`{"workflow_id":"r%d",%s}`, i, later))
		if at, ok := st.json["start_at"].(string); !ok || i == 2 && at != "2998-12-31T23:00:00.000Z" || !strings.Contains(st.text, `"a":{"state":"pending"`) || !strings.Contains(st.text, "its first steps wait until") {
			t.Errorf("%s: %s", later, st.text)
		}
	}
	now := s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"now","start_at":"2020-01-01T00:00:00Z"}`)
	if now.json["start_at"] != nil || now.json["deadline"] == nil || !strings.Contains(now.text, `"a":{"state":"waiting"`) {
		t.Errorf("a time that has passed: %s", now.text)
	}
	for _, bad := range []string{`"delay":"soon"`, `"delay":"1h","delay_ms":1`, `"delay_ms":-1`, `"delay_ms":9223372036855`, `"start_at":"tomorrow"`, `"start_at":"2999-01-01T00:00:00Z","delay":"1h"`} {
		s.want(400, "invalid_request", "POST", "/v1/workflows/w/runs", "{"+bad+"}")
	}
	many := s.want(200, "", "POST", "/v1/runs/batch", `{"runs":[{"workflow_name":"w","workflow_id":"m","delay":"1d"},{"workflow_name":"w","delay":"soon"}]}`)
	if !strings.Contains(many.text, `"invalid_request"`) || !strings.Contains(s.want(200, "", "GET", "/v1/runs/m", "").text, `"start_at"`) {
		t.Error(many.text)
	}
}
