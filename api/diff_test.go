package api_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/model"
)

// Two runs that went the same way do not differ, however their steps overlapped; of two that did not, the first thing that was not the
// same is told, and what came of it.
func TestWhereTwoRunsDiffer(t *testing.T) {
	s := open(t, engine.Options{})
	flow := func(last string) string {
		return `{"steps":[{"name":"a","service_name":"svc","handler_name":"h","retry":{"max_attempts":2,"initial_interval_ms":1}},
			{"name":"b","service_name":"svc","handler_name":"h"},
			{"name":"ok","type":"wait_signal","signal":{"name":"go"},"dependencies":["a","b"]},` + last + `]}`
	}
	s.want(201, "", "PUT", "/v1/workflows/w", flow(`{"name":"c","service_name":"svc","handler_name":"h","dependencies":["ok"]}`))
	w := s.join(`"h"`, "")
	polls := 0
	// play starts a run and answers its tasks: by what is given for their step and attempt, else with 1. Of two tasks the one of the
	// step first comes first.
	play := func(id, first, payload string, answers map[string]string) {
		t.Helper()
		s.start("w", id)
		answer := func(task map[string]any) {
			t.Helper()
			with := answers[fmt.Sprintf("%s%v", task["step"], task["attempt"])]
			if with == "" {
				with = `"status":"completed","output":1`
			}
			if code := s.outcome(w, task["token"].(string), with); code != "recorded" {
				t.Fatal(code)
			}
		}
		next := func() map[string]any { polls++; return s.task(w, polls) }
		two := []map[string]any{next(), next()}
		if two[0]["step"] != first {
			slices.Reverse(two)
		}
		answer(two[0])
		answer(two[1])
		if answers["a1"] != "" {
			answer(next())
		}
		if payload != "" {
			s.want(202, "", "POST", "/v1/runs/"+id+"/signals/go", `{"payload":`+payload+`}`)
			answer(next())
		}
	}
	play("one", "a", `"yes"`, nil)
	play("same", "b", `"yes"`, nil)
	play("retried", "a", `"yes"`, map[string]string{"a1": `"status":"failed","error":{"message":"not yet","code":"busy_now"}`})
	play("other_signal", "a", `"no"`, nil)
	play("failed", "a", `"yes"`, map[string]string{"c1": `"status":"failed","error":{"message":"no","code":"gone","retryable":false}`})
	play("waits", "a", "", nil)
	s.want(201, "", "PUT", "/v1/workflows/w", flow(`{"name":"d","service_name":"svc","handler_name":"h","dependencies":["ok"]}`))
	play("newer", "a", `"yes"`, nil)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	diff := func(b string) *model.Diff {
		t.Helper()
		d, err := c.Diff(t.Context(), "one", b, false)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	step := func(d *model.Diff, name string) model.DiffStep {
		for _, st := range d.Steps {
			if st.Step == name {
				return st
			}
		}
		return model.DiffStep{}
	}
	if d := diff("same"); d.Divergence != nil || len(d.Steps) != 0 || len(d.Differs) != 0 || !d.Definition.Same || d.A.Attempts != 3 {
		t.Errorf("same: %+v %+v", d, d.Divergence)
	}
	if d, err := c.Diff(t.Context(), "one", "same", true); err != nil || len(d.Steps) != 4 {
		t.Errorf("all steps: %+v %v", d, err)
	}
	d := diff("retried")
	if v := d.Divergence; v == nil || v.Step != "a" || v.A.Kind != "StepCompleted" || v.B.Kind != "AttemptFailed" || v.B.Code != "busy_now" || len(d.Differs) != 0 {
		t.Errorf("retried: %+v %v", v, d.Differs)
	}
	if a := step(d, "a"); !slices.Equal(a.Differs, []string{"attempts", "error"}) || a.A.Attempts != 1 || a.B.Attempts != 2 || len(d.Steps) != 1 {
		t.Errorf("retried: %+v", d.Steps)
	}
	d = diff("other_signal")
	if v := d.Divergence; v == nil || v.Signal != "go" || v.A.Kind != "SignalReceived" || !slices.Equal(step(d, "ok").Differs, []string{"output"}) || len(d.Steps) != 1 {
		t.Errorf("other_signal: %+v %+v", v, d.Steps)
	}
	d = diff("failed")
	if v := d.Divergence; v == nil || v.Step != "c" || v.B.Code != "gone" || !slices.Equal(d.Differs, []string{"state", "error"}) || d.B.Error.Code != "gone" {
		t.Errorf("failed: %+v %v", v, d.Differs)
	}
	d = diff("waits")
	if v := d.Divergence; v == nil || v.Signal != "go" || v.B != nil || d.B.CompletedAt != "" || !slices.Equal(step(d, "ok").Differs, []string{"state"}) {
		t.Errorf("waits: %+v %+v", v, d.Steps)
	}
	d = diff("newer")
	if def := d.Definition; def.Same || !slices.Equal(def.OnlyA, []string{"c"}) || !slices.Equal(def.OnlyB, []string{"d"}) || len(def.Changed) != 0 ||
		!slices.Equal(d.Differs, []string{"definition"}) || step(d, "d").A != nil || step(d, "c").B != nil || d.Divergence == nil {
		t.Errorf("newer: %+v %v", d, d.Divergence)
	}
	s.want(400, "invalid_request", "GET", "/v1/diff?a=one", "")
	s.want(400, "invalid_request", "GET", "/v1/diff?a=one&b=..", "")
	s.want(404, "run_not_found", "GET", "/v1/diff?a=one&b=nobody", "")
}
