package leases

// fairQueue holds the offers of one handler: workflows take turns, within a workflow its runs, and within a run first come is first
// served.
type fairQueue struct {
	n         int
	byRun     map[uint64]*runQueue
	byFlow    map[string]*flowQueue
	flows     turns[*flowQueue] // those with offers
	spare     []*runQueue       // emptied ones, to be used again
	spareFlow []*flowQueue
}

// flowQueue is what a workflow has in a queue.
type flowQueue struct {
	name string
	runs turns[*runQueue] // those with offers
}

type runQueue struct {
	run   uint64
	flow  *flowQueue
	slots []*Slot
	head  int
	live  int // slots that were not withdrawn
}

// turns is a queue of those who wait for their turn.
type turns[T any] struct {
	all  []T
	head int
}

func (t *turns[T]) push(v T) { t.all = append(t.all, v) }

// first is whose turn it is. There must be somebody.
func (t *turns[T]) first() T { return t.all[t.head] }

func (t *turns[T]) drop() {
	var none T
	t.all[t.head] = none
	t.head++
	switch {
	case t.head == len(t.all):
		t.all, t.head = t.all[:0], 0
	case t.head > 64 && t.head*2 > len(t.all):
		n := copy(t.all, t.all[t.head:])
		clear(t.all[n:])
		t.all, t.head = t.all[:n], 0
	}
}

func (t *turns[T]) len() int { return len(t.all) - t.head }

// waiting gives all of them. The slice is the queue's own.
func (t *turns[T]) waiting() []T { return t.all[t.head:] }

func newFairQueue() fairQueue {
	return fairQueue{byRun: map[uint64]*runQueue{}, byFlow: map[string]*flowQueue{}}
}

func (q *fairQueue) push(s *Slot) {
	r := q.byRun[s.Run]
	if r == nil {
		r = q.enlist(s)
	}
	s.run = r
	r.slots = append(r.slots, s)
	r.live++
	q.n++
}

// enlist gives a run its turn among those of its workflow, and the workflow its own if it has none.
func (q *fairQueue) enlist(s *Slot) *runQueue {
	r := take(&q.spare)
	f := q.byFlow[s.Workflow]
	if f == nil {
		f = take(&q.spareFlow)
		f.name = s.Workflow
		q.byFlow[s.Workflow] = f
		q.flows.push(f)
	}
	r.run, r.flow = s.Run, f
	q.byRun[s.Run] = r
	f.runs.push(r)
	return r
}

func take[T any](spare *[]*T) *T {
	n := len(*spare)
	if n == 0 {
		return new(T)
	}
	v := (*spare)[n-1]
	*spare = (*spare)[:n-1]
	return v
}

// pop gives the next offer. The queue must not be empty.
func (q *fairQueue) pop() *Slot {
	for {
		f := q.flows.first()
		q.flows.drop()
		s := q.next(f)
		if f.runs.len() > 0 {
			q.flows.push(f)
		} else {
			delete(q.byFlow, f.name)
			if len(q.spareFlow) < 1024 {
				q.spareFlow = append(q.spareFlow, f)
			}
		}
		if s != nil {
			q.n--
			s.run = nil
			return s
		}
	}
}

// next gives the next offer of a workflow; nil: all of them were withdrawn.
func (q *fairQueue) next(f *flowQueue) *Slot {
	for f.runs.len() > 0 {
		r := f.runs.first()
		f.runs.drop()
		s := r.next()
		if r.live > 0 {
			f.runs.push(r)
		} else {
			q.retire(r)
		}
		if s != nil {
			return s
		}
	}
	return nil
}

func (r *runQueue) next() *Slot {
	for r.head < len(r.slots) {
		s := r.slots[r.head]
		r.slots[r.head] = nil
		r.head++
		if s.State == Queued && s.run == r {
			r.live--
			return s
		}
	}
	return nil
}

func (q *fairQueue) retire(r *runQueue) {
	delete(q.byRun, r.run)
	clear(r.slots)
	r.slots, r.head, r.live, r.flow = r.slots[:0], 0, 0, nil
	if cap(r.slots) <= 64 && len(q.spare) < 1024 {
		q.spare = append(q.spare, r)
	}
}

// remove takes an offer out; its place is skipped when its turn comes.
func (q *fairQueue) remove(s *Slot) {
	s.run.live--
	s.run = nil
	q.n--
}
