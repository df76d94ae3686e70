package journaltest

import (
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// Open opens the journal in a directory, and creates that of a shard when there is none yet.
type Open func(t *testing.T, dir string, shard journal.Shard) journal.Log

// Faults are what a journal's test can do to what the journal is kept on. Without one, the rule that needs it is not checked.
type Faults struct {
	// Damage changes a byte of the body of the record at seq, behind the back of a journal that is closed.
	Damage func(t *testing.T, dir string, seq uint64)
	// Fill takes all space from an open journal, until back is called.
	Fill func(t *testing.T, log journal.Log) (back func())
	// Takeover says that whoever opens the journal takes it over from the engine that has it open. Else the second one is refused.
	Takeover bool
}

// Run checks a kind of journal against all rules: one that is a file, whose shard is 0, and one of another shard.
func Run(t *testing.T, open Open, faults Faults) {
	for _, shard := range []journal.Shard{0, 3} {
		t.Run(fmt.Sprint("Shard", shard), func(t *testing.T) { run(t, open, faults, shard) })
	}
}

func run(t *testing.T, open Open, faults Faults, shard journal.Shard) {
	for _, rule := range []struct {
		name string
		test func(*bench)
		off  bool
	}{
		{"WhatWasAcknowledgedIsThereAfterReopening", reopening, false},
		{"BatchesAreAcknowledgedInOrder", order, false},
		{"TheLogIsReadFromAnyPlace", reading, false},
		{"AHistoryIsReadInPages", history, false},
		{"RecoveryGivesSnapshotsAndTheTail", recovery, false},
		{"WhatWasWrittenLastCounts", rows, false},
		{"RunsAreListedNewestFirst", lists, false},
		{"ARunIsFoundByItsTags", tagged, false},
		{"APurgedRunIsGone", purges, false},
		{"WhatAPurgeLeavesIsSweptWhenItIsOver", sweeps, false},
		{"ReadersDoNotStopAppends", together, false},
		{"ASnapshotIsReadByItsRun", snapshots, false},
		{"WhatIsKeptForLongStaysInOrder", retention, false},
		{"DamageIsNamedAndStaysWhereItIs", damage, faults.Damage == nil},
		{"AFullJournalRefusesAndLosesNothing", full, faults.Fill == nil},
		{"AQuestionIsAnsweredRowByRow", asking, false},
		{"AnEngineThatWasTakenOverWritesNothing", takeover, !faults.Takeover},
	} {
		if rule.off {
			continue
		}
		t.Run(rule.name, func(t *testing.T) {
			b := &bench{T: t, open: open, faults: faults, shard: shard, dir: t.TempDir(), last: map[uint64]journal.Record{}}
			b.reopen()
			rule.test(b)
		})
	}
}
