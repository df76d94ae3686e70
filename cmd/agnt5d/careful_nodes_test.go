//go:build !windows

package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
)

// Two nodes are both started with --careful. The one that held the runs first is stopped for a while, and the other one takes over and holds
// them; when that goes, the first one holds them still, for nobody has ended the hold.
func TestTheHoldGoesFromNodeToNode(t *testing.T) {
	t.Setenv("AGNT5D_DATABASE", schema(t))
	flags := []string{"--careful", "--node-lease", "1s"}
	one := startNode(t, "one", flags...)
	untilReady(t, one)
	two := startNode(t, "two", flags...)
	untilWaiting(t, two)
	holds := func(n *daemon, want bool) {
		t.Helper()
		c, err := client.New(n.url, client.Options{Patience: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if h, err := c.Holding(t.Context()); err != nil || h.Held != want {
			t.Fatalf("held: %v, want %v: %+v, %v", h.Held, want, h, err)
		}
	}
	holds(one, true)
	if err := one.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	untilReady(t, two)
	holds(two, true)
	if err := one.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	untilWaiting(t, one)
	if code := two.stop(t); code != 0 {
		t.Errorf("exit %d: %s", code, two.said)
	}
	untilReady(t, one)
	holds(one, true)
	one.say(t, 0, "nothing is held any more", "resume", "--all")
}
