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
package shard
