package leases

import "testing"

// Once the run has ended only the lease of an attempt counts: a heartbeat of it, or that its deadline has passed, leaves it with a
// clock, and nobody is told of another end than that of the lease.
func TestOfACancelledAttemptOnlyTheLeaseCounts(t *testing.T) {
	hub := NewHub(1000, nobody{})
	f := hub.Handler("svc", "h")
	slot := hub.Restore(Slot{Run: 1, Handler: f, State: Leased, TimeoutMS: 100, BeatMS: 200}, 0, 1000, 0)
	slot.State = Cancelled
	for _, now := range []int64{50, 150, 400} {
		hub.Beat(slot, now, true, nil)
		hub.Expire(now, func(_ *Slot, why Why) { t.Errorf("at %d it ends, %d", now, why) })
		if err := hub.Check(); err != nil {
			t.Fatalf("at %d: %v", now, err)
		}
	}
	ended := Why(0)
	hub.Expire(1400, func(_ *Slot, why Why) { ended = why })
	if ended != LeaseExpired {
		t.Errorf("without a sign of life for a lease it ends by %d, want %d", ended, LeaseExpired)
	}
}
