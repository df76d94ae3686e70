package ids

import "testing"

func TestCheckPath(t *testing.T) {
	for path, want := range map[string]string{
		"/": "", "/v1/runs": "", "/v1/runs/a%2Fb%23%5B1%5D/cancel": "", "/v1/runs/...": "", "/v1/objects/a%2F..%2Fb": "", "/v1/runs/cancel/cancel": "",
		"/v1/runs//cancel":            "the run id is empty",
		"/v1/runs/":                   "the run id is empty",
		"/v1/workflows//runs":         "the workflow name is empty",
		"/v1/runs/r/signals/%2e":      `the signal name is ".", which means a place in a path and so can name nothing`,
		"/v1/runs/r/timers/%2E./fire": `the timer key is "..", which means a place in a path and so can name nothing`,
		"/v1/objects/..":              `the object key is "..", which means a place in a path and so can name nothing`,
		"//v1/runs":                   "the part of the path after / is empty",
		"":                            `the path "" does not begin with /`,
		"*":                           `the path "*" does not begin with /`,
	} {
		got := ""
		if err := CheckPath(path); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestWord(t *testing.T) {
	for id, want := range map[string]string{"order-17": "order-17", "a/b": "a/b", "#1": "'#1'", "step[3]": "'step[3]'"} {
		if got := Word(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}
