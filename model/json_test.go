package model

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMarshalKeepsPayloadsByteForByte(t *testing.T) {
	raw := `{ "a" : 12345678901234567890, "a": "<é>" }`
	s := &Status{WorkflowID: "r", State: "running", Input: json.RawMessage(raw), Steps: map[string]StepStatus{"b": {State: "x<y"}, "a": {Output: json.RawMessage(" 1 ")}}}
	got, err := Marshal(struct {
		*Status
		More map[string]any `json:"more"`
	}{s, map[string]any{"n": 1.5, "list": []int{1, 2}, "none": nil, "quote": "\"\n"}})
	if err != nil {
		t.Fatal(err)
	}
	var e Event
	wire := `{"seq":7,"at":"t","kind":"RunStarted","data":{"input":{ "a" : 1 },"version":18446744073709551615}}`
	if err := json.Unmarshal([]byte(wire), &e); err != nil {
		t.Fatal(err)
	}
	if again, err := Marshal(&e); err != nil || string(again) != wire {
		t.Errorf("%s became %s: %v", wire, again, err)
	}
	want := `"input":` + raw
	if plain, _ := Marshal(s); !strings.Contains(string(plain), want) || !strings.Contains(string(plain), `"output":null`) || !strings.Contains(string(plain), `"output": 1 `) || !strings.Contains(string(plain), `x<y`) {
		t.Errorf("got %s", plain)
	}
	if !json.Valid(got) {
		t.Errorf("not JSON: %s", got)
	}
}
