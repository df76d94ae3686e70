// Package leases says who may run a step now.
//
// What may be run is offered to the Hub of its shard, which keeps one fair queue per handler: runs take turns, so that one run's ten
// thousand steps do not starve another's one. Whoever has the sessions of workers, the Hub's Host, takes from the queues for a
// session with room; what it took is under a lease, with a Token that cannot be guessed and that can be verified without memory, so
// that an answer counts even when the engine restarted meanwhile.
//
// The Hub is pure: times are handed in (milliseconds of a monotonic clock), nothing sleeps, nothing is written. What it
// finds (a lease ran out, an attempt is over its timeout) it reports; the engine journals it.
package leases
