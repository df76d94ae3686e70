package api_test

import (
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
)

// TestTheScheduleRoutes asks every route of a schedule once, so that each answer is held against the document, and changes by revision.
func TestTheScheduleRoutes(t *testing.T) {
	s := open(t, engine.Options{Clock: engine.NewTestClock()})
	const hourly = `{"workflow":"w","every":"1h"}`
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	made := s.want(201, "", "PUT", "/v1/schedules/s", hourly, "If-None-Match", "*").Header.Get("ETag")
	s.want(409, "schedule_changed", "PUT", "/v1/schedules/s", hourly, "If-None-Match", "*")
	if same := s.want(200, "", "PUT", "/v1/schedules/s", hourly, "If-Match", made).Header.Get("ETag"); same != made {
		t.Errorf("nothing changed: %s, then %s", made, same)
	}
	changed := s.want(200, "", "PUT", "/v1/schedules/s", `{"workflow":"w","every":"2h"}`, "If-Match", made).Header.Get("ETag")
	if got := s.want(200, "", "GET", "/v1/schedules/s", "").Header.Get("ETag"); got != changed || got == made {
		t.Errorf("made %s, changed %s, now %s", made, changed, got)
	}
	s.want(409, "schedule_changed", "DELETE", "/v1/schedules/s", "", "If-Match", made)
	s.want(400, "invalid_request", "PUT", "/v1/schedules/s", hourly, "If-Match", "none")
	s.want(400, "invalid_request", "PUT", "/v1/schedules/s", hourly, "If-None-Match", "3")
	s.want(200, "", "POST", "/v1/schedules/preview", hourly)
	s.want(200, "", "POST", "/v1/schedules/s/trigger", `{}`)
	s.want(200, "", "POST", "/v1/schedules/s/pause", `{"note":"a holiday"}`)
	s.want(200, "", "POST", "/v1/schedules/s/resume", `{}`)
	s.want(200, "", "POST", "/v1/schedules/s/backfill", `{"from":"2020-01-01T00:00:00Z","to":"2020-01-01T02:00:00Z"}`)
	s.want(200, "", "GET", "/v1/schedules", "")
	for _, line := range []string{`agnt5_schedule_due_total{outcome="triggered",schedule="s"} 1`, "agnt5_schedule_overdue_seconds 0"} {
		if text := s.send("GET", "/metrics", "").text; !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the metrics have no line %s", line)
		}
	}
	for _, path := range []string{"/next", "/ledger", "/explain"} {
		s.want(200, "", "GET", "/v1/schedules/s"+path, "")
	}
	s.want(204, "", "DELETE", "/v1/schedules/s", "")
	s.want(404, "schedule_not_found", "GET", "/v1/schedules/s", "")
}
