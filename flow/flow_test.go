package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestBuildersSayWhatTheJSONSays(t *testing.T) {
	got := Definition{Steps: []Step{
		Task("init", "svc", "h"),
		Task("work", "svc", "h2", After("init"), Input(map[string]any{"b": 1, "a": "<é>"}), Keys("user:1", "cart:2"), AttemptTimeout(time.Minute),
			HeartbeatTimeout(1500*time.Microsecond), WithRetry(Retry{MaxAttempts: 5, BackoffCoefficient: 1.5})),
		WaitSignal("ok", "approved", After("work"), Timeout(48*time.Hour, "escalate")),
		Task("escalate", "svc", "h3"),
		WaitSignal("now", "now", Timeout(0)),
		WaitTimer("nap", "nap", Delay(0), MaxRetries(0)),
		WaitTimer("night", "night", Cron("0 2 * * *"), TimeZone("Europe/Berlin"), MaxRetries(3)),
	}}
	want := `{"steps":[` +
		`{"handler_name":"h","name":"init","service_name":"svc"},` +
		`{"dependencies":["init"],"handler_name":"h2","heartbeat_timeout_ms":2,"input_data":{"a":"<\u00e9>","b":1},"name":"work","object_keys":["user:1","cart:2"],"retry":{"backoff_coefficient":1.5,"max_attempts":5},"service_name":"svc","timeout_ms":60000},` +
		`{"dependencies":["work"],"name":"ok","signal":{"name":"approved","on_timeout":"escalate","timeout_ms":172800000},"type":"wait_signal"},` +
		`{"handler_name":"h3","name":"escalate","service_name":"svc"},` +
		`{"name":"now","signal":{"name":"now","timeout_ms":0},"type":"wait_signal"},` +
		`{"name":"nap","timer":{"delay_ms":0,"key":"nap","max_retries":0},"type":"wait_timer"},` +
		`{"name":"night","timer":{"cron_expr":"0 2 * * *","key":"night","max_retries":3,"time_zone":"Europe/Berlin"},"type":"wait_timer"}]}`
	body, err := Canonical(&got)
	if err != nil || string(body) != want {
		t.Fatalf("%v\n got %s\nwant %s", err, body, want)
	}
	if p := Validate(&got); len(p) > 0 {
		t.Errorf("problems: %v", p)
	}
	if w := Warnings(&got); len(w) != 1 || w[0].Code != CodeTimeoutZero || w[0].Step != "now" {
		t.Errorf("warnings: %v", w)
	}
	read, p := Parse(body)
	again, err := Canonical(read)
	if len(p) > 0 || err != nil || string(again) != want {
		t.Errorf("round trip: %v %v\n got %s", p, err, again)
	}
	var viaJSON Definition
	if err := json.Unmarshal([]byte(`{"steps":[{"name":"a","service_name":"s","handler_name":"h"}]}`), &viaJSON); err != nil || viaJSON.Steps[0].Handler != "h" {
		t.Errorf("unmarshal: %v %+v", err, viaJSON)
	}
	if err := json.Unmarshal([]byte(`{"stepz":[]}`), &viaJSON); err == nil {
		t.Error("unmarshal took an unknown key")
	}
}

func TestAnOptionThatDoesNotFitIsFoundByName(t *testing.T) {
	d := &Definition{Steps: []Step{
		Task("a", "s", "h", Delay(time.Second)),
		WaitTimer("b", "k", Delay(time.Second), Timeout(time.Second), Keys("x")),
		Task("c", "s", "h", Input(func() {})),
		Task("d", "s", "h", AttemptTimeout(0), WithRetry(Retry{MaxAttempts: -1, BackoffCoefficient: math.Inf(1)})),
		WaitSignal("e", "x", Timeout(time.Second, "a", "b")),
	}}
	want := `step "a": timer does not belong to a task step (misplaced_key); ` +
		`step "b": object_keys does not belong to a wait_timer step (misplaced_key); ` +
		`step "b": signal does not belong to a wait_timer step (misplaced_key); ` +
		`step "c": input_data cannot be written as JSON: json: unsupported type: func() (input_data_invalid); ` +
		`step "d": timeout_ms is 0; it must be at least 1, or left out for no limit (number_out_of_range); ` +
		`step "d": retry.max_attempts is negative (number_negative); ` +
		`step "d": retry.backoff_coefficient is +Inf; it must be a number and at least 1 (number_out_of_range); ` +
		`step "e": on_timeout "a,b" names no step of this workflow (on_timeout_unknown)`
	if got := Validate(d).Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := NewGraph(d); err == nil || err.Error() != want {
		t.Errorf("NewGraph: %v", err)
	}
}

func TestADefinitionThatIsTakenCanBeReadAgain(t *testing.T) {
	deep := json.RawMessage(strings.Repeat("[", MaxNesting) + strings.Repeat("]", MaxNesting))
	for name, d := range map[string]*Definition{
		"input nested as deep as a payload may be": {Steps: []Step{Task("a", "s", "h", Input(deep))}},
		"null input":  {Steps: []Step{Task("a", "s", "h", Input(nil))}},
		"empty retry": {Steps: []Step{Task("a", "s", "h", WithRetry(Retry{}))}},
		"large input": {Steps: []Step{Task("a", "s", "h", Input(strings.Repeat("é", MaxInput/6-1)))}},
	} {
		g, err := NewGraph(d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, _ := Canonical(d)
		read, p := Parse(body)
		if len(p) > 0 {
			t.Errorf("%s: %v", name, p)
			continue
		}
		if again, err := NewGraph(read); err != nil || again.Digest != g.Digest {
			t.Errorf("%s: %v, digest %s, then %s", name, err, g.Digest, again.Digest)
		}
	}
	// What would be too large when it is read again is refused now.
	d := &Definition{}
	for i := range 33 {
		d.Steps = append(d.Steps, Task(fmt.Sprint("a", i), "s", "h", Input(strings.Repeat("é", MaxInput/6-1))))
	}
	if p := Validate(d); len(p) != 1 || p[0].Code != CodeTooLarge {
		t.Errorf("33 MiB in canonical form: %.200v", p)
	}
	d = &Definition{Steps: []Step{Task("a", "s", "h", Input(strings.Repeat("é", MaxInput/6+1)))}}
	if p := Validate(d); len(p) != 1 || p[0].Code != CodeInputInvalid {
		t.Errorf("input over 1 MiB in canonical form: %v", p)
	}
}

func TestRetryPolicy(t *testing.T) {
	for _, c := range []struct {
		json string
		want [5]time.Duration // after 1, 2, 3, 7 and 100,000 failures
	}{
		{`null`, [5]time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 60 * time.Second, 60 * time.Second}},
		{`{}`, [5]time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 60 * time.Second, 60 * time.Second}},
		{`{"initial_interval_ms":0}`, [5]time.Duration{}},
		{`{"max_interval_ms":0}`, [5]time.Duration{}},
		{`{"initial_interval_ms":100,"backoff_coefficient":1}`, [5]time.Duration{100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond}},
		{`{"initial_interval_ms":3,"backoff_coefficient":1.5,"max_interval_ms":9223372036854}`, [5]time.Duration{3 * time.Millisecond, 4 * time.Millisecond, 6 * time.Millisecond, 34 * time.Millisecond, MaxMS * time.Millisecond}},
		{`{"initial_interval_ms":90000}`, [5]time.Duration{60 * time.Second, 60 * time.Second, 60 * time.Second, 60 * time.Second, 60 * time.Second}},
	} {
		d, p := Read([]byte(`{"steps":[{"name":"a","service_name":"s","handler_name":"h","retry":` + c.json + `}]}`))
		if len(p) > 0 {
			t.Errorf("%s: %v", c.json, p)
			continue
		}
		policy := RetryPolicy(&d.Steps[0])
		for i, failures := range []int{1, 2, 3, 7, 100_000} {
			if got := policy.Backoff(failures); got != c.want[i] {
				t.Errorf("%s: after %d failures %s, want %s", c.json, failures, got, c.want[i])
			}
		}
		body, _ := Canonical(d)
		again, _ := Parse(body)
		if RetryPolicy(&again.Steps[0]).Backoff(1) != c.want[0] {
			t.Errorf("%s: another policy when read again from %s", c.json, body)
		}
	}
}

func TestNonRetryable(t *testing.T) {
	base := errors.New("no such account")
	err := fmt.Errorf("debit: %w", NonRetryable(base))
	if !IsNonRetryable(err) || !errors.Is(err, base) || err.Error() != "debit: no such account" {
		t.Errorf("%v", err)
	}
	if IsNonRetryable(base) || IsNonRetryable(nil) || NonRetryable(nil) != nil {
		t.Error("an unmarked error counts as marked")
	}
}

func TestNames(t *testing.T) {
	for s, ok := range map[string]bool{"a": true, "A-z_0.9:x": true, "...": true, ".a": true, strings.Repeat("x", 128): true, "": false, ".": false, "..": false,
		strings.Repeat("x", 129): false, "a b": false, "é": false, "a/b": false, "a#1": false, "a\x00": false, "\xff": false} {
		if err := ValidName(s); (err == nil) != ok {
			t.Errorf("name %q: %v", s, err)
		}
	}
	for s, ok := range map[string]bool{"a": true, "A-z_0.9:x": true, "run-1/step": true, "a/b#1[2]": true, "a/../b": true, "...": true, strings.Repeat("x", 512): true,
		"": false, ".": false, "..": false, strings.Repeat("x", 513): false, "a b": false, "é": false, "a%2Fb": false, "a\\b": false, "a\x00": false, "\xff": false} {
		if err := ValidRunID(s); (err == nil) != ok {
			t.Errorf("run id %q: %v", s, err)
		}
	}
	for s, ok := range map[string]bool{"user:123": true, "naïve key/π": true, "...": true, ".": false, "..": false, strings.Repeat("k", 256): true, "": false, strings.Repeat("k", 257): false,
		strings.Repeat("é", 129): false, "a\tb": false, "a\u200bb": false, "\xff": false, "\u2028": false} {
		if err := ValidObjectKey(s); (err == nil) != ok {
			t.Errorf("object key %q: %v", s, err)
		}
	}
	if err := ValidName("what is this"); err.Error() != `"what is this" holds ' '; want 1 to 128 of letters, digits, _ : . -` {
		t.Error(err)
	}
}

// A journal of before may hold definitions with names that are refused now. They are read, with their digest; to register them
// anew is refused, by name.
func TestNamesOfBeforeAreReadFromJournals(t *testing.T) {
	body := `{"steps":[{"dependencies":[],"handler_name":"..","name":".","object_keys":[".."],"service_name":"."},` +
		`{"dependencies":["."],"name":"..","signal":{"name":".","timeout_ms":1},"type":"wait_signal"},{"name":"t","timer":{"delay_ms":1,"key":".."},"type":"wait_timer"}]}`
	d, problems := Parse([]byte(body))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g, err := RecordedGraph(d, false)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := Canonical(g.Def)
	if err != nil || g.Digest != DigestOf(canonical) || g.Timers[".."] != 2 {
		t.Errorf("digest %s, timers %v, %v", g.Digest, g.Timers, err)
	}
	_, problems = Read([]byte(body))
	if len(problems) != 7 {
		t.Errorf("%d problems, want 7: %v", len(problems), problems)
	}
	for _, p := range problems {
		if p.Code != CodeNameInvalid && p.Code != CodeObjectKey || !strings.Contains(p.Detail, "a place in a path") {
			t.Errorf("%+v", p)
		}
	}
	if _, err := RecordedGraph(&Definition{Steps: []Step{Task("a b", "s", "h")}}, false); err == nil {
		t.Error("another fault passed")
	}
}
