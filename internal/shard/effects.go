package shard

import "github.com/agnt5/agnt5d/internal/leases"

// effects is what follows from a turn, and is let out when all that the shard had decided by then is durable. A new list is named
// in merge, reset and empty; a test holds these against the fields.
type effects struct {
	then    []func(error) // replies
	offers  []offer
	release []*leases.Slot
	cancels []cancelled
	handout []*leases.Slot
	ended   []*Run       // runs that have ended: they leave memory unless something keeps them
	gone    []string     // ids of runs that are deleted
	stored  []storedSnap // of runs put away, whose state memory need not keep then
	asks    []pending    // what expressions come to
	ends    []endOf      // of children, that their parents do not know yet
	given   []Input      // outcomes of attempts in process, to be folded again if the batch is dropped
}

type storedSnap struct{ run, seq uint64 }

type cancelled struct {
	slot *leases.Slot
	why  string
}

type offer struct {
	run     *Run
	step    int32
	attempt uint32
	careful bool // it was open when the engine stopped: in process its start must be on disk before the handler is called
}

// merge puts the effects of o behind those of e. o keeps its lists.
func (e *effects) merge(o *effects) {
	e.then = append(e.then, o.then...)
	e.offers = append(e.offers, o.offers...)
	e.release = append(e.release, o.release...)
	e.cancels = append(e.cancels, o.cancels...)
	e.handout = append(e.handout, o.handout...)
	e.ended = append(e.ended, o.ended...)
	e.gone = append(e.gone, o.gone...)
	e.stored = append(e.stored, o.stored...)
	e.asks = append(e.asks, o.asks...)
	e.ends = append(e.ends, o.ends...)
	e.given = append(e.given, o.given...)
}

// reset empties the lists, to be filled again; one that a crowd has made very long is given up.
func (e *effects) reset() {
	e.then = emptied(e.then)
	e.offers = emptied(e.offers)
	e.release = emptied(e.release)
	e.cancels = emptied(e.cancels)
	e.handout = emptied(e.handout)
	e.ended = emptied(e.ended)
	e.gone = emptied(e.gone)
	e.stored = emptied(e.stored)
	e.asks = emptied(e.asks)
	e.ends = emptied(e.ends)
	e.given = emptied(e.given)
}

func emptied[T any](list []T) []T {
	if cap(list) > 1<<14 {
		return nil
	}
	clear(list)
	return list[:0]
}

// empty says that nothing follows.
func (e *effects) empty() bool {
	return len(e.then) == 0 && len(e.offers) == 0 && len(e.release) == 0 && len(e.cancels) == 0 && len(e.handout) == 0 &&
		len(e.ended) == 0 && len(e.gone) == 0 && len(e.stored) == 0 && len(e.asks) == 0 && len(e.ends) == 0 && len(e.given) == 0
}
