//go:build !windows

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/flow"
)

// within gives a process a limit to end by itself, ten times as wide as what is promised.
func (p *process) within(t *testing.T, limit time.Duration) int {
	t.Helper()
	timer := time.AfterFunc(limit, func() {
		t.Errorf("it did not end within %s", limit)
		_ = p.cmd.Process.Signal(syscall.SIGABRT) // its stacks are what is wanted then
	})
	_ = p.cmd.Wait()
	timer.Stop()
	return p.cmd.ProcessState.ExitCode()
}

// plainLines are the lines that are not of the log.
func plainLines(said string) (plain []string) {
	for line := range strings.Lines(said) {
		if !json.Valid([]byte(line)) {
			plain = append(plain, strings.TrimSpace(line))
		}
	}
	return plain
}

func keepWaiting(t *testing.T, d *daemon) {
	t.Helper()
	def := flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}
	if _, _, err := d.client(t).RegisterDefinition(t.Context(), "w", def); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, _, err := d.client(t).Start(t.Context(), "w", strings.Repeat("x", 10_000), client.StartOptions{ID: fmt.Sprint("r", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// What is done to a journal while a daemon has it open.
var taken = map[string]struct {
	do   func(path string) error
	says string
}{
	"deleted":         {os.Remove, "was deleted or moved"},
	"moved":           {func(p string) error { return os.Rename(p, p+".old") }, "was deleted or moved"},
	"folder moved":    {func(p string) error { return os.Rename(filepath.Dir(p), filepath.Dir(p)+".old") }, "was deleted or moved"},
	"replaced":        {replaceFile, "was replaced"},
	"emptied":         {func(p string) error { return os.Truncate(p, 0) }, "was cut"},
	"cut in half":     {func(p string) error { return os.Truncate(p, 16<<10) }, "was cut"},
	"emptied by copy": {func(p string) error { return os.WriteFile(p, []byte("hello"), 0o600) }, "was cut"},
}

func replaceFile(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".copy", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".copy", path)
}

// TestTheFileIsTakenFromUnderTheDaemon: nothing that happens to its file ends the daemon by a signal, lets it hang, or lets it
// acknowledge what nobody will find. It stops with one plain line.
func TestTheFileIsTakenFromUnderTheDaemon(t *testing.T) {
	for name, how := range taken {
		for _, busy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/busy=%v", name, busy), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "journal")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				d := startDaemon(t, dir)
				keepWaiting(t, d)
				if err := how.do(filepath.Join(dir, "runs.db")); err != nil {
					t.Fatal(err)
				}
				if busy { // reads and writes at once, so that one of them meets it first
					for i := range 8 {
						go func() { _, _ = http.Get(fmt.Sprintf("%s/v1/runs/r%d", d.url, i)) }()
						go func() { _, _ = http.Get(d.url + "/v1/runs") }()
					}
					resp, err := http.Post(d.url+"/v1/workflows/w/runs", "application/json", strings.NewReader(`{"workflow_id":"late"}`))
					if err == nil {
						body, _ := io.ReadAll(resp.Body)
						resp.Body.Close()
						stopped := resp.StatusCode == 500 && bytes.Contains(body, []byte("engine_stopped"))
						stopping := resp.StatusCode == 503 && bytes.Contains(body, []byte("shutting_down")) // the daemon was faster
						moved := resp.StatusCode == 201 && strings.Contains(name, "moved")                  // it is in the file, wherever that is now
						if !stopped && !stopping && !moved {
							t.Errorf("a start was answered %d: %s", resp.StatusCode, body)
						}
					}
				}
				code := d.within(t, 20*time.Second)
				if plain := plainLines(d.said.String()); code != exitError || len(plain) != 1 || !strings.Contains(plain[0], how.says) || strings.Contains(plain[0], "goroutine") {
					t.Errorf("exit %d, said: %s", code, d.said)
				}
			})
		}
	}
}

// A stop that was asked for is no clean one when the file is not there.
func TestAStopFindsThatTheFileIsGone(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	if err := os.Remove(filepath.Join(d.dir, "runs.db")); err != nil {
		t.Fatal(err)
	}
	if code := d.stop(t); code != exitError || !strings.Contains(d.said.String(), "was deleted or moved") {
		t.Errorf("exit %d: %s", code, d.said)
	}
}

func TestSIGHUPEndsNothing(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(d.url + "/healthz"); err != nil {
		t.Fatal(err)
	}
	if code := d.stop(t); code != 0 || !strings.Contains(d.said.String(), "SIGHUP ignored: settings are read at start only") {
		t.Errorf("exit %d: %s", code, d.said)
	}
}

// TestNobodyReadsTheLog: the reader of its log goes away, and the daemon still works and stops in order.
func TestNobodyReadsTheLog(t *testing.T) {
	dir := t.TempDir()
	listen := freePort(t)
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "AGNT5D_TEST_MAIN=serve --listen "+listen+" --file "+filepath.Join(dir, "runs.db"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	w.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "listening") {
		t.Fatalf("%q %v", line, err)
	}
	r.Close()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("a stop that says so to nobody: %v", err)
	}
	if code, out, errs := agnt5d(t, "verify", filepath.Join(dir, "runs.db")); code != 0 {
		t.Errorf("verify: exit %d: %s %s", code, out, errs)
	}
}

// TestAWriteErrorEndsTheDaemonAtOnce: connections that have sent nothing, or half of something, hold nothing up. The error is
// injected by strace, which must be installed.
func TestAWriteErrorEndsTheDaemonAtOnce(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("strace is not installed")
		}
		t.Skip("strace is not installed: a sync that fails cannot be injected here; CI does it")
	}
	d := startDaemon(t, t.TempDir())
	keepWaiting(t, d)
	for i := range 6 {
		c, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			fmt.Fprintf(c, "POST /v1/workflows/w/runs HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\n{", strings.TrimPrefix(d.url, "http://"))
		}
	}
	tracer := exec.Command(strace, "-f", "-qq", "-p", fmt.Sprint(d.cmd.Process.Pid), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO")
	errs, err := tracer.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tracer.Process.Kill(); _ = tracer.Wait() })
	go func() { _, _ = io.Copy(io.Discard, errs) }()
	until(t, func() bool { // the tracer has taken hold
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
		return err == nil && !strings.Contains(string(b), "TracerPid:\t0\n")
	})
	resp, err := http.Post(d.url+"/v1/workflows/w/runs", "application/json", strings.NewReader(`{}`))
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != 500 {
			t.Errorf("the start was answered %d", resp.StatusCode)
		}
	}
	began := time.Now()
	code := d.within(t, 10*time.Second)
	if plain := plainLines(d.said.String()); code != exitError || len(plain) != 1 || !strings.Contains(plain[0], "input/output error") {
		t.Errorf("exit %d after %s: %s", code, time.Since(began), d.said)
	}
	t.Log("it took", time.Since(began))
}

// A daemon says what it found: a path with a mistake in it looks like a journal from which every run has gone.
func TestServeSaysWhatItOpened(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	keepWaiting(t, d)
	if err := d.client(t).Cancel(t.Context(), "r0", ""); err != nil {
		t.Fatal(err)
	}
	d.stop(t)
	first := d.said.String()
	d.again(t)
	d.stop(t)
	for said, want := range map[string]string{
		first:           `"created":true,"runs_open":0,"runs":"0","events":0,`,
		d.said.String(): `"created":false,"runs_open":19,"runs":"20","events":`,
	} {
		if !strings.Contains(said, want) || !strings.Contains(said, fmt.Sprintf(`"file":%q`, filepath.Join(d.dir, "runs.db"))) {
			t.Errorf("no %s in %s", want, said)
		}
	}
}
