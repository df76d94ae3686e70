package bolt

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// queued is a batch on its way to the disk, or a question to the committer (batch is nil).
type queued struct {
	batch *journal.Batch
	done  func(error)
	err   error  // refused already; it waits for its turn
	run   func() // something to do between two commits, in place of a question
	bytes int
}

// Append puts a batch into the queue and returns at once. What piles up while one commit syncs is committed together, next.
// done is called from the committer's goroutine, batch by batch in the order of the calls, and must be quick:
//
//	nil        the batch is on stable storage
//	ErrFull    nothing of it, and nothing of what was appended behind it, is in the file. Until Probe succeeds all is
//	           refused so; after it, the log goes on at NextSeq
//	ErrBroken  it is not known whether it was recorded. The journal must be closed and opened again
//	else       the batch is wrong (not the continuation of the log, say); nothing of it is in the file
//
// The batch must not be changed until done is called.
func (j *Journal) Append(b *journal.Batch, done func(error)) {
	q := queued{batch: b, done: done}
	j.mu.Lock()
	if j.closing || j.readOnly {
		j.mu.Unlock()
		done(journal.ErrClosed)
		return
	}
	switch {
	case j.broken != nil:
		q.err = j.broken
	case j.full != nil:
		q.err = j.full
	default:
		q.err = check(b, j.next)
	}
	if q.err == nil {
		if n := len(b.Records); n > 0 {
			j.next = b.Records[n-1].End()
		}
		q.bytes = b.Size()
	}
	j.queue = append(j.queue, q)
	j.wake.Signal()
	j.mu.Unlock()
}

// Probe says whether there is space again: for as much as was refused last, and some more.
func (j *Journal) Probe() error {
	got := make(chan error, 1)
	j.mu.Lock()
	if j.closing || j.readOnly {
		j.mu.Unlock()
		return journal.ErrClosed
	}
	j.queue = append(j.queue, queued{done: func(err error) { got <- err }})
	j.wake.Signal()
	j.mu.Unlock()
	return <-got
}

// between runs fn in the committer, between two commits, and waits for it.
func (j *Journal) between(fn func()) error {
	done := make(chan struct{})
	j.mu.Lock()
	if j.closing || j.readOnly {
		j.mu.Unlock()
		return journal.ErrClosed
	}
	j.queue = append(j.queue, queued{run: func() { defer close(done); fn() }})
	j.wake.Signal()
	j.mu.Unlock()
	<-done
	return nil
}

// check says what is wrong with a batch that must begin at next.
func check(b *journal.Batch, next uint64) error {
	for i := range b.Records {
		if n := len(b.Records[i].Body); n > maxValue-maxEnvelope {
			return fmt.Errorf("journal: record %d: %d bytes, the most is %d", b.Records[i].Seq, n, maxValue-maxEnvelope)
		}
	}
	return b.Check(next)
}

// committer commits group by group until the journal is closed and its queue is empty. It runs in its own goroutine.
func (j *Journal) committer() {
	defer close(j.stopped)
	for {
		group, refused := j.take()
		if group == nil {
			j.keepFreelist()
			return
		}
		if run := group[0].run; run != nil {
			run()
			continue
		}
		if group[0].batch == nil {
			group[0].done(j.probe())
			continue
		}
		err := refused
		if err == nil {
			err = j.settle(j.commit(group))
			if errors.Is(err, journal.ErrFull) {
				j.refused = needOf(group)
			}
		}
		for _, q := range group {
			if q.err != nil {
				q.done(q.err)
			} else {
				q.done(err)
			}
		}
	}
}

// take waits for the next group: as many batches as came, up to the first probe. nil: there will be none.
func (j *Journal) take() (group []queued, refused error) {
	most := j.opts.GroupBytes
	if most == 0 {
		most = 32 << 20
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.queue) == 0 {
		if j.closing {
			return nil, nil
		}
		j.wake.Wait()
	}
	n, bytes := 0, 0
	for n < len(j.queue) && (n == 0 || bytes+j.queue[n].bytes <= most && j.queue[n].batch != nil && j.queue[0].batch != nil) {
		bytes += j.queue[n].bytes
		n++
	}
	group = j.queue[:n:n]
	if j.queue = j.queue[n:]; len(j.queue) == 0 {
		j.queue = nil
	}
	if j.broken != nil {
		return group, j.broken
	}
	return group, j.full
}

// settle draws the consequences of a commit's error, and gives what its callers are told.
func (j *Journal) settle(err error) error {
	if err == nil {
		return nil
	}
	if gone := j.place.look(); gone != nil {
		return j.give(gone)
	}
	if !outOfSpace(err) || !j.unchanged() {
		return j.give(&brokenError{err})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.full = &fullError{err}
	j.next = j.tail.next
	return j.full
}

// unchanged says whether the file still shows the last commit that succeeded.
func (j *Journal) unchanged() bool {
	same := false
	err := j.view(func(tx *bbolt.Tx) error {
		p, err := metaBucket.get(tx, tailKey)
		if err != nil {
			return err
		}
		t, err := decodeTail(p)
		same = t == j.tail
		return err
	})
	return err == nil && same
}

// keepFreelist writes the list of free pages before the file is closed, if it was too large to be written with every commit.
func (j *Journal) keepFreelist() {
	if j.db().NoFreelistSync && j.Err() == nil && j.full == nil {
		_ = j.settle(j.commit(nil)) // nothing of anybody's is in it
	}
}

func (j *Journal) probe() error {
	if err := j.Err(); err != nil {
		return err
	}
	used := j.used()
	err := j.fillTo(used, used+j.refused+j.piece(used)) // a piece more, else the disk would be full again at once
	if err == nil {
		err = j.commit(nil)
	}
	if err := j.settle(err); err != nil {
		return err
	}
	j.mu.Lock()
	j.full = nil
	j.mu.Unlock()
	return nil
}
