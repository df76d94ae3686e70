// Package bolt is a journal.Log in one bbolt file. What a Log is, and the rules that it keeps, are said in package journal.
//
//	j, err := bolt.Open("data/agnt5.db", bolt.Options{})
//	err = j.Recover(visitor)            // snapshots of open runs, then the records after the recovery point
//	j.Append(batch, func(err error) {   // never blocks; batches that pile up are one commit
//		// nil: the batch is on stable storage. Only now may anything of it leave the engine.
//	})
//	err = j.Close()                     // commits what is queued
//
// # What is in the file
//
// Keys that are numbers are 8 bytes, big-endian. Every value begins with a CRC-32C over the bucket's name, the key and the
// rest of the value, so that a flipped bit, and a value under a foreign key, show when it is read. docs/journal-format.md
// draws every byte.
//
//	meta         "format", "secret" (32 random bytes), "tail" (next sequence, number of records, recovery point, clean stop)
//	log          sequence of a record's first event -> the record: run, its previous record, position in the run, time, body
//	heads        run -> what lists need to know of it: id, workflow, state, last record, times
//	ids          id -> run, or the tombstone of one that was purged
//	bystate      state, run -> nothing: the index for lists by state; not kept for CompletedState
//	byflow       workflow, run -> nothing: the index for lists by workflow
//	snapshots    run -> its state after some record
//	waypoints    run, position -> the record there, every 512 positions of a run
//	objects      object key -> its version, fence and state
//	definitions  workflow, version -> digest, time
//	current      workflow -> its current version
//	bodies       digest -> canonical JSON
//	holes        sequence -> how many from there on were purged
//	rows         key -> a setting of the layers above
//
// # Pages
//
// bbolt keeps no checksums of its own pages and trusts what it finds in them. Before it is let loose on a file, Open looks
// at the inner pages of every tree and at the list of free pages, and refuses a file (ErrDamagedFile, naming
// "agnt5d doctor") in which a page is used twice, out of place, or accounted for by nothing. What slips through is caught
// where it is read: a fault or a panic in bbolt becomes a *DamageError.
//
// # What it does not do
//
// It does not decide when to take snapshots, what to purge, or what to do about damage. It does not encrypt. It does not
// mend a damaged file. One process may write, and it must be the only one that has the file open, but for OpenReadOnly
// while none writes.
package bolt
