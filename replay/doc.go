// Package replay is the heart: a run is the fold of its journal.
//
// State is what a run is after its events so far; Apply folds one more event into it. A Turn is one turn of the shard for
// one run: the facts that came in are folded, then Decide works out what follows from them until nothing more does; each
// intent is folded as it is made. What a Turn wrote is one record of the journal.
//
// The rules that it keeps:
//
//  1. Apply is for ever, Decide is for today. Decisions are recorded, so a later release may decide otherwise, but it must
//     fold every old history to the same state.
//  2. There is no clock here, no randomness, no goroutine, no I/O. Time enters as the time of a record; Apply reads nothing
//     but the event and the state. (Decide may ask for the next match of a cron text: its answer is recorded as a time.)
//  3. What is owed after a crash is read off the state: Owed, Dues, Outs and requests for keys name all that some party must act on.
//  4. The cost of a turn follows what changed, not the size of the graph, but for the end and the reopening of a run.
//  5. Payloads are references into the journal (Payload.Seq); small ones are also kept beside the reference.
//
// Digest is over a versioned canonical encoding (codec.go), which is also what a snapshot holds. A field that is zero does
// not show in it, so a new field does not change the digest of an old state.
//
// The package sees no bytes of the journal's format and knows no worker; the engine brings the parties together.
package replay
