package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
)

// "What happened in the last hour?" has an answer that ends: by time, workflow and kind, of all runs or of one.
func TestTailAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--test-clock")
	c := d.client(t)
	for _, name := range []string{"a", "b"} {
		if _, _, err := c.RegisterDefinition(t.Context(), name, flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}); err != nil {
			t.Fatal(err)
		}
	}
	start := func(workflow, id string) {
		t.Helper()
		if _, _, err := c.Start(t.Context(), workflow, nil, client.StartOptions{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	events := func(args ...string) (all []string) {
		t.Helper()
		code, out, errs := d.cli(t, append([]string{"tail", "-o", "json"}, args...)...)
		if code != 0 {
			t.Fatalf("tail %q: exit %d\n%s", args, code, errs)
		}
		for line := range strings.Lines(out) {
			var e model.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			all = append(all, strings.TrimSuffix(e.Kind+" "+e.WorkflowID, " "))
		}
		return all
	}
	for i := range 300 { // more than one probe finds
		start("a", fmt.Sprintf("old-%d", i))
	}
	var now struct{ Now string }
	moved, err := http.Post(d.url+"/v1/test-clock", "application/json", strings.NewReader(`{"advance":"2h"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer moved.Body.Close()
	if err := json.NewDecoder(moved.Body).Decode(&now); err != nil {
		t.Fatal(err)
	}
	start("a", "new-a")
	start("b", "new-b")
	if _, err := c.Signal(t.Context(), "new-a", "go", nil, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(t.Context(), "new-a"); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, now.Now)
	if err != nil {
		t.Fatal(err)
	}
	hour := at.Add(-time.Hour).Format(time.RFC3339)
	for _, c := range []struct {
		args, want string
	}{
		{"--past --since " + hour + " --kind RunStarted", "RunStarted new-a,RunStarted new-b"},
		{"--past --since " + hour + " --kind RunStarted,RunCompleted --workflow a", "RunStarted new-a,RunCompleted new-a"},
		{"--past --kind WorkflowRegistered --workflow b", "WorkflowRegistered"},
		{"--past --run new-b --kind RunStarted,SignalAwaited", "RunStarted new-b,SignalAwaited new-b"},
		{"--past --run new-b --kind RunCompleted", ""},
	} {
		if got := strings.Join(events(strings.Fields(c.args)...), ","); got != c.want {
			t.Errorf("tail %s: %s, want %s", c.args, got, c.want)
		}
	}
	all := events("--past")
	if n := len(slices.DeleteFunc(slices.Clone(all), func(e string) bool { return !strings.HasPrefix(e, "RunStarted ") })); n != 302 {
		t.Errorf("%d runs started, of %d events", n, len(all))
	}
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"--kind RunFaild", `did you mean "RunFailed"?`, exitUsage},
		{"--since soon", "soon", exitUsage},
		{"--workflow c", "workflow_not_found", exitNotFound},
	} {
		if code, _, errs := d.cli(t, append([]string{"tail"}, strings.Fields(c.args)...)...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("tail %s: exit %d\n%s", c.args, code, errs)
		}
	}
}
