package worker

// fairQueue holds the offers of one handler: runs take turns, within a run first come first served.
type fairQueue struct {
	n     int
	byRun map[uint64]*runQueue
	ring  []*runQueue // runs with offers, whose turn it is in front
	head  int
	spare []*runQueue // emptied ones, to be used again
}

type runQueue struct {
	run   uint64
	slots []*Slot
	head  int
	live  int // slots that were not withdrawn
}

func (q *fairQueue) push(s *Slot) {
	r := q.byRun[s.Run]
	if r == nil {
		if n := len(q.spare); n > 0 {
			r = q.spare[n-1]
			q.spare = q.spare[:n-1]
			r.run = s.Run
		} else {
			r = &runQueue{run: s.Run}
		}
		q.byRun[s.Run] = r
		q.ring = append(q.ring, r)
	}
	s.run = r
	r.slots = append(r.slots, s)
	r.live++
	q.n++
}

// pop gives the next offer. The queue must not be empty.
func (q *fairQueue) pop() *Slot {
	for {
		r := q.ring[q.head]
		q.ring[q.head] = nil
		q.head++
		if q.head > 64 && q.head*2 > len(q.ring) {
			n := copy(q.ring, q.ring[q.head:])
			clear(q.ring[n:])
			q.ring, q.head = q.ring[:n], 0
		}
		s := r.next()
		if s == nil { // all of it was withdrawn
			q.retire(r)
			continue
		}
		q.n--
		if r.live > 0 {
			q.ring = append(q.ring, r)
		} else {
			q.retire(r)
		}
		s.run = nil
		return s
	}
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
	r.slots, r.head, r.live = r.slots[:0], 0, 0
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
