package api_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
)

// Each row of a list says, when asked, which step failed or blocks its run and why: of a run in memory and of one that is put away.
func TestAListTellsTheReasonOfEachRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	s := openAt(t, path, engine.Options{MaxLive: 1})
	s.want(201, "", "PUT", "/v1/workflows/task", oneTask)
	s.want(201, "", "PUT", "/v1/workflows/wait", `{"steps":[{"name":"nap","type":"wait_timer","timer":{"key":"nap","delay_ms":3600000}},{"name":"ok","type":"wait_signal","signal":{"name":"go"}}]}`)
	s.want(201, "", "PUT", "/v1/workflows/key", `{"steps":[{"name":"k","service_name":"svc","handler_name":"nobody","object_keys":["one"]}]}`)
	for i := range 30 { // with so many sleepers most are put away
		s.start("wait", fmt.Sprint("asleep", i))
	}
	s.start("task", "failed")
	w := s.join(`"h"`, "")
	s.outcome(w, s.task(w, 1)["token"].(string), `"status":"failed","error":{"message":"no such customer","code":"gone","retryable":false}`)
	s.start("key", "no_worker")
	s.start("key", "key_held")
	s.start("task", "ended")
	s.outcome(w, s.task(w, 2)["token"].(string), `"status":"completed","output":1`)
	s.start("task", "running")
	s.task(w, 3)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]string{"failed": {"a", "gone"}, "no_worker": {"k", "no_worker"}, "key_held": {"k", "key_held"}, "running": {"a", "running"}, "ended": {}}
	steps := map[string]string{"failed": "map[]", "ended": "map[]", "no_worker": "map[scheduled:1]", "key_held": "map[blocked:1]", "running": "map[running:1]"}
	for i := range 30 {
		steps[fmt.Sprint("asleep", i)] = "map[waiting:2]"
		want[fmt.Sprint("asleep", i)] = [2]string{"ok", "signal"}
	}
	look := func(when string) {
		t.Helper()
		runs, _, err := c.List(t.Context(), client.Filter{Reasons: true}, 1000, "")
		if err != nil || len(runs) != len(want) {
			t.Fatalf("%s: %d runs, %v", when, len(runs), err)
		}
		for _, r := range runs {
			got := [2]string{}
			if r.Reason != nil {
				got = [2]string{r.Reason.Step, r.Reason.Code}
			}
			if got != want[r.WorkflowID] {
				t.Errorf("%s: run %s: %+v, want %v", when, r.WorkflowID, r.Reason, want[r.WorkflowID])
			}
			if counts := fmt.Sprint(r.StepCounts); counts != steps[r.WorkflowID] {
				t.Errorf("%s: run %s has steps %s, want %s", when, r.WorkflowID, counts, steps[r.WorkflowID])
			}
			if r.WorkflowID == "failed" && r.Reason.Detail != "no such customer" {
				t.Errorf("%s: %+v", when, r.Reason)
			}
		}
	}
	look("as it runs")
	s.close()
	s = openAt(t, path, engine.Options{MaxLive: 1})
	if c, err = client.New(s.url, client.Options{}); err != nil {
		t.Fatal(err)
	}
	if st, err := s.eng.Stats(); err != nil || st.Parked < 20 {
		t.Fatalf("%d runs are put away, %v", st.Parked, err)
	}
	look("opened again")
	if runs, _, err := c.List(t.Context(), client.Filter{}, 10, ""); err != nil || runs[0].Reason != nil {
		t.Errorf("nobody asked for a reason: %+v, %v", runs[0], err)
	}
	s.want(200, "", "GET", "/v1/runs?stuck_for=1h&include=signals,reason", "")
	s.want(200, "", "GET", "/v1/runs?include=reason,reason", "")
	for _, bad := range []string{"signals", "reasons", "reason,", "signals,reason"} {
		s.want(400, "invalid_request", "GET", "/v1/runs?include="+bad, "")
	}
	s.want(400, "invalid_request", "POST", "/v1/runs/cancel?include=reason&workflow=task", "")
	s.want(400, "invalid_request", "POST", "/v1/runs/cancel", `{"workflow":"task","include":"reason"}`)
}

// TestRowsOfCancelledRunsSayWhy cancels a run by itself, one with others and one without a word, and opens one again.
func TestRowsOfCancelledRunsSayWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := openAt(t, path, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/wait", `{"steps":[{"name":"ok","type":"wait_signal","signal":{"name":"go"}}]}`)
	long := strings.Repeat("é", 200)
	for id, body := range map[string]string{"twice": `{"reason":"ordered twice\nby ada"}`, "long": `{"reason":"` + long + `"}`, "silent": `{}`, "again": `{"reason":"by mistake"}`} {
		s.start("wait", id)
		s.want(202, "", "POST", "/v1/runs/"+id+"/cancel", body)
	}
	s.want(202, "", "POST", "/v1/runs/again/retry", "")
	s.start("wait", "many")
	s.want(200, "", "POST", "/v1/runs/cancel", `{"id_prefix":"many","reason":"all of them"}`)
	want := map[string]string{"twice": "ordered twice\nby ada", "long": long[:300], "silent": "", "again": "", "many": "all of them"}
	for _, when := range []string{"as it runs", "opened again"} {
		c, err := client.New(s.url, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		runs, _, err := c.List(t.Context(), client.Filter{}, 0, "")
		if err != nil || len(runs) != len(want) {
			t.Fatalf("%s: %+v, %v", when, runs, err)
		}
		for _, r := range runs {
			if r.CancelReason != want[r.WorkflowID] || r.Error != "" || r.ErrorMessage != "" {
				t.Errorf("%s: %s is %s: %q, %q, %q", when, r.WorkflowID, r.State, r.CancelReason, r.Error, r.ErrorMessage)
			}
		}
		s.close()
		s = openAt(t, path, engine.Options{})
	}
}
