package shard

import (
	"testing"

	"github.com/agnt5/agnt5d/replay"
)

// What is done about an attempt when memory has been folded anew: after a start (boot), or after a full disk, when workers are here.
func TestPay(t *testing.T) {
	const has, local, boot = true, true, true
	for _, c := range []struct {
		name             string
		owed             replay.Owed
		has, local, boot bool
		want             payment
	}{
		{"nothing is owed", replay.OwedNothing, has, local, boot, payNothing},
		{"offered, at a start", replay.OwedOffer, false, false, boot, payOffer},
		{"offered, after a full disk", replay.OwedOffer, false, false, false, payOffer},
		{"its worker is here, and its start was dropped", replay.OwedOffer, has, false, false, keepLease},
		{"its handler is here, and its start was dropped", replay.OwedOffer, has, local, false, keepLease},
		{"its worker has not come back yet", replay.OwedAnswer, false, false, boot, payLease},
		{"its worker's session has left, and that was dropped", replay.OwedAnswer, false, false, false, payLease},
		{"its worker is here", replay.OwedAnswer, has, false, false, keepLease},
		{"its handler died with the process", replay.OwedAnswer, false, local, boot, payLost},
		{"its handler has answered, and the answer is kept", replay.OwedAnswer, false, local, false, payNothing},
		{"its handler is here", replay.OwedAnswer, has, local, false, keepLease},
		{"its run has ended, and its worker has not come back", replay.OwedEnd, false, false, boot, payEnd},
		{"its run has ended, and its worker is here", replay.OwedEnd, has, false, false, keepEnd},
		{"its run has ended, and its handler died with the process", replay.OwedEnd, false, local, boot, payLost},
		{"its run has ended, and its handler is here", replay.OwedEnd, has, local, false, keepEnd},
		{"its run has ended, and its handler has answered", replay.OwedEnd, false, local, false, payNothing},
	} {
		if got := pay(c.owed, c.has, c.local, c.boot); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
