package shard_test

import (
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/schedules"
)

// A run that may start now starts now, also when the clock is put back before the shard comes to it.
func TestARunThatWaitedStartsThoughTheClockIsPutBack(t *testing.T) {
	const minute = 60_000
	b := newBed(t)
	b.register("w", flow.Task("work", "here", "work"))
	d, problems := schedules.Read([]byte(`{"name":"s","workflow":"w","every":"1m","overlap":"buffer_one"}`))
	if problems != nil {
		t.Fatal(problems)
	}
	b.do(&shard.Schedule{Name: "s", Do: func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) (*schedules.State, string, error) {
		out, _, err := schedules.Put(st, d, "", "local", now)
		return out, "put", err
	}, Reply: func(_ []byte, err error) {
		if err != nil {
			t.Error(err)
		}
	}})
	first := b.now.Wall - b.now.Wall%minute + minute
	b.advance(first - b.now.Wall)
	b.advance(minute) // the second one waits for the first
	b.turn(b.outcome(schedules.RunID("s", first) + "/work"))
	b.commit()
	if b.tasks[schedules.RunID("s", first+minute)+"/work"] != nil {
		t.Fatal("the run that waited has begun already")
	}
	b.now.Wall -= 60 * minute
	b.do()
	if b.tasks[schedules.RunID("s", first+minute)+"/work"] == nil {
		t.Error("the run that waited waits until the clock is there again")
	}
}
