package shard_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/schedules"
)

// A ledger says which due times had their runs, whatever revision they were of, and however many rows lie between two of them.
func TestALedgerKnowsWhichTimesHadTheirRuns(t *testing.T) {
	disk := sim.NewDisk(0)
	batch := &journal.Batch{}
	add := func(name string, row schedules.Row) {
		value, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		batch.Rows = append(batch.Rows, journal.Row{Key: shard.LedgerRows(name) + row.Key(), Value: value})
	}
	const hour = 3600_000
	for i := int64(1); i <= 1_000; i++ {
		row := schedules.Row{Nominal: i * hour, Revision: 7, Outcome: schedules.Missed}
		if i%250 == 0 {
			row.Outcome, row.Started = schedules.Fired, i*hour
			add("a", schedules.Row{Nominal: i * hour, Revision: 8, Outcome: schedules.PausedThen}) // under a newer one it did not
		}
		add("a", row)
	}
	add("a", schedules.Row{Nominal: 3 * hour, Hand: "by hand", Revision: 7, Outcome: schedules.Triggered, Started: 1})
	add("b", schedules.Row{Nominal: 3 * hour, Revision: 1, Outcome: schedules.Fired, Started: 1})
	disk.Append(&shard.Batch{Batch: batch})
	disk.Commit(1)

	var ids []string
	for _, i := range []int64{250, 1_000, 999, 1, 2_000, 500, 251, 3} {
		ids = append(ids, schedules.RunID("a", i*hour))
	}
	ids = append(ids, schedules.RunID("b", 3*hour), schedules.RunID("c", 3*hour), "b-trigger-01ARZ3NDEKTSV4RRFFQ69G5FAV", "other")
	var had []string
	for i, p := range disk.Reader().Past(ids) {
		if p.Err != nil {
			t.Fatal(p.Err)
		}
		if p.Started {
			had = append(had, ids[i])
		}
	}
	want := []string{schedules.RunID("a", 250*hour), schedules.RunID("a", 1_000*hour), schedules.RunID("a", 500*hour), schedules.RunID("b", 3*hour)}
	if !slices.Equal(had, want) {
		t.Errorf("these had their runs: %q, want %q", had, want)
	}
}
