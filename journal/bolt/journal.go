package bolt

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/internal/queue"
	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Options of a journal. The zero value means the defaults.
type Options struct {
	// LockTimeout is how long Open waits for another process to let go of the file. 0: 2 s. Short: a restart may find the
	// old process still closing; long: a second engine hangs before it says who has the file.
	LockTimeout time.Duration
	// MapBytes is how much address space is set aside for the file. 0: 64 GiB (1 GiB on 32-bit systems, none on Windows). When the file
	// outgrows it, a commit waits for every read under way. Only address space: no memory.
	MapBytes int
	// AheadBytes is how much of the file is filled with zeros ahead of the log, at a time: a commit that overwrites costs
	// about half of one that makes the file longer. 0: 4 MiB; -1: none. Large: a pause when the next piece is filled.
	AheadBytes int
	// GroupBytes bounds what is committed at once. 0: 32 MiB. Small: more syncs under load; large: more memory, and a longer
	// wait for the first of the group.
	GroupBytes int
	// Shard is the shard of a file that is created. A file that is there has its own, which its sequences tell.
	Shard journal.Shard
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	path     string
	opts     Options
	live     atomic.Pointer[live]
	lock     *fileLock
	readOnly bool
	created  bool // by Open
	secret   []byte

	queue   *queue.Queue
	closing atomic.Bool // Close was called
	closed  atomic.Bool // nothing reads the file any more

	mu    sync.Mutex
	tail  tail // as committed; the committer alone changes it
	stats journal.Stats

	place            place
	unwatch, watched chan struct{} // close the one, and the watcher closes the other

	compacting sync.Mutex // held by who compacts

	naming atomic.Pointer[func(journal.Record) journal.Head] // nil: damaged heads are errors
	mended sync.Map                                          // id -> run and until, of ids whose rows are damaged

	// The committer's own.
	refused   int64       // bytes that the group would have needed for which there was no space
	follower  *compaction // rows that change are noted for it; nil: nobody compacts
	arena     []byte      // keys and values of the transaction under way: bbolt refers to them until it is committed
	filled    int64       // up to here the file has bytes of its own on the disk: bbolt's pages, then zeros
	clock     clock
	indexed   bool      // there is an index by end
	late      []lateEnd // runs that have no rows in it yet
	spareLate []lateEnd // its space is used again
}

// live is the file that a journal is in. Compact puts another one in its place.
type live struct {
	db   *bbolt.DB
	file *os.File // bbolt's own: to fill pages ahead of it
}

func (j *Journal) db() *bbolt.DB  { return j.live.Load().db }
func (j *Journal) file() *os.File { return j.live.Load().file }

// NextSeq is the sequence that the next record will have, once all that was appended is committed.
func (j *Journal) NextSeq() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tail.next
}

// Secret is 32 random bytes that were made with the file. Whoever has them can make lease tokens.
func (j *Journal) Secret() []byte { return j.secret }

// Created says whether Open found no file, and made one.
func (j *Journal) Created() bool { return j.created }

// Runs counts the runs that the journal holds, open and ended, up to limit.
func (j *Journal) Runs(limit int) (n int, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(headBucket.name).Cursor()
		for k, _ := c.First(); k != nil && n < limit; k, _ = c.Next() {
			n++
		}
		return nil
	})
	return n, err
}

// Path is where the file is.
func (j *Journal) Path() string { return j.path }

// Stats tells what the journal has done since it was opened, and how large it is.
func (j *Journal) Stats() journal.Stats {
	j.mu.Lock()
	s := j.stats
	s.Records, s.NextSeq = j.tail.records, j.tail.next
	j.mu.Unlock()
	if j.closing.Load() {
		return s
	}
	if info, err := os.Stat(j.path); err == nil {
		s.FileBytes = info.Size()
	}
	free := j.db().Stats()
	s.UsedBytes = j.used() - int64(free.FreePageN+free.PendingPageN)*int64(j.db().Info().PageSize)
	return s
}

func (j *Journal) used() (size int64) {
	_ = j.view(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	return size
}
