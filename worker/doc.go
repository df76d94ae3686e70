// Package worker is what the handlers of steps are written with.
//
// Task is what a handler gets, Outcome what it answers; Adapt makes a Func of a typed Go function, the same for the engine's own
// process and for a remote worker. Log and FromContext give a handler its log and its task.
package worker
