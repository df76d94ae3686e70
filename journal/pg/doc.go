// Package pg keeps a journal on PostgreSQL, so that a second machine can take it over.
//
// One commit is one pipeline with a single Sync: one implicit transaction, one round trip. Its first statement is the fence. It locks
// the shard's row and divides by zero unless the row has this owner's epoch and the log ends where this owner thinks; then nothing
// behind it in the pipeline is done either. Who takes the shard over makes a new epoch, and waits for that lock. So an owner that was
// stopped, cut off or only slow writes nothing any more, whatever its clock says, and is told ErrFenced.
//
// The fence locks the row and does not change it: a new version of the row with each commit would pile up for as long as anybody on that
// server holds a transaction open. The row is written at take-overs, recovery points and clean stops alone. That an owner is alive
// stands in another row, which is renewed each second. It saves time and is no proof: the fence decides.
//
// When the connection is lost during a commit it is not known whether that was recorded. The journal finds it out: under a new epoch
// nothing of the old connection can still come, and where the log ends says whether the commit is in it. Until the database is back, what
// was appended waits. A database that has lost what it had acknowledged ends the journal with an error that says so.
//
// Every row has a checksum over its key and its values. The tables stand in a schema of their own, agnt5 unless another one is named.
// It is plain SQL: no advisory locks, no LISTEN, no stored procedures.
package pg
