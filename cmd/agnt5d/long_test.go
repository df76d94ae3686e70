//go:build !windows

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
)

// long is a daemon, a worker, and a step that the worker is in the middle of.
type long struct {
	*daemon
	t    *testing.T
	gate string
	w    *process
}

func startLong(t *testing.T, args ...string) *long {
	t.Helper()
	dir := t.TempDir()
	l := &long{t: t, gate: filepath.Join(dir, "gate")}
	if err := syscall.Mkfifo(l.gate, 0o600); err != nil {
		t.Fatal(err)
	}
	l.daemon = startDaemon(t, dir, args...)
	c := l.client(t)
	def := flow.Definition{Steps: []flow.Step{flow.Task("long", "svc", "slow"), flow.Task("after", "svc", "noop", flow.After("long"))}}
	if _, _, err := c.RegisterDefinition(t.Context(), "w", def); err != nil {
		t.Fatal(err)
	}
	l.w = startWorker(t, l.url, "AGNT5D_TEST_GATE="+l.gate)
	if _, _, err := c.Start(t.Context(), "w", nil, client.StartOptions{ID: "r"}); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		st, err := c.Status(t.Context(), "r", "")
		return err == nil && st.Steps["long"].State == "running"
	})
	return l
}

// ends lets the handler return: its first attempt must be the one that counts.
func (l *long) ends() {
	l.t.Helper()
	f, err := os.OpenFile(l.gate, os.O_WRONLY, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	st, err := l.client(l.t).Wait(l.t.Context(), "r")
	if err != nil {
		l.t.Fatal(err)
	}
	want := fmt.Sprintf(`"attempt 1 of r in process %d"`, l.w.cmd.Process.Pid)
	if st.State != "completed" || string(st.Steps["long"].Output) != want || st.Steps["long"].Attempt != 1 {
		l.t.Errorf("got %+v", st)
	}
}

// The outcome of a long step counts though the daemon restarted meanwhile, and the step is not run again.
func TestTheDaemonRestartsWhileAWorkerWorks(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		l := startLong(t)
		l.kill()
		l.again(t)
		l.ends()
	})
	t.Run("stopped", func(t *testing.T) {
		l := startLong(t)
		if code := l.stop(t); code != 0 {
			t.Fatalf("the daemon ended with %d: %s", code, l.said)
		}
		l.again(t)
		l.ends()
	})
}

// An older copy of the journal is put back while a worker works on. Another run gets the number of the one that the worker has, and
// the same step and attempt, and the very same worker will take it: what the worker brings of the first run is not put into it.
func TestACopyIsPutBackWhileAWorkerWorks(t *testing.T) {
	l := startLong(t)
	c := l.client(t)
	l.ends() // whatever the worker has in its hands now is from after the copy
	file := filepath.Join(l.dir, "runs.db")
	if code := l.stop(t); code != 0 {
		t.Fatalf("the daemon ended with %d: %s", code, l.said)
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l.again(t)
	start := func(id string) {
		t.Helper()
		if _, _, err := c.Start(t.Context(), "w", nil, client.StartOptions{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	start("x")
	until(t, func() bool {
		st, err := c.Status(t.Context(), "x", "")
		return err == nil && st.Steps["long"].State == "running"
	})
	if err := l.w.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	l.kill()
	if err := os.WriteFile(file, old, 0o600); err != nil {
		t.Fatal(err)
	}
	l.again(t)
	start("y")
	if err := l.w.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(l.gate, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := c.Wait(t.Context(), "y")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`"attempt 1 of y in process %d"`, l.w.cmd.Process.Pid); st.State != "completed" || string(st.Steps["long"].Output) != want {
		t.Errorf("y is %s, its step has the output %s, want %s", st.State, st.Steps["long"].Output, want)
	}
	if _, err := c.Status(t.Context(), "x", ""); err == nil {
		t.Error("the copy knows of x")
	}
}

// A daemon that is stopped for longer than a lease (SIGSTOP; a virtual machine that is moved does the same) takes no lease from a
// worker that was well all the time: its heartbeats lie in the socket.
func TestAPauseOfTheDaemonCostsNoLease(t *testing.T) {
	l := startLong(t, "--lease", "2s")
	for range 2 {
		if err := l.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond) // the pause itself
		if err := l.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if _, err := l.client(t).Status(t.Context(), "r", ""); err != nil {
			t.Fatal(err)
		}
	}
	l.ends()
}
