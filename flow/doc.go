// Package flow is the declared graph: what a workflow is before anything runs.
//
// A Definition is a list of steps in causal order. Build it in Go with Task, WaitSignal and WaitTimer, or Parse it
// from JSON or YAML. Nothing is checked while it is built; Validate reports every problem at
// once, each with a stable code, the step and a sentence. Canonical is the one form that a definition's Digest is over.
// NewGraph works out, once, what the engine needs to know: dependents, branches of waits, joins.
//
// The package is a leaf: it imports nothing of ours but the cron wrapper, keeps no state and does no I/O.
package flow
