// Package schedules knows what a schedule means: which moments are due, and what becomes of each. It is pure: no clock, no goroutine,
// no I/O.
//
// A due time is a schedule, a revision of it, and a nominal instant. Each gets exactly one Row in the schedule's ledger. Plan gives the
// nominal instants, State.Decide what becomes of those that have come: rows, and runs to be started. Who calls it writes the state,
// the rows and the starts of the runs in one commit.
package schedules
