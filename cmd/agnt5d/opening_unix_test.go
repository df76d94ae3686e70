//go:build unix

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestASignalEndsADaemonThatOpensItsFile: a pipe that nobody writes into is a file that takes for ever to open.
func TestASignalEndsADaemonThatOpensItsFile(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		listen := freePort(t)
		p, _ := startOnPipe(t, "serve --listen "+listen+" --file ")
		until(t, func() bool { // it has its port, and opens the file next
			c, err := net.Dial("tcp", listen)
			if err != nil {
				return false
			}
			_ = c.Close()
			return true
		})
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		code := p.within(t, 10*time.Second)
		if said := p.said.String(); code != 0 || len(plainLines(said)) != 0 || !strings.Contains(said, "stopped while it opened the file") {
			t.Errorf("%s: exit %d: %s", sig, code, said)
		}
	}
}

// TestASecondSignalEndsAnyVerb, whether it heeds the first or not: this one waits for a file's end.
func TestASecondSignalEndsAnyVerb(t *testing.T) {
	p, pipe := startOnPipe(t, "validate ")
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // opens when the verb has begun to read
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ended := make(chan int)
	go func() { ended <- p.within(t, 10*time.Second) }()
	ticks := time.NewTicker(20 * time.Millisecond) // whenever the first is heeded, the next is the second
	defer ticks.Stop()
	for {
		select {
		case code := <-ended:
			if code != exitInterrupted {
				t.Errorf("exit %d: %s", code, p.said)
			}
			return
		case <-ticks.C:
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
}

// startOnPipe starts the program on a pipe, whose name is put behind args.
func startOnPipe(t *testing.T, args string) (p *process, pipe string) {
	t.Helper()
	pipe = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	p = &process{exec.Command(os.Args[0], "-test.run=^$"), &output{}}
	p.cmd.Env = append(os.Environ(), "AGNT5D_TEST_MAIN="+args+pipe)
	p.cmd.Stderr = p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p, pipe
}
