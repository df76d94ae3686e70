// Package archive reads a journal with meaning: which run an id names, the graph of a definition, a run's records and what they
// fold to, events by a cursor, statuses and lists, and whether all of it holds together. package journal knows no meaning, package
// replay sees no bytes; whoever needs both comes here: a shard that starts, an engine that is asked, and the commands that read a
// file which no engine holds.
//
//	a := archive.New(log)
//	run, err := a.Find("order-17", now)                     // its number
//	for rec, err := range a.Records(0) { ... }              // the whole log; damage is an error in its place, and what follows comes
//	for rec, err := range a.Run(run, last, 1) { ... }       // one run, along its own links
//	for ev, err := range a.History(run, last, after) { ... } // its events, as people see them
//	for ev, err := range a.Events(ctx, archive.Range{After: after, Upto: durable}) { ... }
//
// To stop early, leave the loop. To read on later, keep the Seq of the last event as the next After. No transaction of the journal
// is open while the loop's body runs: each iterator reads ahead in pages.
//
// It writes nothing. What only an engine knows (who works on a step, and why it does not move) is brought by whoever asks.
package archive
