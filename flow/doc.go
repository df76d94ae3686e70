// Package flow is the declared graph: what a workflow is before anything runs.
//
// A Definition is a list of steps in causal order. Build it in Go with Task, WaitSignal and WaitTimer, or Read it from JSON or
// YAML. Nothing is checked while it is built; Validate, and Read with it, report every problem at once, each with a stable code
// (Codes says what it means), the step, a sentence and, of a text, line and column. Warnings are about what can be run and is hardly meant.
//
// Canonical is the one form of a definition, compact ASCII JSON with sorted keys, and its Digest is over that. What Validate
// takes can always be read again from its canonical form, as the same definition. NewGraph works out, once, what the engine
// needs to know: dependents, what on_timeout names, the timers beside a task, and the joins of the branches of waits.
//
// Limits: 32 MiB, as given and in canonical form (8 MiB as YAML); 100,000 steps; input_data of 1 MiB, nested 64 deep. Whatever the text, reading
// and validating take time and memory in proportion to it, or to edges times waits / 64.
//
// CheckJSON, EqualJSON and the Valid functions are the rules for payloads, names and ids; others ask them here.
//
// The package is a leaf: it imports nothing of ours but the cron wrapper and the finder of misspelt words, keeps no state and does no I/O but that of package
// time for the rules of a zone.
package flow
