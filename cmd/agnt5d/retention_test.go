package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/journal"
)

// brief is a workflow that needs no worker; more is what else stands in its definition.
func brief(more string) []byte {
	return []byte(`{` + more + `"steps": [{"name": "t", "type": "wait_timer", "timer": {"key": "k", "delay_ms": 0}}]}`)
}

// endless is one whose runs wait until somebody ends them.
const endless = `{"steps": [{"name": "s", "type": "wait_signal", "signal": {"name": "go"}}]}`

// Runs go when their time is over, by how they ended and by what their workflow says; the others stay. The daemon is killed while
// that goes on, again and again.
func TestRunsGoWhenTheirTimeIsOver(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--retention-completed", "1s", "--keep-deleted-ids", "1s")
	c, ctx := d.client(t), context.Background()
	for name, def := range map[string][]byte{"brief": brief(""), "kept": brief(`"retention": {"completed_ms": 0}, `), "soon": []byte(`{"retention": {"cancelled": "1s"}, ` + endless[1:]), "open": []byte(endless)} {
		if _, _, err := c.Register(ctx, name, def); err != nil {
			t.Fatal(err)
		}
	}
	started := map[string]int{}
	start := func(workflow string, n int, cancel bool) {
		for range n {
			id := fmt.Sprint(workflow, "-", started[workflow])
			started[workflow]++
			if _, _, err := c.Start(ctx, workflow, nil, client.StartOptions{ID: id}); err != nil {
				t.Fatal(err)
			}
			if cancel {
				if err := c.Cancel(ctx, id, ""); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	start("soon", 2, true)
	start("kept", 3, false)
	start("open", 2, false)
	if err := c.Cancel(ctx, "open-1", ""); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		start("brief", 100, false)
		d.kill()
		d.again(t)
		c = d.client(t)
		until(t, func() bool {
			left, _, err := c.List(ctx, client.Filter{State: "completed", Workflow: "brief"}, 1, "")
			return err == nil && len(left) == 0
		})
		until(t, func() bool { // the ids are free again when something is written
			_, _, err := c.Start(ctx, "brief", nil, client.StartOptions{ID: "brief-0"})
			return err == nil
		})
	}
	until(t, func() bool {
		left, _, err := c.List(ctx, client.Filter{}, 100, "")
		ids := ""
		for _, run := range left {
			ids += run.WorkflowID + " "
		}
		return err == nil && strings.TrimSpace(strings.ReplaceAll(ids, "brief-0 ", "")) == "open-1 open-0 kept-2 kept-1 kept-0"
	})
	d.kill()
	f, err := openFile(filepath.Join(d.dir, "runs.db"), checkThere)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := f.verify(ctx, func(d journal.Damage) { t.Errorf("damage: %+v", d) }); err != nil || got.Records > 100 {
		t.Errorf("%d records are left, %v", got.Records, err)
	}
}

func TestPurge(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	c, ctx := d.client(t), context.Background()
	for name, def := range map[string][]byte{"brief": brief(""), "open": []byte(endless)} {
		if _, _, err := c.Register(ctx, name, def); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 {
		id := fmt.Sprint("run-", i)
		if _, _, err := c.Start(ctx, []string{"brief", "open", "open"}[i%3], nil, client.StartOptions{ID: id}); err != nil {
			t.Fatal(err)
		}
		if i%3 == 1 {
			if err := c.Cancel(ctx, id, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, func() bool {
		done, _, err := c.List(ctx, client.Filter{State: "completed"}, 100, "")
		return err == nil && len(done) == 10
	})
	now := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, s := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"purge"}, exitUsage, "--before is missing"},
		{[]string{"purge", "--before", "soon"}, exitUsage, "--before"},
		{[]string{"purge", "--before", "1h"}, 0, "0 runs deleted"},
		{[]string{"purge", "--before", now, "--dry-run"}, 0, "20 runs would be deleted; nothing was done (--dry-run)"},
		{[]string{"purge", "--before", now, "--state", "completed", "--workflow", "open"}, 0, "0 runs deleted"},
		{[]string{"purge", "--before", now, "--state", "completed"}, 0, "10 runs deleted"},
		{[]string{"purge", "--before", now, "-o", "json"}, 0, `"done":10`},
		{[]string{"purge", "--before", now}, 0, "0 runs deleted"},
	} {
		code, out, stderr := d.cli(t, s.args...)
		if code != s.code || !strings.Contains(strings.ReplaceAll(out+stderr, " ", ""), strings.ReplaceAll(s.want, " ", "")) {
			t.Errorf("%v: %d %s%s", s.args, code, out, stderr)
		}
	}
}

// doctor says of a large file what keeps it small; it is no damage.
func TestDoctorSaysThatAFileIsLarge(t *testing.T) {
	path := journalFile(t)
	if code, out, _ := agnt5d(t, "doctor", path); code != 0 || strings.Contains(out, "GiB") {
		t.Errorf("a small one: %d %s", code, out)
	}
	if err := os.Truncate(path, 1<<30+1<<20); err != nil {
		t.Skip(err)
	}
	if code, out, _ := agnt5d(t, "doctor", path); code != 0 || !strings.Contains(out, "1.0 GiB") || !strings.Contains(out, "--retention-completed") {
		t.Errorf("a large one: %d %s", code, out)
	}
}
