package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// A backup of a daemon at work is put back after a kill, while a worker still has a task of before: its outcome is refused, the task
// is offered again, and what came after the backup is gone. Nothing is ever overwritten.
func TestABackupIsPutBack(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--lease", "2s")
	c, ctx := d.client(t), t.Context()
	if _, _, err := c.RegisterDefinition(ctx, "w", flow.Definition{Steps: []flow.Step{flow.Task("s", "svc", "h")}}); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	given, gate := make(chan struct{}), make(chan struct{})
	w := client.NewWorker(c, "svc", client.WorkerOptions{})
	client.HandleRaw(w, "h", func(context.Context, *worker.Task) (json.RawMessage, error) {
		n := calls.Add(1)
		if n == 1 {
			close(given)
			<-gate // it ignores that its lease is void
		}
		return json.Marshal(n)
	})
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()
	if _, _, err := c.Start(ctx, "w", nil, client.StartOptions{ID: "before"}); err != nil {
		t.Fatal(err)
	}
	<-given
	copied := filepath.Join(d.dir, "copy.db")
	for _, bad := range []string{"fast", "1B", "-1", "10 apples"} {
		d.say(t, exitUsage, "--rate", "backup", "--rate", bad, copied)
	}
	if strings.Contains(read(t, d.url+"/metrics"), "agnt5_last_backup_timestamp_seconds ") {
		t.Error("a backup is shown, and there was none")
	}
	d.say(t, 0, ", checked", "backup", "--rate", "200MB", copied)
	d.say(t, exitConflict, "no file is overwritten", "backup", copied)
	d.say(t, 0, `"verified":false`, "backup", "--no-verify", "-o", "json", filepath.Join(d.dir, "unchecked.db"))
	if !strings.Contains(read(t, d.url+"/metrics"), "agnt5_last_backup_timestamp_seconds 1") {
		t.Error("no backup is shown")
	}
	if _, _, err := c.Start(ctx, "w", nil, client.StartOptions{ID: "after"}); err != nil {
		t.Fatal(err)
	}
	d.kill()
	path := filepath.Join(d.dir, "runs.db")
	d.say(t, exitUsage, "--file is missing", "restore", copied)
	d.say(t, exitConflict, "nothing is overwritten", "restore", copied, "--file", path)
	d.say(t, exitNotFound, "no such file", "restore", copied+"x", "--file", path+"x")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(d.dir, "broken.db")
	spoil(t, copied, broken)
	d.say(t, exitError, "", "restore", broken, "--file", path)
	if _, err := os.Stat(path); err == nil {
		t.Fatal("a damaged backup was restored")
	}
	d.say(t, 0, "restored up to event", "restore", copied, "--file", path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	d.again(t)
	close(gate)
	st, err := c.Wait(ctx, "before")
	if err != nil || st.State != "completed" || string(st.Steps["s"].Output) == "1" {
		t.Errorf("%+v, %v", st, err)
	}
	if n := calls.Load(); n < 2 {
		t.Errorf("the handler was called %d times", n)
	}
	if _, err := c.Status(ctx, "after", ""); err == nil {
		t.Error("a run of after the backup is there")
	}
	events, _, err := c.AllEvents(ctx, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, e := range events {
		if e.Kind == "SettingChanged" && e.Data["key"] == "journal/secret" {
			told = fmt.Sprint(e.Data["what"])
		}
	}
	if !strings.Contains(told, "new secret for lease tokens") {
		t.Errorf("the events say %q", told)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	d.kill()
	d.say(t, 0, "nothing is damaged", "verify", path)
}

// spoil copies a journal, and changes a byte in the middle of a record.
func spoil(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(b), "before")
	if at < 0 {
		t.Fatal("no run in the copy")
	}
	for i := 0; i < len(b)-6; i++ {
		if string(b[i:i+6]) == "before" {
			b[i] ^= 1
		}
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A daemon's journal is compacted while it works, and a closed one by its name; each asks for the other where it cannot.
func TestCompactAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--keep-deleted-ids", "1s")
	c, ctx := d.client(t), t.Context()
	if _, _, err := c.Register(ctx, "brief", brief("")); err != nil {
		t.Fatal(err)
	}
	fill := func(round int) {
		for i := range 150 {
			if _, _, err := c.Start(ctx, "brief", strings.Repeat("x", 20_000), client.StartOptions{ID: fmt.Sprint("run-", round, "-", i)}); err != nil {
				t.Fatal(err)
			}
		}
		until(t, func() bool {
			open, _, err := c.List(ctx, client.Filter{State: "running"}, 1, "")
			return err == nil && len(open) == 0
		})
	}
	fill(1)
	d.say(t, 0, "150 runs matched, 150 deleted", "delete", "--all", "--yes")
	if _, _, err := c.Start(ctx, "brief", "kept", client.StartOptions{ID: "kept"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.dir, "runs.db")
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	d.say(t, exitConflict, `"agnt5d compact", without a file`, "compact", path)
	d.say(t, 0, "commits waited for", "compact")
	if after := size(); after > before/2 {
		t.Errorf("from %d to %d bytes", before, after)
	}
	fill(2)
	d.kill()
	d.again(t)
	if st, err := c.Status(ctx, "run-2-149", ""); err != nil || st.State != "completed" {
		t.Errorf("written after it was compacted: %v, %v", st, err)
	}
	d.say(t, 0, `"paused_ms"`, "compact", "-o", "json")
	d.kill()
	d.say(t, 0, "from ", "compact", path)
	d.say(t, exitNotFound, "no such file", "compact", path+"x")
	d.say(t, exitUnreachable, "no answer", "compact")
	d.say(t, 0, "nothing is damaged", "verify", path)
	if left, _ := filepath.Glob(path + ".*"); len(left) > 1 {
		t.Errorf("left behind: %v", left)
	}
}

// A journal on a database has tools of its own, and is told so before anything is asked of it.
func TestAJournalOnADatabaseIsKeptByItsTools(t *testing.T) {
	const url = "postgres://somebody:secret@127.0.0.1:1/journal"
	for _, args := range [][]string{{"compact", url}, {"backup", "--file", url, filepath.Join(t.TempDir(), "x")}, {"restore", url, "--file", filepath.Join(t.TempDir(), "x")}, {"restore", "x", "--file", url}} {
		code, out, errs := agnt5d(t, args...)
		if code != exitUsage || !strings.Contains(errs, "pg_dump") || strings.Contains(out+errs, "secret") {
			t.Errorf("%v: %d %s%s", args, code, out, errs)
		}
	}
}
