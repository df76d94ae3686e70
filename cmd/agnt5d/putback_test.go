package main

import (
	"fmt"
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
