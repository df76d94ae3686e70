package flow

import (
	"strings"
	"testing"
)

// In YAML, # after a space begins a comment, also in the middle of an expression that is not in quotes: what cannot be read because of
// it says so.
func TestAnExpressionCutByAComment(t *testing.T) {
	const hint = "in YAML, # after a space begins a comment: write the whole text in quotes"
	for _, c := range []struct {
		key  string
		told bool
	}{
		{"when: any(input.list, # > 1)", true},
		{"for_each: filter(input.list, # > 1)", true},
		{"input: {big: [1, '${ input.n }'], all: 2, n: {x: y}}\n    when: count(input.list, # > 1) > 1", true},
		{"repeat:\n      max_rounds: 3\n      until: any(output, # > 1)", true},
		{"input:\n      big:\n        - ${ any(input.list, # > 1) }", true},
		{"when: 'any(input.list, # > 1)'", false},
		{"when: any(input.list, .n > 1) # what a list", false},
		{"when: any(input.list, .n > 1", false},
		{"when: 'any(input.list,' # cut in quotes", false},
	} {
		_, problems, _ := Check([]byte("steps:\n  - name: a\n    service_name: s\n    handler_name: h\n    " + c.key + "\n"))
		if got := strings.Contains(problems.Error(), hint); got != c.told {
			t.Errorf("%s: %v", c.key, problems)
		}
	}
}
