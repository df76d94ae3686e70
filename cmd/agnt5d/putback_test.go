package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
)

// An older copy is put back while somebody follows all events and a schedule fires each second. Whoever follows is told that what came
// after its last event is not what comes after it now, and misses nothing without knowing. The schedule goes on from the copy's ledger:
// each due time has one row, the times that the copy does not know are decided anew, and each run that a row names is there.
func TestAnOlderCopyMisleadsNeitherWatchersNorSchedules(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	c, ctx := d.client(t), t.Context()
	d.say(t, 0, "", "register", "tick", fileIn(t, d.dir, "tick.yaml", atOnce))
	d.say(t, 0, "is created", "schedules", "apply", fileIn(t, d.dir, "s.yaml", "schedules:\n  - {name: each, workflow: tick, every: 1s, catch_up: {window: 1h, max: 100}}\n"))
	rows := func(n int) {
		t.Helper()
		until(t, func() bool { return len(wholeLedger(t, d, "each")) >= n })
	}
	rows(1)
	d.say(t, 0, "the journal up to event", "backup", filepath.Join(d.dir, "copy.db"))
	followed := make(chan error, 1)
	seen := make(chan model.Event, 1000)
	go func() { followed <- c.FollowAll(ctx, 0, func(e model.Event) error { seen <- e; return nil }) }()
	for i := range 3 {
		id := fmt.Sprint("of-the-other-history-", i)
		if _, _, err := c.Start(ctx, "tick", nil, client.StartOptions{ID: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Wait(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	rows(3)
	var last model.Event
	for last.WorkflowID != "of-the-other-history-2" {
		last = <-seen
	}
	before := read(t, d.url+"/v1/events?limit=5")
	cursor := before[strings.Index(before, `"next_cursor":"`)+len(`"next_cursor":"`):]
	cursor = cursor[:strings.Index(cursor, `"`)]
	old := wholeLedger(t, d, "each")
	d.kill()
	path := filepath.Join(d.dir, "runs.db")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "restored up to event", "restore", filepath.Join(d.dir, "copy.db"), "--file", path)
	d.again(t)
	if err := <-followed; err == nil || !strings.Contains(err.Error(), "Begin anew") {
		t.Errorf("who follows is told %v", err)
	}
	if got := read(t, d.url+"/v1/events?limit=5&cursor="+cursor); !strings.Contains(got, "Begin anew") {
		t.Errorf("a cursor of before gives %s", got)
	}
	rows(len(old) + 1)
	due := map[string]string{}
	for _, row := range wholeLedger(t, d, "each") {
		if due[row.DueAt] != "" {
			t.Errorf("%s has two rows", row.DueAt)
		}
		due[row.DueAt] = row.Outcome
		if row.RunID == "" {
			continue
		}
		if _, err := c.Status(ctx, row.RunID, ""); err != nil {
			t.Errorf("row %+v: %v", row, err)
		}
	}
	for _, row := range old {
		if due[row.DueAt] == "" {
			t.Errorf("%s was due, and has no row", row.DueAt)
		}
	}
	heads, _, err := c.List(ctx, client.Filter{IDPrefix: "of-the-other"}, 10, "")
	if err != nil || len(heads) != 0 {
		t.Errorf("runs of the other history: %v, %v", heads, err)
	}
}

// An older copy is put back while a push service works on a run of the other history, "tail" follows and somebody waits for that run. The run
// that has its number now gets the output that the service gives for it; who follows and who waits are told that what they had is gone.
func TestAnOlderCopyMisleadsNoPushService(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	gates := map[string]chan struct{}{"x": make(chan struct{}), "y": make(chan struct{})}
	asked := make(chan string, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var task struct {
			WorkflowID string `json:"workflow_id"`
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &task)
		asked <- task.WorkflowID
		if gate := gates[task.WorkflowID]; gate != nil {
			<-gate
		}
		_, _ = fmt.Fprintf(w, `{"status":"completed","output":"of %s"}`, task.WorkflowID)
	}))
	defer service.Close()
	defer func() { close(gates["x"]) }()
	d.say(t, 0, "", "register", "w", fileIn(t, d.dir, "w.yaml", "steps:\n  - {name: s, service_name: web, handler_name: h}\n"))
	if resp, said := exchange(t, "PUT", d.url+"/v1/services/web", `{"url":"`+service.URL+`","handlers":["h"]}`, "Content-Type", "application/json"); resp.StatusCode != 201 {
		t.Fatal(said)
	}
	d.say(t, 0, "completed", "start", "w", "--id", "before", "--wait")
	d.say(t, 0, "the journal up to event", "backup", filepath.Join(d.dir, "copy.db"))
	next := func(want string) {
		t.Helper()
		for got := range asked {
			if got == want {
				return
			}
		}
	}
	d.say(t, 0, "", "start", "w", "--id", "x")
	next("x")
	type ended struct {
		code int
		said *output
	}
	follow := func(args ...string) (<-chan ended, *output) {
		out, said, end := &output{}, &output{}, make(chan ended, 1)
		go func() { end <- ended{run(t.Context(), args, strings.NewReader(""), out, said), said} }()
		return end, out
	}
	tail, told := follow("tail", "--after", "1", "-o", "json")
	wait, _ := follow("wait", "x")
	until(t, func() bool { return strings.Contains(told.String(), `"workflow_id":"x"`) })
	number := func(id string) float64 {
		t.Helper()
		var first struct {
			Events []struct {
				Seq float64 `json:"seq"`
			} `json:"events"`
		}
		if err := json.Unmarshal([]byte(read(t, d.url+"/v1/runs/"+id+"/events?limit=1")), &first); err != nil || len(first.Events) != 1 {
			t.Fatalf("%s: %v", id, err)
		}
		return first.Events[0].Seq
	}
	of := number("x")
	d.kill()
	path := filepath.Join(d.dir, "runs.db")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "restored up to event", "restore", filepath.Join(d.dir, "copy.db"), "--file", path)
	d.again(t)
	d.say(t, 0, "", "start", "w", "--id", "y")
	next("y")
	if number("y") < of {
		t.Errorf("y is run %v, x was run %v", number("y"), of)
	}
	gates["x"] <- struct{}{}
	gates["y"] <- struct{}{}
	d.say(t, 0, "completed", "wait", "y")
	d.say(t, 0, `"of y"`, "show", "y")
	d.say(t, exitNotFound, "run_not_found", "show", "x")
	if got := <-tail; got.code == 0 || !strings.Contains(got.said.String(), "Begin anew") {
		t.Errorf("tail: exit %d: %s", got.code, got.said)
	}
	if got := <-wait; got.code != exitNotFound {
		t.Errorf("wait x: exit %d: %s", got.code, got.said)
	}
}
