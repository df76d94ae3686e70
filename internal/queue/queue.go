// Package queue is the way of batches to whatever a journal is kept on. What piles up while one commit is under way is committed together,
// next, and answered in the order of the calls. It keeps rules 5 and 8 of package journal: after a refusal for want of space everything behind
// it is refused, too, until a probe succeeds, and after any other failure for good.
package queue

import (
	"sync"

	"github.com/agnt5/agnt5d/journal"
)

// Item is a batch in its turn. Err is not nil when it is refused already: the committer passes it over.
type Item struct {
	Batch *journal.Batch
	Err   error
	Bytes int // about what it puts

	done func(error)
	run  func() // something to do between two commits, in place of a batch
}

// Committer is what the queue leads to. It is called from one goroutine.
type Committer interface {
	// Check says what is wrong with a batch that must begin at a sequence.
	Check(b *journal.Batch, next uint64) error
	// Alone says that a batch is committed by itself.
	Alone(b *journal.Batch) bool
	// Commit makes a group durable. Its error is what all of the group is told; it has told the queue before what follows: see Fill and Fail.
	Commit(group []Item) error
	// Probe looks whether there is space again.
	Probe() error
}

// Queue is the batches on their way. It is safe for concurrent use.
type Queue struct {
	c    Committer
	most int // bytes of a group

	mu     sync.Mutex
	wake   sync.Cond
	items  []Item
	next   uint64 // where the next batch must begin
	full   error  // everything is refused until a probe succeeds
	broken error  // everything is refused for good
	closed bool

	dead    chan struct{} // closed: broken is set
	stopped chan struct{} // closed: Run has returned
}

// New gives a queue of groups of up to so many bytes. Nothing can be appended before Start.
func New(c Committer, most int) *Queue {
	q := &Queue{c: c, most: most, closed: true, dead: make(chan struct{}), stopped: make(chan struct{})}
	q.wake.L = &q.mu
	close(q.stopped)
	return q
}

// Start lets batches come, of which the first begins at next, and commits them in a goroutine of its own. last is called at its end.
func (q *Queue) Start(next uint64, last func()) {
	q.next, q.closed, q.stopped = next, false, make(chan struct{})
	go func() {
		defer close(q.stopped)
		q.commit()
		if last != nil {
			last()
		}
	}()
}

// Append puts a batch into the queue and returns at once; see journal.Log.
func (q *Queue) Append(b *journal.Batch, done func(error)) {
	item := Item{Batch: b, done: done}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		done(journal.ErrClosed)
		return
	}
	if item.Err = q.refused(); item.Err == nil {
		item.Err = q.c.Check(b, q.next)
	}
	if item.Err == nil {
		if n := len(b.Records); n > 0 {
			q.next = b.Records[n-1].End()
		}
		item.Bytes = b.Size()
	}
	q.items = append(q.items, item)
	q.wake.Signal()
	q.mu.Unlock()
}

// refused is why everything is refused.
func (q *Queue) refused() error {
	if q.broken != nil {
		return q.broken
	}
	return q.full
}

// Probe asks the committer, in its turn, whether there is space again.
func (q *Queue) Probe() error {
	got := make(chan error, 1)
	if err := q.put(Item{done: func(err error) { got <- err }}); err != nil {
		return err
	}
	return <-got
}

// Between runs fn between two commits, and waits for it.
func (q *Queue) Between(fn func()) error {
	done := make(chan struct{})
	if err := q.put(Item{run: func() { defer close(done); fn() }}); err != nil {
		return err
	}
	<-done
	return nil
}

func (q *Queue) put(item Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return journal.ErrClosed
	}
	q.items = append(q.items, item)
	q.wake.Signal()
	return nil
}

// commit leads group by group to the committer until the queue is closed and empty.
func (q *Queue) commit() {
	for {
		group, refused := q.take()
		if group == nil {
			return
		}
		switch first := &group[0]; {
		case first.run != nil:
			first.run()
			continue
		case first.Batch == nil:
			first.done(q.probe())
			continue
		}
		err := refused
		if err == nil {
			err = q.c.Commit(group)
		}
		for i := range group {
			if own := group[i].Err; own != nil {
				group[i].done(own)
			} else {
				group[i].done(err)
			}
		}
	}
}

func (q *Queue) probe() error {
	if err := q.Err(); err != nil {
		return err
	}
	if err := q.c.Probe(); err != nil {
		return err
	}
	q.mu.Lock()
	q.full = nil
	q.mu.Unlock()
	return nil
}

// take waits for the next group: as many batches as came, up to the first that goes alone. nil: there will be none.
func (q *Queue) take() (group []Item, refused error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 {
		if q.closed {
			return nil, nil
		}
		q.wake.Wait()
	}
	n, bytes := 0, 0
	for n < len(q.items) && (n == 0 || bytes+q.items[n].Bytes <= q.most && !q.alone(n) && !q.alone(0)) {
		bytes += q.items[n].Bytes
		n++
	}
	group = q.items[:n:n]
	if q.items = q.items[n:]; len(q.items) == 0 {
		q.items = nil
	}
	return group, q.refused()
}

func (q *Queue) alone(i int) bool {
	b := q.items[i].Batch
	return b == nil || q.c.Alone(b)
}

// Fill refuses everything for want of space; the log goes on at next when there is some again. It gives err.
func (q *Queue) Fill(err error, next uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.full, q.next = err, next
	return err
}

// Full is why everything is refused for want of space; nil: it is not.
func (q *Queue) Full() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full
}

// Fail refuses everything for good. The first reason stays, and is given.
func (q *Queue) Fail(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken == nil {
		q.broken = err
		close(q.dead)
	}
	return q.broken
}

// Err is why everything is refused for good; nil: it is not.
func (q *Queue) Err() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.broken
}

// Broken is closed when everything is refused for good.
func (q *Queue) Broken() <-chan struct{} { return q.dead }

// Close takes nothing more, and waits until all that came is committed and answered. first: it was open.
func (q *Queue) Close() (first bool) {
	q.mu.Lock()
	first = !q.closed
	q.closed = true
	q.wake.Broadcast()
	stopped := q.stopped
	q.mu.Unlock()
	<-stopped
	return first
}

// Closed says whether nothing more is taken.
func (q *Queue) Closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
