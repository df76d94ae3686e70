// Package shard is the one loop that everything goes through, as a synchronous core: no goroutine, no clock, no sleep.
//
//	 Start/Signal/Cancel ─▶ inbox ◀────────────── facts ◀───────────────┐
//	                         ▼                                          │
//	turn.go   1 admit   take inputs, drop duplicates, stamp the time     │
//	          2 apply   fold them into the runs' states                  │
//	          3 decide  until nothing more follows                       │
//	          4 append  facts, then intents: one record a run and turn   │
//	          5 publish when it is durable: answer callers, feed watchers│
//	          6 offer   intents ─▶ workers, timers, object keys ─────────┘
//
// The caller turns it:
//
//	r.Take(now, inputs)              // what must be read of the journal for them? see needs.go
//	batch := r.Turn(now, nil)        // 1 to 4; batch is what must be written, nil when nothing must
//	journal.Append(batch.Batch, ...) // the caller's affair: in production a committer shared by many turns
//	r.Committed(batch, err, now)     // 5 and 6
//	r.NextWake()                     // when to turn although nothing came
//
// Its rules:
//
//  1. Only turn.go makes records.
//  2. Nothing leaves before the batch that it follows from was committed. Turns may run ahead of the disk inside the shard;
//     a failed commit stops the engine, but for a clean out-of-space, after which everything in memory is folded again.
//  3. What is owed after a crash is the state's open intents. They are offered again under the same run, step and attempt.
//  4. Batches are committed in the order in which they were made.
//  5. It reads the journal only while it recovers. What it needs later it asks for, and goes on with other things.
//
// The engine turns it with goroutines, the simulator with a virtual clock; it is the same shard.
//
// # Words
//
// What the words of the core mean, here and in the packages beside it.
//
// What is recorded:
//
//	run             one execution of a workflow; its number is the sequence of its first record, its id is the user's
//	instance        one thing that a run does: a step of its definition, or one that was added while it ran
//	attempt         one try of an instance, counted from 1
//	event           one recorded change of a run; its sequence (seq) is its place in the log
//	record          the events of one run in one turn, written together
//	fact, intent    an event that says what happened; an event that says what is to be done
//	batch           what one turn writes: records and the rows that change with them; durable when it is committed
//	head            the row that lists and look-ups read of a run, without its records
//	snapshot        the encoded state of an open run after one of its records
//	recovery point  the sequence after which a start folds records; what is before it is in snapshots
//	fold            to apply events to a state; what a start does with the log
//
// Who works:
//
//	worker          who calls handlers: a process elsewhere, or this one
//	session         one worker's registration; leases are given to it
//	slot            an instance's newest attempt in the hub, while it is offered, leased or not yet settled
//	offer           to make a slot available to the workers of its handler
//	lease           a worker's right to an attempt; a remote worker renews it, or loses the attempt
//	token           what a remote worker names an attempt with
//	boot            a random number of one start of the engine, in tokens: it tells apart two histories with the same numbers
//	careful start   a start that is on disk before its handler is called: the step may have run before, or it counts that it began
//	out             said of an attempt that a worker still had when its run ended; it holds its keys until it answers or is lost
//	owed            what must still be done about an attempt, as the state has it; a start pays it
//
// How the loop goes:
//
//	turn            one pass of the loop: take inputs, fold, decide, and hand out a batch
//	input           a request or a report that the loop takes
//	need            what an input must read of the journal first
//	held back       said of an input that waits for its needs, or behind another about the same run or worker
//	parked          said of an idle run that is put away: only its number and its encoded state or its snapshot are kept
//	hurt            said of a run with damaged records: what is known of it is in its snapshot
//	quarantined     the state of a hurt run: nothing is added to it but its cancellation
//	newer           said of a run that a newer release wrote: it waits for that release
//	held            said of an object key that a step has; others wait for it
//	gone            said of ids whose runs are being deleted: the batch that deletes them is not durable yet
package shard
