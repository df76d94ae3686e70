// Package event is what can be written down: the facts that come to a run and the intents that the engine decides from
// them, with the one codec that puts them into the journal.
//
// A fact is something that happened outside (a run was asked for, an attempt ended, a signal came, a timer fired). An
// intent is something that was decided (schedule this step, wait for that signal, skip this one, complete the run). Both
// are Events; kinds.go says of each which it is and which fields it uses. A run is the fold of its events in order.
//
// All that one turn of one run writes is one body: a version byte, then each event as a msgpack array of its kind and its
// fields in the order of its layout, trailing zero fields left out. Payloads are opaque bytes and travel as msgpack bin.
// An unknown kind, a newer version or a field too many is an error, never skipped: a release that cannot read an event
// must say so rather than fold a different history. Read shows such an event as far as it is known.
//
// The package imports nothing of ours and reads no clock.
package event
