package shard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/shard"
)

// A wait that was answered does not keep its time-out in memory until then: days, of each of very many. What still waits has its time.
func TestTheTimesOfAnsweredWaitsAreThrownAway(t *testing.T) {
	b := newBed(t)
	b.register("w", flow.WaitSignal("s", "go", flow.Timeout(48*time.Hour, "late")), flow.Task("late", "here", "work"))
	b.start("waits", "w")
	const rounds, each = 70, 100
	for round := range rounds {
		var starts, signals []any
		for i := range each {
			id := fmt.Sprintf("r-%d-%d", round, i)
			starts = append(starts, &shard.Start{ID: id, Given: true, Workflow: "w", Input: []byte("null"), Reply: func(shard.Started, error) {}})
			signals = append(signals, &shard.Signal{ID: id, Name: "go", SignalID: "one", Payload: []byte("1"), Reply: func(_ string, err error) {
				if err != nil {
					t.Error(err)
				}
			}})
		}
		b.do(starts...)
		b.do(signals...)
	}
	if n := b.r.Times(); n > 5_000 {
		t.Errorf("%d times are kept for one wait, of %d that were answered", n, rounds*each)
	}
	b.advance(48 * time.Hour.Milliseconds())
	if b.tasks["waits/late"] == nil {
		t.Error("the time-out of what waited did not come")
	}
}
