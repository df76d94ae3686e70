package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

// saidNow is what a daemon says of all that it keeps: runs with their steps and histories, objects, workflows and schedules.
func saidNow(t *testing.T, d *daemon) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range []string{"/v1/objects?limit=1000", "/v1/workflows", "/v1/schedules"} {
		all[path] = read(t, d.url+path)
	}
	c := d.client(t)
	for cursor := ""; ; {
		heads, next, err := c.List(t.Context(), client.Filter{}, 100, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range heads {
			if h.State == "running" { // its tasks are offered again
				all[h.WorkflowID] = h.WorkflowID + " is open"
				continue
			}
			events, _, _ := strings.Cut(read(t, d.url+"/v1/runs/"+h.WorkflowID+"/events?limit=1000"), `"next_cursor"`) // which is of one history
			all[h.WorkflowID] = read(t, d.url+"/v1/runs/"+h.WorkflowID) + events + read(t, d.url+"/v1/runs/"+h.WorkflowID+"/logs")
		}
		if cursor = next; cursor == "" {
			return all
		}
	}
}

// A daemon under load is saved: once whole, then twice by what came after. What is put back is what the daemon said at the last
// moment, and its worker goes on. Whatever is given in another order, spoilt or from elsewhere is refused with one sentence, and
// nothing is made of it.
func TestABackupAndItsIncrementsArePutBack(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--lease", "2s")
	c, ctx := d.client(t), t.Context()
	register := func(note string) {
		t.Helper()
		d.say(t, 0, "new and current", "register", "w", writeFile(t, "w.yaml", "description: "+note+"\nsteps:\n"+
			"  - {name: s, type: task, service_name: svc, handler_name: h, object_keys: [one]}\n  - {name: end, type: task, service_name: svc, handler_name: h, dependencies: [s]}\n"))
		d.say(t, 0, "current", "register", "waits", writeFile(t, "waits.yaml", "description: "+note+"\nsteps:\n  - {name: s, type: task, service_name: svc, handler_name: wait}\n"))
	}
	open := make(chan struct{})
	d.serve(t, "svc", client.WorkerOptions{Capacity: 8}, map[string]worker.Func{
		"h": func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
			if len(task.Objects) > 0 {
				if err := task.SetObject("one", task.WorkflowID); err != nil {
					return nil, err
				}
			}
			worker.Log(ctx).Info("it works for " + task.WorkflowID)
			return json.Marshal(task.WorkflowID)
		},
		"wait": func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
			select {
			case <-open:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return json.Marshal(task.WorkflowID)
		},
	})
	start := func(workflow string, ids ...string) {
		t.Helper()
		for _, id := range ids {
			if _, _, err := c.Start(ctx, workflow, nil, client.StartOptions{ID: id}); err != nil {
				t.Fatal(err)
			}
			if workflow == "waits" {
				continue
			}
			if st, err := c.Wait(ctx, id); err != nil || st.State != "completed" {
				t.Fatal(st, err)
			}
		}
	}
	file := func(name string) string { return filepath.Join(d.dir, name) }
	register("first")
	busy, stop := context.WithCancel(ctx)
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		for i := 0; i < 500 && busy.Err() == nil; i++ {
			_, _, _ = c.Start(busy, "w", nil, client.StartOptions{ID: fmt.Sprint("load-", i)})
		}
	}()
	start("w", "a", "b")
	start("waits", "waits-1")
	d.say(t, 0, "the journal up to event", "backup", file("monday.db"))
	start("w", "c")
	register("second")
	d.say(t, 0, "a", "delete", "a")
	d.say(t, 0, "an increment: the journal after event", "backup", "--since", file("monday.db"), file("tuesday.incr"))
	start("w", "d")
	start("waits", "waits-2")
	d.say(t, 0, "c", "delete", "c")
	d.say(t, 0, "is created", "schedules", "apply", writeFile(t, "s.yaml", "schedules:\n  - {name: yearly, workflow: w, cron: \"0 3 1 1 *\"}\n"))
	stop()
	<-loaded
	until(t, func() bool {
		heads, _, err := c.List(ctx, client.Filter{State: "running"}, 10, "")
		return err == nil && len(heads) == 2
	})
	want := saidNow(t, d)
	d.say(t, 0, `"verified":true`, "backup", "-o", "json", "--since", file("tuesday.incr"), file("wednesday.incr"))
	d.say(t, 0, `"since":1,`, "backup", "-o", "json", "--since", "1", file("all.incr"))
	d.say(t, exitConflict, "no file is overwritten", "backup", "--since", "1", file("all.incr"))
	d.say(t, exitUsage, "want the backup before", "backup", "--since", "yesterday", file("x.incr"))
	d.say(t, exitUsage, "not 99999999", "backup", "--since", "99999999", file("x.incr"))
	start("w", "after")
	d.kill()
	path := file("runs.db")
	d.say(t, 0, "an increment", "backup", "--file", path, "--since", file("wednesday.incr"), file("thursday.incr"))
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	spoilt := file("spoilt.incr")
	b, err := os.ReadFile(file("tuesday.incr"))
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(spoilt, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		files, want string
	}{
		{"monday.db wednesday.incr tuesday.incr", "the order is wrong"},
		{"monday.db wednesday.incr", "what is between them is missing"},
		{"monday.db spoilt.incr", "is damaged at byte"},
		{"monday.db monday.db", "is a whole backup"},
		{"tuesday.incr wednesday.incr", "name the whole backup before it first"},
		{"monday.db w.yaml", "no such file"},
	} {
		args := []string{"restore", "--file", path}
		for _, f := range strings.Fields(bad.files) {
			args = append(args, file(f))
		}
		code, out, errs := agnt5d(t, args...)
		if code == 0 || out != "" || !strings.Contains(errs, bad.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d, want %q in one line\n%s%s", bad.files, code, bad.want, out, errs)
		}
		for _, name := range []string{path, path + ".new"} {
			if _, err := os.Stat(name); err == nil {
				t.Fatalf("%s: %s is there", bad.files, name)
			}
		}
	}
	d.say(t, 0, "nothing is damaged: an increment", "verify", file("tuesday.incr"))
	d.say(t, exitError, "is damaged at byte", "verify", spoilt)
	d.say(t, 0, "restored up to event", "restore", file("monday.db"), file("tuesday.incr"), file("wednesday.incr"), "--file", path)
	d.say(t, 0, "nothing is damaged", "verify", path)
	d.again(t)
	got := saidNow(t, d)
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is\n%s\nand was\n%s", k, got[k], v)
		}
		delete(got, k)
	}
	for k := range got {
		t.Errorf("%s is there", k)
	}
	for _, id := range []string{"a", "c"} {
		d.say(t, exitNotFound, "run_expired", "start", "w", "--id", id)
	}
	close(open)
	for _, id := range []string{"waits-1", "waits-2"} {
		if st, err := c.Wait(ctx, id); err != nil || st.State != "completed" {
			t.Errorf("%s: %+v, %v", id, st, err)
		}
	}
	start("w", "goes-on")
	d.say(t, exitConflict, "make a whole backup", "backup", "--since", file("wednesday.incr"), file("friday.incr"))
	d.say(t, 0, "an increment", "backup", "--since", "100", file("friday.incr"))
	d.say(t, exitError, "is of another journal", "restore", file("monday.db"), file("friday.incr"), "--file", file("more.db"))
	d.kill()
	d.say(t, 0, "nothing is damaged", "verify", path)
	d.say(t, 0, "restored up to event", "restore", file("monday.db"), file("tuesday.incr"), file("wednesday.incr"), file("thursday.incr"), "--file", file("more.db"))
}
