// Package journaltest says what every journal must do, whatever it is kept on. Log is what an engine wants of a journal;
// Run checks one against the rules, and is called by the tests of each implementation:
//
//	func TestConformance(t *testing.T) {
//		journaltest.Run(t, func(t *testing.T, dir string) journaltest.Log {
//			j, err := journal.Open(filepath.Join(dir, "agnt5.db"), journal.Options{})
//			...
//			return j
//		})
//	}
//
// The rules, each of them a test of that name:
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
//
// What becomes of damage, of a full disk and of a failed sync depends on what a journal is kept on, and is not tested here.
package journaltest
