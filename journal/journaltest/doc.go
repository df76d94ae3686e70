// Package journaltest says what every journal.Log must do, whatever it is kept on. Run checks one against the rules, and is
// called by the tests of each implementation:
//
//	func TestConformance(t *testing.T) {
//		journaltest.Run(t, func(t *testing.T, dir string, shard journal.Shard) journal.Log {
//			j, err := bolt.Open(filepath.Join(dir, "agnt5.db"), bolt.Options{Shard: shard})
//			...
//			return j
//		}, journaltest.Faults{})
//	}
//
// The rules, each of them a test of that name, hold for the log of any shard, wherever its sequences begin:
//
//  1. What was acknowledged is there after the journal was closed and opened again, byte for byte.
//  2. Batches are acknowledged in the order in which they were appended, and one that does not continue the log is refused.
//  3. The log is read in its order from any place on, and an event is found inside its record.
//  4. A run's history is read forward from any position, in pages.
//  5. Recovery gives the snapshots of open runs by run, then the records after the recovery point, and whether the stop
//     was clean.
//  6. Heads, ids, objects, definitions and settings are what was written last, within a batch too.
//  7. Lists of runs are newest first, filtered and paged.
//  8. A purged run is gone; its id is a tombstone if that was asked for; the others are untouched.
//  9. A reader may read while it is being given records, and others may append meanwhile.
//  10. A snapshot is read by its run; the newest counts, and it goes with its run.
//  11. After many purges the log still goes on, in order, without those that are gone.
//  12. A damaged record is named with its sequence and its run, wherever it is met, and everything else is read as before.
//  13. A journal without space refuses with ErrFull, and so does everything appended behind; it is read all the while, and goes
//     on after a Probe where it stopped.
//  14. The answer to a Question has for each row what is read when that row is asked for alone, in the order of the question.
//  15. An engine whose journal was taken over is told ErrFenced for whatever is not in it, and nothing of that is; what it was told is
//     recorded is there. It is told without asking, too: Broken is closed, and Err says why. The other goes on behind what is there.
//
// Rules 12, 13 and 15 need Faults. What becomes of a failed sync depends on what a journal is kept on, and is not tested here.
package journaltest
