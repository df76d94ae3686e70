package flow_test

import (
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

// A key in another case is unknown, with the right one named, and a key that comes twice is refused; at every depth, in JSON and YAML.
func TestKeysInAnotherCaseOrTwiceAreRefused(t *testing.T) {
	for _, c := range []struct{ text, code, says string }{
		{`{"Steps":[{"name":"a","service_name":"s","handler_name":"h"}]}`, "unknown_key", `did you mean "steps"?`},
		{`{"steps":[{"NAME":"a","service_name":"s","handler_name":"h"}]}`, "unknown_key", `did you mean "name"?`},
		{`{"steps":[{"name":"a","service_name":"s","handler_name":"h","retry":{"Max_Attempts":2}}]}`, "unknown_key", `did you mean "max_attempts"?`},
		{`{"steps":[{"name":"a","type":"wait_signal","signal":{"Name":"go"}}]}`, "unknown_key", `did you mean "name"?`},
		{"steps:\n  - {name: a, type: wait_timer, timer: {KEY: k, delay: 1s}}\n", "unknown_key", `did you mean "key"?`},
		{`{"steps":[{"name":"a","service_name":"s","handler_name":"h"}],"steps":[]}`, "key_duplicate", `"steps" twice`},
		{`{"steps":[{"name":"a","name":"b","service_name":"s","handler_name":"h"}]}`, "key_duplicate", `"name" twice`},
		{`{"steps":[{"name":"a","type":"wait_signal","signal":{"name":"go","name":"stop"}}]}`, "key_duplicate", `"name" twice`},
		{"steps:\n  - {name: a, name: b, service_name: s, handler_name: h}\n", "key_duplicate", `"name" twice`},
	} {
		_, problems := flow.Read([]byte(c.text))
		found := false
		for _, p := range problems {
			found = found || p.Code == c.code && strings.Contains(p.Detail, c.says)
		}
		if !found {
			t.Errorf("%s: want %s, %s; got %v", c.text, c.code, c.says, problems)
		}
	}
}
