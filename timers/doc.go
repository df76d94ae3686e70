// Package timers knows when: which moment a timer step means, which of many moments comes first, and when one has come.
//
// Due and AbsorbDue work out moments, and Queue gives them in order; both are pure. Service is the only thing in the engine that
// sleeps: it is told the next moment and calls back when that has come, by the wall clock as it reads, whatever the clock did
// in between.
package timers
