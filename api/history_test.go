package api_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
)

const twoWaits = `{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go"}},{"name":"b","type":"wait_signal","signal":{"name":"stay"},"dependencies":["a"]}]}`

// A run is shown as it was after any event of it; a sequence that is not the run's stands for the last one of it before.
func TestARunAsOfAnEvent(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", twoWaits)
	s.start("w", "r")
	s.start("w", "other")
	s.want(202, "", "POST", "/v1/runs/r/signals/go", `{"payload":{"x":1}}`)
	s.want(202, "", "POST", "/v1/runs/r/cancel", "")
	events := s.want(200, "", "GET", "/v1/runs/r/events?limit=1000", "").json["events"].([]any)
	seq := func(kind string) uint64 {
		for _, e := range events {
			if e := e.(map[string]any); e["kind"] == kind {
				return uint64(e["seq"].(float64))
			}
		}
		t.Fatalf("no event %s", kind)
		return 0
	}
	at := func(seq uint64) map[string]any {
		return s.want(200, "", "GET", fmt.Sprintf("/v1/runs/r?at=%d", seq), "").json
	}
	step := func(st map[string]any, name string) map[string]any {
		return st["steps"].(map[string]any)[name].(map[string]any)
	}
	first := seq("RunStarted")
	if st := at(first); st["state"] != "running" || step(st, "a")["state"] != "pending" || st["events"] != 1.0 {
		t.Errorf("after its first event: %v", st)
	}
	waits := at(seq("SignalAwaited"))
	reasons, _ := waits["reasons"].([]any)
	if len(reasons) != 1 || reasons[0].(map[string]any)["code"] != "signal" || reasons[0].(map[string]any)["command"] != nil {
		t.Errorf("reasons of then: %v", reasons)
	}
	if st := at(seq("SignalReceived") - 1); step(st, "a")["state"] != "waiting" || st["as_of"].(map[string]any)["seq"] != waits["as_of"].(map[string]any)["seq"] {
		t.Errorf("between two events: %v", st)
	}
	if st := at(seq("StepCompleted")); step(st, "a")["output"].(map[string]any)["x"] != 1.0 || step(st, "b")["state"] != "pending" {
		t.Errorf("after the signal: %v", st)
	}
	if st := at(1 << 62); st["state"] != "cancelled" {
		t.Errorf("after its end: %v", st)
	}
	path := fmt.Sprintf("/v1/runs/r?steps=none&at=%d", first)
	r := s.want(200, "", "GET", path, "")
	if len(r.json["steps"].(map[string]any)) != 0 || r.Header.Get("ETag") == "" {
		t.Errorf("%v %s", r.Header, r.text)
	}
	s.want(304, "", "GET", path, "", "If-None-Match", r.Header.Get("ETag"))
	s.want(404, "run_not_found", "GET", fmt.Sprintf("/v1/runs/other?at=%d", first), "")
	s.want(404, "run_not_found", "GET", "/v1/runs/nobody?at=5", "")
	s.want(400, "invalid_request", "GET", "/v1/runs/r?at=0", "")
}

// The timeline tells what became of each attempt: one that was lost, one that failed, one that goes on, and what waits.
func TestTheTimelineTellsOfEachAttempt(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h","retry":{"max_attempts":3,"initial_interval_ms":1}},
		{"name":"nap","type":"wait_timer","timer":{"key":"nap","delay_ms":3600000}}]}`)
	s.start("w", "r")
	gone := s.join(`"h"`, "")
	s.task(gone, 1)
	s.want(204, "", "DELETE", "/v1/workers/"+gone, "")
	w := s.join(`"h"`, "")
	if code := s.outcome(w, s.task(w, 1)["token"].(string), `"status":"failed","error":{"message":"not yet","code":"busy_now"}`); code != "recorded" {
		t.Fatal(code)
	}
	s.task(w, 2)
	spans := func(path string) (all []map[string]any) {
		for _, v := range s.want(200, "", "GET", path, "").json["attempts"].([]any) {
			all = append(all, v.(map[string]any))
		}
		return all
	}
	want := []struct {
		step, kind      string
		attempt         any
		outcome, worker any
	}{{"a", "attempt", 1.0, "lost", gone}, {"nap", "wait", nil, nil, nil}, {"a", "attempt", 2.0, "failed", w}, {"a", "attempt", 3.0, nil, w}}
	until(t, func() bool {
		all := spans("/v1/runs/r/timeline")
		return len(all) == len(want) && all[3]["started_at"] != nil
	})
	all := spans("/v1/runs/r/timeline")
	for i, is := range want {
		if a := all[i]; a["step"] != is.step || a["kind"] != is.kind || a["attempt"] != is.attempt || a["outcome"] != is.outcome || a["worker"] != is.worker {
			t.Errorf("entry %d: %v, want %v", i, a, is)
		}
	}
	if f := all[2]; f["code"] != "busy_now" || f["message"] != "not yet" || f["retry_at"] == nil {
		t.Errorf("the failed attempt: %v", f)
	}
	s.want(202, "", "POST", "/v1/runs/r/cancel", "")
	all = spans("/v1/runs/r/timeline")
	if all[1]["outcome"] != "cancelled" || all[1]["ended_at"] == nil || all[3]["outcome"] != "cancelled" || all[3]["ended_at"] != nil {
		t.Errorf("after the run was cancelled, with an attempt that a worker has: %v", all)
	}
	page := s.want(200, "", "GET", "/v1/runs/r/timeline?limit=3", "").json
	rest := spans("/v1/runs/r/timeline?cursor=" + page["next_cursor"].(string))
	if len(page["attempts"].([]any)) != 3 || len(rest) != 1 || rest[0]["seq"] != all[3]["seq"] {
		t.Errorf("page by page: %v, %v", page, rest)
	}
	s.want(400, "invalid_request", "GET", "/v1/runs/r/timeline?limit=10001", "")
	s.want(404, "run_not_found", "GET", "/v1/runs/nobody/timeline", "")
}

// The rounds of a step that repeats end when they completed, and say when the next one begins, page by page, too; as of an event the
// timeline knows of nothing that came later.
func TestTheTimelineOfRounds(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h","repeat":{"until":"round == 2","interval_ms":1,"max_rounds":9}}]}`)
	s.start("w", "r")
	w := s.join(`"h"`, "")
	for n := range 3 {
		if code := s.outcome(w, s.task(w, n+1)["token"].(string), `"status":"completed","output":1`); code != "recorded" {
			t.Fatal(code)
		}
	}
	until(t, func() bool { return s.want(200, "", "GET", "/v1/runs/r", "").json["state"] == "completed" })
	events := s.want(200, "", "GET", "/v1/runs/r/events?limit=1000", "").json["events"].([]any)
	spans := func(query string) (all []map[string]any) {
		for _, v := range s.want(200, "", "GET", "/v1/runs/r/timeline?"+query, "").json["attempts"].([]any) {
			all = append(all, v.(map[string]any))
		}
		return all
	}
	all := spans("")
	if len(all) != 3 {
		t.Fatalf("%d spans of three rounds: %v", len(all), all)
	}
	seen := map[string]int{} // how many events of a kind
	for _, v := range events {
		e := v.(map[string]any)
		kind := e["kind"].(string)
		data, _ := e["data"].(map[string]any)
		switch kind {
		case "RoundCompleted":
			if a := all[seen[kind]]; a["ended_at"] != e["at"] || a["outcome"] != "completed" {
				t.Errorf("the round that completed at %v: %v", e["at"], a)
			}
		case "ConditionEvaluated":
			if a := all[seen[kind]]; a["retry_at"] != data["due"] || (a["retry_at"] == nil) != (seen[kind] == 2) {
				t.Errorf("the next round at %v: %v", data["due"], a)
			}
		}
		seen[kind]++
		then := map[string]int{}
		for _, a := range spans(fmt.Sprintf("at=%.0f", e["seq"])) {
			for key, kind := range map[string]string{"scheduled_at": "StepScheduled", "started_at": "AttemptStarted", "ended_at": "RoundCompleted"} {
				if a[key] != nil {
					then[kind]++
				}
			}
			if a["retry_at"] != nil {
				then["due"]++
			}
		}
		for _, kind := range []string{"StepScheduled", "AttemptStarted", "RoundCompleted"} {
			if then[kind] != seen[kind] {
				t.Errorf("as of event %v, %s: the timeline tells of %d %s, and there were %d", e["n"], e["kind"], then[kind], kind, seen[kind])
			}
		}
		if due := min(seen["ConditionEvaluated"], 2); then["due"] != due {
			t.Errorf("as of event %v, %s: %d times of a next round, want %d", e["n"], e["kind"], then["due"], due)
		}
	}
	page := s.want(200, "", "GET", "/v1/runs/r/timeline?limit=1", "").json["attempts"].([]any)
	if first := page[0].(map[string]any); first["retry_at"] != all[0]["retry_at"] || first["ended_at"] != all[0]["ended_at"] {
		t.Errorf("alone on its page: %v, among all: %v", first, all[0])
	}
	first := events[0].(map[string]any)["seq"].(float64)
	s.want(404, "run_not_found", "GET", fmt.Sprintf("/v1/runs/r/timeline?at=%.0f", first-1), "")
	s.want(400, "invalid_request", "GET", "/v1/runs/r/timeline?at=0", "")
}

// A step's output comes as it was recorded, from a run that goes on, one that has ended and one that was opened again.
func TestAStepsOutputIsGivenByteForByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	s := openAt(t, path, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", twoWaits)
	s.start("w", "r")
	raw := `{ "n" : 12345678901234567890, "text":"<&>", "long":"` + strings.Repeat("x", 5000) + `" }`
	s.want(202, "", "POST", "/v1/runs/r/signals/go", `{"payload":`+raw+`}`)
	same := func(when string) {
		t.Helper()
		r := s.want(200, "", "GET", "/v1/runs/r/steps/a/output", "")
		if r.text != raw || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %.100s as %s", when, r.text, r.Header.Get("Content-Type"))
		}
	}
	same("while it goes on")
	s.want(409, "step_not_completed", "GET", "/v1/runs/r/steps/b/output", "")
	s.want(404, "step_not_found", "GET", "/v1/runs/r/steps/c/output", "")
	s.want(404, "run_not_found", "GET", "/v1/runs/nobody/steps/a/output", "")
	s.want(202, "", "POST", "/v1/runs/r/cancel", "")
	same("when it has ended")
	s.want(409, "step_not_completed", "GET", "/v1/runs/r/steps/b/output", "")
	s.close()
	s = openAt(t, path, engine.Options{})
	same("in another process")
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.StepOutput(t.Context(), "r", "a"); err != nil || string(out) != raw {
		t.Errorf("%.100s %v", out, err)
	}
	s.want(204, "", "DELETE", "/v1/runs/r", "")
	s.want(410, "run_expired", "GET", "/v1/runs/r/steps/a/output", "")
}
