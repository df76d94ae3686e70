package bolt

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/queue"
	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

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
func (j *Journal) Append(b *journal.Batch, done func(error)) { j.queue.Append(b, done) }

// Probe says whether there is space again: for as much as was refused last, and some more.
func (j *Journal) Probe() error { return j.queue.Probe() }

// committer is where the queue leads: the transactions of bbolt.
type committer struct{ j *Journal }

// Check says what is wrong with a batch that must begin at next.
func (committer) Check(b *journal.Batch, next uint64) error {
	for i := range b.Records {
		if n := len(b.Records[i].Body); n > maxValue-maxEnvelope {
			return fmt.Errorf("journal: record %d: %d bytes, the most is %d", b.Records[i].Seq, n, maxValue-maxEnvelope)
		}
	}
	return b.Check(next)
}

// Alone is never so: one transaction takes any batches.
func (committer) Alone(*journal.Batch) bool { return false }

// Commit makes a group durable.
func (c committer) Commit(group []queue.Item) error {
	err := c.j.settle(c.j.commit(group))
	if errors.Is(err, journal.ErrFull) {
		c.j.refused = needOf(group)
	}
	return err
}

// Probe looks whether there is space for what was refused, and a piece more: else the disk would be full again at once.
func (c committer) Probe() error {
	j := c.j
	used := j.used()
	err := j.fillTo(used, used+j.refused+j.piece(used))
	if err == nil {
		err = j.commit(nil)
	}
	return j.settle(err)
}

// settle draws the consequences of a commit's error, and gives what its callers are told.
func (j *Journal) settle(err error) error {
	if err == nil {
		return nil
	}
	if gone := j.place.look(); gone != nil {
		return j.queue.Fail(gone)
	}
	if !outOfSpace(err) || !j.unchanged() {
		return j.queue.Fail(&brokenError{err})
	}
	return j.queue.Fill(&fullError{err}, j.tail.next)
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
	if j.db().NoFreelistSync && j.Err() == nil && j.queue.Full() == nil {
		_ = j.settle(j.commit(nil)) // nothing of anybody's is in it
	}
}
