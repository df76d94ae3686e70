// Package objects decides who may touch which object: across the whole engine at most one step at a time holds a key.
//
// A step asks for all its keys at once and is granted all of them at once, when it stands in front of every queue that it
// joined. Requests join their queues in the order of the journal, so the order in all queues is the same: nobody can wait
// in a circle (no deadlock), and whoever asked first is never overtaken on a key that both want (no starvation).
//
// Table holds only keys that somebody holds or wants. The durable state of an object is the journal's affair. Table is pure
// and not safe for concurrent use.
package objects

import "slices"

// Owner is one request of a step: Seq, the sequence of its StepBlocked, is unique in the engine and gives its turn.
type Owner struct {
	Seq  uint64
	Run  uint64
	Step int32
}

// Table is who holds and who wants which key.
type Table struct {
	queues   map[string][]*request // in front: the holder, or who is next
	requests map[uint64]*request   // by Owner.Seq
	ready    []*request            // in front of all their queues and not granted yet
}

type request struct {
	owner   Owner
	keys    []string
	front   int // queues in which it stands in front
	granted bool
}

// NewTable gives an empty table.
func NewTable() *Table {
	return &Table{queues: map[string][]*request{}, requests: map[uint64]*request{}}
}

// Request puts the owner into the queue of each key. Requests must come in ascending Owner.Seq per key; the same Seq
// again is ignored. Keys must not repeat.
func (t *Table) Request(o Owner, keys []string) {
	if t.requests[o.Seq] != nil {
		return
	}
	r := &request{owner: o, keys: keys}
	t.requests[o.Seq] = r
	for _, k := range keys {
		q := append(t.queues[k], r)
		t.queues[k] = q
		if len(q) == 1 {
			r.front++
		}
	}
	t.noteReady(r)
}

func (t *Table) noteReady(r *request) {
	if !r.granted && r.front == len(r.keys) {
		t.ready = append(t.ready, r)
	}
}

// Grantable takes the owners whose turn has come, in the order in which they asked. The caller journals each grant; Granted
// says that it has.
func (t *Table) Grantable() []Owner {
	if len(t.ready) == 0 {
		return nil
	}
	slices.SortFunc(t.ready, func(a, b *request) int {
		if a.owner.Seq < b.owner.Seq {
			return -1
		}
		return 1
	})
	var out []Owner
	for _, r := range t.ready {
		if !r.granted && t.requests[r.owner.Seq] == r {
			out = append(out, r.owner)
		}
	}
	t.ready = t.ready[:0]
	return out
}

// Granted says that the owner of that request holds its keys. It reports whether it stands in front of all its queues.
func (t *Table) Granted(seq uint64) bool {
	r := t.requests[seq]
	if r == nil || r.front != len(r.keys) {
		return false
	}
	r.granted = true
	return true
}

// Release takes the request out of every queue, held or not.
func (t *Table) Release(seq uint64) {
	r := t.requests[seq]
	if r == nil {
		return
	}
	delete(t.requests, seq)
	for _, k := range r.keys {
		q := t.queues[k]
		at := slices.Index(q, r)
		if at == 0 {
			q[0] = nil
			q = q[1:]
		} else {
			q = slices.Delete(q, at, at+1)
		}
		if len(q) == 0 {
			delete(t.queues, k)
			continue
		}
		t.queues[k] = q
		if at == 0 {
			q[0].front++
			t.noteReady(q[0])
		}
	}
}

// Key says who holds the key and who waits for it, in order. ok is false when nobody does either.
func (t *Table) Key(key string) (holder *Owner, queue []Owner, ok bool) {
	q := t.queues[key]
	for i, r := range q {
		if i == 0 && r.granted {
			holder = &Owner{r.owner.Seq, r.owner.Run, r.owner.Step}
			continue
		}
		queue = append(queue, r.owner)
	}
	return holder, queue, len(q) > 0
}

// Before gives the first key on which the request does not stand in front, who stands in front there, whether that one holds
// the key, and how many others stand between.
func (t *Table) Before(seq uint64) (key string, first Owner, held bool, between int, ok bool) {
	r := t.requests[seq]
	if r == nil {
		return "", Owner{}, false, 0, false
	}
	for _, k := range r.keys {
		q := t.queues[k]
		if at := slices.Index(q, r); at > 0 {
			return k, q[0].owner, q[0].granted, at - 1, true
		}
	}
	return "", Owner{}, false, 0, false
}

// Keys gives every key that somebody holds or wants, sorted.
func (t *Table) Keys() []string {
	keys := make([]string, 0, len(t.queues))
	for k := range t.queues {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
