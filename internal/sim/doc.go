// Package sim drives the engine's own shard through years of bad luck, on one goroutine, from one seed.
//
// A World is a shard, a Disk that commits when it likes and can lose what was not committed, workers that are slow, die,
// answer twice, come late and lie, and clients that retry and vanish. Time is a number that the World moves. First come the
// faults; then a quiet phase, in which everything must finish. After every step of the world the Judge looks at what became
// durable and at what was acknowledged, and compares both with what may be (judge.go lists the invariants).
//
// The seed is the bug report: the same seed gives the same history, byte for byte.
package sim
