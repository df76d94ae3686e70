package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
	"go.etcd.io/bbolt"
)

// flipBits flips a bit of a row in every copy of it that the file holds: the last one of its value, or a high one at the beginning of its key.
func flipBits(t *testing.T, path, bucket, key string, ofKey bool) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var row []byte
	_ = db.View(func(tx *bbolt.Tx) error {
		row = append([]byte(key), tx.Bucket([]byte(bucket)).Get([]byte(key))...)
		return nil
	})
	if err := db.Close(); err != nil || len(row) == len(key) {
		t.Fatalf("no row %q in %s: %v", key, bucket, err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at, bit := len(row)-1, byte(1)
	if ofKey {
		at, bit = 0, 64
	}
	for from := 0; ; {
		n := bytes.Index(file[from:], row)
		if n < 0 {
			break
		}
		file[from+n+at] ^= bit
		from += n + 1
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
}

// One flipped bit in a row about a workflow, a schedule, an object or a push service is the damage of that one: the daemon starts and says
// it, what the log tells as well is as it was, the rest is refused by name, and everything else goes on. What is put there again is whole.
func TestDamageToASmallRowIsItsOwn(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	path, made := filepath.Join(d.dir, "runs.db"), filepath.Join(d.dir, "made.db")
	file := func(name, text string) string { return fileIn(t, d.dir, name, text) }
	wait := func(step string) string {
		return "steps:\n  - {name: " + step + ", type: wait_signal, signal: {name: go}}\n"
	}
	c := file("c.yaml", wait("c1"))
	for name, def := range map[string]string{"whole": file("whole.yaml", atOnce), "row": file("row1.yaml", wait("r1")), "current": file("current.yaml", wait("u1")), "text": c,
		"task": file("task.yaml", "steps:\n  - {name: t, service_name: svc, handler_name: set, object_keys: [acct/1, acct/2]}\n")} {
		d.say(t, 0, "", "register", name, def)
	}
	d.say(t, 0, "version 2", "register", "row", file("row2.yaml", wait("r2")))
	plan := file("s.yaml", "schedules:\n  - {name: first, workflow: whole, every: 1h}\n  - {name: last, workflow: whole, every: 1h}\n")
	d.say(t, 0, "", "schedules", "apply", plan)
	if resp, said := exchange(t, "PUT", d.url+"/v1/services/web", `{"url":"http://127.0.0.1:1/x","handlers":["h"]}`, "Content-Type", "application/json"); resp.StatusCode != 201 {
		t.Fatal(said)
	}
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{"set": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
		t.SetObject("acct/1", 1)
		t.SetObject("acct/2", 2)
		return nil, nil
	}})
	d.say(t, 0, "completed", "start", "task", "--id", "t1", "--wait")
	for _, name := range []string{"row", "current", "text"} {
		d.say(t, 0, "", "start", name, "--id", name+"-1")
	}
	digest := read(t, d.url+"/v1/workflows/text")
	digest = digest[strings.Index(digest, "sha256:"):][:len("sha256:")+64]
	if code := d.stop(t); code != 0 {
		t.Fatal(d.said)
	}
	flipBits(t, path, "definitions", "\x03row\x00\x00\x00\x01", true)
	flipBits(t, path, "current", "current", false)
	flipBits(t, path, "bodies", digest, false)
	flipBits(t, path, "rows", "schedule/first", false)
	flipBits(t, path, "rows", "service/web", false)
	flipBits(t, path, "objects", "acct/1", false)
	for _, want := range []string{"row", "current", digest, "schedule/first", "service/web", "acct/1"} {
		d.say(t, exitError, want, "verify", path)
		d.say(t, exitError, want, "doctor", path)
	}
	d.again(t)
	said := d.said.String()
	for _, want := range []string{"row", "current", `first\" cannot be read`, "web"} {
		if !strings.Contains(said, want) {
			t.Errorf("the daemon's log does not name %s:\n%s", want, said)
		}
	}
	for _, name := range []string{"whole", "row", "current", "text", "task"} {
		d.say(t, 0, name, "workflows")
	}
	d.say(t, 0, "completed", "start", "whole", "--wait")
	d.say(t, 0, "", "start", "row", "--id", "old", "--version", "1")
	d.say(t, 0, "r1", "show", "old")
	d.say(t, 0, "", "start", "row", "--id", "new")
	d.say(t, 0, "r2", "show", "new")
	for _, id := range []string{"row-1", "current-1"} {
		d.say(t, 0, "is recorded", "signal", id, "go")
		d.say(t, 0, "completed", "wait", id)
	}
	d.say(t, 0, "", "start", "current", "--id", "current-2")
	d.say(t, exitConflict, "register the workflow again", "start", "text")
	d.say(t, exitConflict, "register the workflow again", "show", "text-1")
	d.say(t, exitConflict, "register the workflow again", "explain", "text-1")
	d.say(t, 0, "text-1", "list", "--state", "running")
	d.say(t, 0, "", "register", "text", c)
	d.say(t, 0, "", "start", "text", "--id", "text-2")
	d.say(t, 0, "is recorded", "signal", "text-1", "go")
	d.say(t, 0, "completed", "wait", "text-1")

	d.say(t, 0, "damaged", "schedules", "list")
	d.say(t, 0, "last", "schedules", "list")
	d.say(t, exitConflict, "apply it again", "schedules", "show", "first")
	d.say(t, 0, "active", "schedules", "show", "last")
	d.say(t, 0, "", "schedules", "apply", plan)
	d.say(t, 0, "active", "schedules", "show", "first")

	d.say(t, 0, "damaged", "objects")
	d.say(t, 0, "acct/2", "objects")
	d.say(t, exitRunFailed, "task_unreadable", "start", "task", "--id", "t2", "--wait", "-o", "json")
	d.say(t, 0, "is deleted", "objects", "delete", "acct/1")
	d.say(t, 0, "completed", "start", "task", "--id", "t3", "--wait")
	d.say(t, 0, "damaged", "services")
	if code := d.stop(t); code != 0 {
		t.Fatal(d.said)
	}
	d.say(t, 0, "", "doctor", path, "--repair", made)
	d.say(t, 0, "nothing is damaged", "verify", made)
}

// A damaged access token opens nothing: neither with it nor without one does anybody get in, until there is a new one.
func TestADamagedAccessTokenOpensNothing(t *testing.T) {
	for _, ofKey := range []bool{false, true} {
		d := startDaemon(t, t.TempDir())
		path := filepath.Join(d.dir, "runs.db")
		_, out, _ := d.cli(t, "token", "create", "root", "--scope", "admin")
		d.kill()
		flipBits(t, path, "rows", "token/root", ofKey)
		d.again(t)
		d.say(t, exitAuth, "", "list")
		t.Setenv("AGNT5_API_KEY", secret(t, out))
		d.say(t, exitAuth, "", "list")
		if !strings.Contains(d.said.String(), "root") {
			t.Error(d.said)
		}
		d.kill()
		_, out, _ = d.cli(t, "token", "create", "root", "--scope", "admin", "--file", path)
		d.again(t)
		t.Setenv("AGNT5_API_KEY", secret(t, out))
		d.say(t, 0, "", "list")
	}
}

// A damaged row of those without which no journal opens: the daemon refuses by one line that names doctor, doctor says what to do, and makes a
// journal in which everything else is as it was. With a new secret, or an end that had to be found, nobody takes the new history for the old.
func TestDoctorMakesUpForTheRowsOfTheStart(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	path := filepath.Join(d.dir, "runs.db")
	d.say(t, 0, "", "register", "q", fileIn(t, d.dir, "q.yaml", atOnce))
	d.say(t, 0, "", "register", "w", fileIn(t, d.dir, "w.yaml", "steps:\n  - {name: s, type: wait_signal, signal: {name: go}}\n"))
	d.say(t, 0, "", "start", "q", "--id", "done", "--wait")
	d.say(t, 0, "", "start", "q", "--id", "gone", "--wait")
	d.say(t, 0, "", "delete", "gone")
	d.say(t, 0, "", "start", "w", "--id", "open")
	first := read(t, d.url+"/v1/events?limit=2")
	cursor := first[strings.Index(first, `"next_cursor":"`)+len(`"next_cursor":"`):]
	cursor = cursor[:strings.Index(cursor, `"`)]
	d.kill()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"format", "secret", "tail"} {
		for _, ofKey := range []bool{false, true} {
			opens := ofKey && key != "format" // the row is found though its key is damaged
			renewed := !ofKey && key != "format"
			made := filepath.Join(d.dir, "made.db")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			flipBits(t, path, "meta", key, ofKey)
			damaged, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0", "--file", path}, {"verify", path}} {
				if opens {
					continue
				}
				if code, _, errs := agnt5d(t, args...); code != exitError || !strings.Contains(errs, "agnt5d doctor") || strings.Count(errs, "\n") != 1 {
					t.Errorf("%s, key %t: %v: exit %d: %s", key, ofKey, args, code, errs)
				}
			}
			d.say(t, exitError, "--repair NEW", "doctor", path)
			d.say(t, 0, "is made of what is whole", "doctor", path, "--repair", made)
			d.say(t, 0, "nothing is damaged", "verify", made)
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("the damaged journal was changed: %v", err)
			}
			if left, _ := filepath.Glob(made + ".*"); len(left) != 0 {
				t.Errorf("left behind: %s", left)
			}
			if err := os.Rename(made, path); err != nil {
				t.Fatal(err)
			}
			d.again(t)
			d.say(t, 0, "completed", "show", "done")
			d.say(t, exitNotFound, "run_expired", "start", "q", "--id", "gone")
			d.say(t, 0, "is recorded", "signal", "open", "go")
			d.say(t, 0, "completed", "wait", "open")
			d.say(t, 0, "completed", "start", "q", "--wait")
			if got := read(t, d.url+"/v1/events?limit=100&cursor="+cursor); strings.Contains(got, "Begin anew") != renewed {
				t.Errorf("%s: a cursor of before gives %s", key, got)
			}
			if got := read(t, d.url+"/v1/events?limit=100"); strings.Contains(got, "repaired: a new secret") != renewed {
				t.Errorf("%s: the events are %s", key, got)
			}
			d.kill()
		}
	}
}
