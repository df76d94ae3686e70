package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/agnt5/agnt5d/worker"
)

// A worker publishes a workflow with its schedule, and works on what the schedule starts. What belongs to somebody else stays as it is, and
// the worker's log says so.
func TestAWorkerPublishesItsSchedules(t *testing.T) {
	s := open(t, engine.Options{Clock: engine.NewTestClock()})
	s.want(201, "", "PUT", "/v1/schedules/mine", `{"workflow":"w","every":"7h","note":"mine"}`)
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var own logged
	w := client.NewWorker(c, "svc", client.WorkerOptions{Logger: slog.New(slog.NewTextHandler(&own, nil))})
	client.HandleRaw(w, "a", func(_ context.Context, t *worker.Task) (json.RawMessage, error) { return t.WorkflowInput, nil })
	w.Publish("w", flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "a")}})
	w.Schedule(schedules.Definition{Name: "hourly", Workflow: "w", Cron: []string{"0 * * * *"}, Input: []byte(`{"n":1}`)})
	w.Schedule(schedules.Definition{Name: "mine", Workflow: "w", EveryMS: 1000})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	until(t, func() bool { _, err := c.Schedule(t.Context(), "hourly"); return err == nil })
	got, err := c.Schedule(t.Context(), "hourly")
	if err != nil || got.Owner != "worker:svc" || got.Revision != 1 || got.Next == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	due, err := time.Parse(time.RFC3339, got.Next.DueAt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.eng.Advance(t.Context(), due.Sub(s.eng.Now())); err != nil {
		t.Fatal(err)
	}
	run, err := c.Wait(t.Context(), "hourly-"+due.Format("2006-01-02T15:04:05Z"))
	if err != nil || run.State != "completed" || string(run.Input) != `{"n":1}` {
		t.Errorf("%+v, %v", run, err)
	}
	if kept, err := c.Schedule(t.Context(), "mine"); err != nil || kept.Owner != "api" || kept.Revision != 1 {
		t.Errorf("%+v, %v", kept, err)
	}
	until(t, func() bool {
		return strings.Contains(own.String(), `publishes the schedule mine, which stays as it is: it belongs to api`)
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAWorkersScheduleThatIsWrongIsSaidAtOnce(t *testing.T) {
	w := client.NewWorker(&client.Client{}, "svc", client.WorkerOptions{})
	w.Schedule(schedules.Definition{Name: "s", Workflow: "w"})
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "schedule s: ") || !strings.Contains(err.Error(), "has no times") {
		t.Error(err)
	}
}

// What a registration does with schedules: it creates, changes its own, and leaves alone what others have, had, or deleted.
func TestARegistrationOwnsItsSchedules(t *testing.T) {
	s := open(t, engine.Options{})
	join := func(service, schedules, more string) string {
		t.Helper()
		r := s.want(201, "", "POST", "/v1/workers", `{"service_name":"`+service+`","handlers":["a"],"capacity":1,"schedules":[`+schedules+`]`+more+`}`)
		left, _ := json.Marshal(r.json["not_scheduled"])
		return string(left)
	}
	const one, two, three = `{"name":"s","workflow":"w","every":"1h"}`, `{"name":"s","workflow":"w","every":"2h"}`, `{"name":"s","workflow":"w","every":"3h"}`
	left := func(why string) string { return `[{"schedule":"s","why":"` + why + `"}]` }
	for i, c := range []struct {
		service, def, more, want string
		owner, every             string
		revision                 float64
	}{
		{"svc", one, "", "null", "worker:svc", "3600000", 1},
		{"svc", one, "", "null", "worker:svc", "3600000", 1},
		{"svc", two, "", "null", "worker:svc", "7200000", 2},
		{"svc", one, "", left("it has a newer definition"), "worker:svc", "7200000", 2},
		{"svc", one, `,"publish":"current","worker_id":"gone"`, left("it has a newer definition"), "worker:svc", "7200000", 2},
		{"svc", one, `,"publish":"current"`, "null", "worker:svc", "3600000", 3},
		{"other", two, "", left("it belongs to worker:svc"), "worker:svc", "3600000", 3},
	} {
		if got := join(c.service, c.def, c.more); got != c.want {
			t.Errorf("%d: not_scheduled is %s, want %s", i, got, c.want)
		}
		r := s.want(200, "", "GET", "/v1/schedules/s", "")
		if r.json["owner"] != c.owner || r.json["revision"] != c.revision || !strings.Contains(r.text, `"every_ms":`+c.every) {
			t.Errorf("%d: %s", i, r.text)
		}
	}
	s.want(204, "", "DELETE", "/v1/schedules/s", "")
	for _, known := range []string{one, two} {
		if got := join("svc", known, ""); got != left("it was deleted") {
			t.Errorf("an older worker comes back after a deletion: %s", got)
		}
	}
	s.want(404, "schedule_not_found", "GET", "/v1/schedules/s", "")
	if got := join("svc", three, ""); got != "null" {
		t.Errorf("a new definition after a deletion: %s", got)
	}
	if r := s.want(200, "", "PUT", "/v1/schedules/s", two); r.json["owner"] != "api" {
		t.Error(r.text)
	}
	if got := join("svc", three, ""); got != left("it belongs to api") {
		t.Error(got)
	}
	for _, wrong := range []struct{ schedules, detail string }{
		{`{"name":"x","workflow":"w"}`, "schedule 1: the schedule has no times"},
		{`{"name":"x","workflow":"w","every":"1h"},{"name":"x","workflow":"w","every":"2h"}`, `schedule \"x\" is published twice`},
		{`7`, "schedule 1: "},
	} {
		r := s.want(422, "invalid_definition", "POST", "/v1/workers", `{"service_name":"svc","handlers":["a"],"capacity":1,"schedules":[`+wrong.schedules+`]}`)
		if !strings.Contains(r.text, wrong.detail) {
			t.Errorf("%s: %s", wrong.schedules, r.text)
		}
	}
}

// A worker's token starts no runs. Its schedules start those of workflows that its service publishes, and of no others.
func TestAWorkersTokenSchedulesItsOwnWorkflows(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/payout", `{"steps":[{"name":"a","service_name":"pay","handler_name":"h"}]}`)
	root := s.token("", "root", "admin", "")
	mail := s.token(root, "mail", "worker:mail", "")
	const own = `,"workflows":{"letters":{"steps":[{"name":"a","service_name":"mail","handler_name":"h"}]}}`
	join := func(workflow, more string) string {
		return `{"service_name":"mail","handlers":["h"],"capacity":1,"schedules":[{"name":"s","workflow":"` + workflow + `","every":"1h"}]` + more + `}`
	}
	r := s.want(403, "forbidden", "POST", "/v1/workers", join("payout", own), as(mail)...)
	if !strings.Contains(r.text, "to start a workflow") || !strings.Contains(r.text, "scope admin") {
		t.Error(r.text)
	}
	s.want(404, "workflow_not_found", "GET", "/v1/workflows/letters", "", as(root)...) // of a publication that is refused nothing is kept
	s.want(404, "schedule_not_found", "GET", "/v1/schedules/s", "", as(root)...)
	s.want(201, "", "POST", "/v1/workers", join("letters", own), as(mail)...)
	s.want(201, "", "POST", "/v1/workers", join("letters", own), as(mail)...)
	s.want(403, "forbidden", "POST", "/v1/workers", join("payout", ""), as(mail)...)
	s.want(201, "", "POST", "/v1/workers", join("payout", ""), as(root)...)
	s.want(201, "", "POST", "/v1/workers", join("payout", ""), as(mail)...) // it changes nothing, and nobody is locked out
}
