package api_test

import (
	"fmt"
	"testing"

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
