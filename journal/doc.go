// Package journal is the contract of the durable order of everything: one log of records, each of them all that one turn of one
// run wrote, and beside it what is looked up rather than replayed. The bytes have no meaning here: what a record says is for
// package event, what follows from it for package replay.
//
//	j, err := bolt.Open("data/agnt5.db", bolt.Options{})   // or another Log
//	err = j.Recover(visitor)            // snapshots of open runs, then the records after the recovery point
//	j.Append(batch, func(err error) {   // never blocks; batches that pile up are one commit
//		// nil: the batch is on stable storage. Only now may anything of it leave the engine.
//	})
//	err = j.Close()                     // commits what is queued
//
// Package bolt keeps a Log in one file; package journaltest is the suite that every kind of Log passes.
//
// # Rules
//
//  1. Sequences have no gaps but those that holes explain. A record of Count events takes Count of them.
//  2. A run's number is the sequence of its first record, whose Prev is 0; every other record of it names the one before.
//  3. A run's first record comes with its head, in the same batch. The head of a run that has ended names its last record:
//     a purge follows the links from there.
//  4. When a batch has a Base, every run that was open then has a snapshot.
//  5. An error other than ErrFull from a commit means that it is not known what was recorded: the journal refuses more.
//     After ErrFull nothing of the batch is in the file, nor of what was appended behind it.
//  6. What cannot be read is a *DamageError; a row that is missing where another says that it must be is damage, too, and
//     whose it is is told by links and rows that are whole, never by damaged bytes. Nothing is removed to make an error go
//     away.
//  7. No transaction is held open while foreign code runs, and long reads are made in pages: a read transaction makes the
//     file grow.
//  8. Append's done is called batch by batch in the order of the calls, and must be quick. It is told nil when the batch is on
//     stable storage; ErrFull, ErrBroken or ErrFenced, as their comments say; any other error when the batch is wrong (not the
//     continuation of the log, say) and nothing of it is in the journal. The batch must not be changed until then.
//
// # What it does not do
//
// It does not decide when to take snapshots, what to purge, or what to do about damage.
package journal
