// Package naive is a second model of what a definition means: when a step starts and when it is skipped, conditions, branches of
// failures, lists, rounds, templates, the time limit and the output of a run. It is written from the words of docs/definitions.md and docs/concepts.md and shares no code with the engine: no counters, no agenda, no events.
// Each question is answered by walking the graph. Tests hold the engine against it.
//
// A Run is driven by facts: Take, OK, Fail, Signal, Timeout, Fire, Due, Round, Answer, Lost, Cancel, Retry, Pause, Resume. Enabled gives those that can come next.
package naive
