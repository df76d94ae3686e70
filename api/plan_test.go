package api_test

import (
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// A reason that is too long is refused in a plan, and where runs are only counted, as it is in the deed.
func TestAPlanChecksTheReason(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h"}]}`)
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r1"}`)
	long := strings.Repeat("x", 1025)
	for _, path := range []string{"cancel", "retry", "steps/a/complete", "steps/a/skip", "steps/a/fail"} {
		for _, more := range []string{"", `,"plan":true`} {
			if text := s.want(400, "invalid_request", "POST", "/v1/runs/r1/"+path, `{"reason":"`+long+`"`+more+`}`).text; !strings.Contains(text, "reason: 1025 bytes") {
				t.Errorf("%s%s: %s", path, more, text)
			}
		}
	}
	s.want(200, "", "POST", "/v1/runs/r1/cancel", `{"reason":"`+long[1:]+`","plan":true}`)
	for _, path := range []string{"cancel", "pause", "resume", "retry", "delete"} {
		s.want(400, "invalid_request", "POST", "/v1/runs/"+path, `{"all":true,"dry_run":true,"reason":"`+long+`"}`)
	}
}
