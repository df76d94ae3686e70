// Package signals decides which arrival answers which wait.
//
// A Mailbox is the signals of one run: what has arrived and was not taken, and who waits. A wait takes the earliest
// arrival of its name that nobody took; an arrival answers the wait of its name that became ready first. An arrival is
// taken at most once. An arrival is known by its id for the life of the run, so that a repeat finds its first answer.
//
// Mailbox is pure: no clock, no I/O, no goroutine; the order of its calls is all it knows. It is not safe for concurrent use.
package signals

import (
	"maps"
	"slices"
)

// Arrival is one signal that came.
type Arrival struct {
	ID      string
	Name    string
	Seq     uint64 // of its SignalReceived
	Payload uint64 // hash of the payload's bytes, to tell a repeat from a conflict
	Size    uint32 // bytes of the payload
	By      int32  // the instance that took it: a step, or one that was added; Unconsumed if none did
}

// Unconsumed is Arrival.By of a signal that no wait took.
const Unconsumed = -1

// Mailbox is the signals of one run. Its zero value is empty and ready.
type Mailbox struct {
	arrivals []Arrival
	byID     map[string]int32
	open     map[string][]int32 // name -> arrivals not taken, earliest first
	waits    map[string][]int32 // name -> waiting steps, the one that became ready first in front
}

// Receive records an arrival that nobody has taken yet.
func (m *Mailbox) Receive(a Arrival) {
	i := int32(len(m.arrivals))
	m.arrivals = append(m.arrivals, a)
	if m.byID == nil {
		m.byID, m.open = map[string]int32{}, map[string][]int32{}
	}
	m.byID[a.ID] = i
	if a.By == Unconsumed {
		m.open[a.Name] = append(m.open[a.Name], i)
	}
}

// Find gives the arrival of that id.
func (m *Mailbox) Find(id string) (Arrival, bool) {
	if i, ok := m.byID[id]; ok {
		return m.arrivals[i], true
	}
	return Arrival{}, false
}

// Earliest gives the earliest arrival of that name that nobody took.
func (m *Mailbox) Earliest(name string) (Arrival, bool) {
	if q := m.open[name]; len(q) > 0 {
		return m.arrivals[q[0]], true
	}
	return Arrival{}, false
}

// Take says that step took the arrival of that name and sequence. It reports whether the arrival was there to take.
func (m *Mailbox) Take(name string, seq uint64, step int32) (Arrival, bool) {
	q := m.open[name]
	for at, i := range q {
		if m.arrivals[i].Seq != seq {
			continue
		}
		m.arrivals[i].By = step
		m.set(m.open, name, without(q, at))
		return m.arrivals[i], true
	}
	return Arrival{}, false
}

func without(q []int32, at int) []int32 {
	if at == 0 {
		return q[1:]
	}
	return append(q[:at:at], q[at+1:]...)
}

func (m *Mailbox) set(in map[string][]int32, name string, q []int32) {
	if len(q) == 0 {
		delete(in, name)
		return
	}
	in[name] = q
}

// Await says that step waits for that name from now on, behind those that wait already.
func (m *Mailbox) Await(name string, step int32) {
	if m.waits == nil {
		m.waits = map[string][]int32{}
	}
	m.waits[name] = append(m.waits[name], step)
}

// Leave says that step waits no more.
func (m *Mailbox) Leave(name string, step int32) {
	q := m.waits[name]
	for at, s := range q {
		if s == step {
			m.set(m.waits, name, without(q, at))
			return
		}
	}
}

// FirstWait gives the step that has waited longest for that name.
func (m *Mailbox) FirstWait(name string) (int32, bool) {
	if q := m.waits[name]; len(q) > 0 {
		return q[0], true
	}
	return 0, false
}

// LeaveAll says that nobody waits any more: the run has ended.
func (m *Mailbox) LeaveAll() { m.waits = nil }

// Arrivals gives every arrival, in order. The slice is the Mailbox's own.
func (m *Mailbox) Arrivals() []Arrival { return m.arrivals }

// Waits gives the waiting steps: names in order, each name's steps in the order in which they became ready.
func (m *Mailbox) Waits() []int32 {
	names := slices.Sorted(maps.Keys(m.waits))
	var all []int32
	for _, n := range names {
		all = append(all, m.waits[n]...)
	}
	return all
}
