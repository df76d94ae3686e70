package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// ErrCompacting: one compaction goes on at a time.
var ErrCompacting = errors.New("journal: it is being compacted already")

// ErrNotWhileOpen: this system does not let a file take the place of one that is open.
var ErrNotWhileOpen = errors.New("journal: on this system a journal cannot be compacted while it is open: stop the engine, and compact the file")

// Compacted says what became of a compaction.
type Compacted struct {
	Before, After int64         // bytes of the file
	Paused        time.Duration // for so long nothing could be committed
}

// Compact rewrites the file of a journal at work without its free and half-empty pages:
//
//  1. It copies all rows into FILE.compact, a part at a time, and notes which of those that are copied change meanwhile.
//  2. It copies these, again and again, until few are left.
//  3. Between two commits it copies the last ones, syncs the copy, and renames it to FILE.
//
// Until the rename the old file is the journal, and after it the new one; both have every commit. progress is told how many bytes of
// how many are copied; it must be quick. Nothing is begun when the disk has no room for the copy.
func (j *Journal) Compact(ctx context.Context, progress func(done, all int64)) (Compacted, error) {
	if runtime.GOOS == "windows" {
		return Compacted{}, ErrNotWhileOpen
	}
	if !j.compacting.TryLock() {
		return Compacted{}, ErrCompacting
	}
	defer j.compacting.Unlock()
	if err := errors.Join(j.Err(), j.room(j.path)); err != nil {
		return Compacted{}, err
	}
	before := fileSize(j.path)
	c := &compaction{j: j, temp: j.path + compactSuffix, dirty: map[string]*bucket{}, all: j.Stats().UsedBytes, put0: j.Stats().PutBytes, progress: progress}
	if err := c.open(j.opts.MapBytes); err != nil {
		return Compacted{}, err
	}
	err := j.queue.Between(func() { j.follower = c })
	if err == nil {
		err = c.copy(ctx)
	}
	if err == nil {
		err = c.catchUp(ctx)
	}
	if err == nil {
		if berr := j.queue.Between(func() { err = c.change() }); berr != nil {
			err = berr
		}
	}
	if err != nil {
		_ = j.queue.Between(func() { j.follower = nil }) // when it is closing, nobody follows any more
		return Compacted{}, errors.Join(err, c.drop())
	}
	return Compacted{before, fileSize(j.path), c.paused}, nil
}

// compaction is a copy of the file in the making.
type compaction struct {
	j        *Journal
	temp     string
	to       live
	progress func(done, all int64)
	all      int64
	copied   int64
	put0     uint64 // bytes that were put into the journal before
	paused   time.Duration

	mu      sync.Mutex
	at      int                // the bucket that is being copied
	upto    []byte             // its rows before this key are copied
	reading bool               // more rows of it may be
	dirty   map[string]*bucket // rows that are copied and have changed since, by bucket and key
}

// open makes the copy's file, with addresses set aside for it to grow.
func (c *compaction) open(mapBytes int) error {
	if err := os.Remove(c.temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(c.temp, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoSync: true, InitialMmapSize: mapBytes,
		OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, perm)
			c.to.file = f
			return f, err
		}})
	if errors.Is(err, syscall.ENOMEM) && mapBytes > 0 { // a limit on address space
		return c.open(0)
	}
	if err == nil {
		db.AllocSize = int(min(max(c.all/16, 64<<10), 4<<20)) // a small journal stays small
	}
	c.to.db = db
	return err
}

// drop throws the copy away.
func (c *compaction) drop() error { return errors.Join(c.to.db.Close(), os.Remove(c.temp)) }

// buckets are those of a file, in the order in which they are copied.
func buckets() []*bucket { return slices.Concat(allBuckets, addedBuckets) }

// note takes down what a commit has changed of what is copied.
func (c *compaction) note(touched []row) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := buckets()
	for _, t := range touched {
		at := slices.Index(all, t.b)
		if at < c.at || at == c.at && (c.reading || bytes.Compare(t.key, c.upto) < 0) {
			c.dirty[string(t.b.name)+"\x00"+string(t.key)] = t.b
		}
	}
}

const (
	copyBytes  = 1 << 20 // bytes that are copied at a time
	copyDirty  = 20_000  // rows that changed meanwhile, after which they are copied first
	changeRows = 2_000   // so few may be left for the pause
	rounds     = 100     // of catching up, after which the pause may take longer
)

// copy copies all rows, while commits go on.
func (c *compaction) copy(ctx context.Context) error {
	for at, b := range buckets() {
		c.place(at, nil, false)
		for more, from := true, []byte(nil); more; {
			began, commits := time.Now(), c.j.Stats().Commits
			c.place(at, from, true)
			var n int
			var err error
			if n, from, more, err = c.slice(b, from); err != nil {
				return err
			}
			if !more {
				from = nil
			}
			c.place(at, from, false)
			if !more {
				c.place(at+1, nil, false)
			}
			c.copied += int64(n)
			if c.progress != nil {
				c.progress(min(c.copied, c.all), c.all)
			}
			if c.waiting() > copyDirty {
				if err := c.catch(); err != nil {
					return err
				}
			}
			if err := c.j.rest(ctx, time.Since(began), c.j.Stats().Commits > commits && !c.behind()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *compaction) place(at int, upto []byte, reading bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.upto, c.reading = at, upto, reading
}

func (c *compaction) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.dirty)
}

// After each piece (copyBytes) who copies rests four times as long as it took, and within these bounds. A disk takes a piece faster than it
// writes it: without the lower bound it would have so much to write that commits wait for it. A piece that had to wait for the machine itself
// is no measure: hence the upper bound.
const (
	shortestRest = 30 * time.Millisecond // 33 MiB a second
	longestRest  = 50 * time.Millisecond
)

// rest leaves the machine to those who commit, if there are any, after a piece of a copy that took so long.
func (j *Journal) rest(ctx context.Context, took time.Duration, busy bool) error {
	if !busy {
		return errors.Join(ctx.Err(), j.Err())
	}
	timer := time.NewTimer(min(max(4*took, shortestRest), longestRest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return j.Err()
	case <-ctx.Done():
		return ctx.Err()
	case <-j.Broken():
		return j.Err()
	}
}

// behind says whether the copy does not come nearer to its end, for as much is written as is copied. There is no rest then.
func (c *compaction) behind() bool { return int64(c.j.Stats().PutBytes-c.put0)*2 > c.copied }

// slice copies some rows of a bucket, from a key on, and says where it goes on. The rows go from page to page: what is put points into the
// pages of the journal, which stand until the transaction that reads them is over.
func (c *compaction) slice(b *bucket, from []byte) (n int, next []byte, more bool, err error) {
	err = c.j.view(func(src *bbolt.Tx) error {
		if src.Bucket(b.name) == nil {
			return nil
		}
		return c.to.db.Update(func(tx *bbolt.Tx) error {
			in, err := into(tx, b)
			if err != nil {
				return err
			}
			return b.values(src, nil, from, func(k, v []byte) error {
				if n > copyBytes {
					next, more = bytes.Clone(k), true
					return errStop
				}
				n += len(k) + len(v)
				return in.Put(k, v)
			})
		})
	})
	return n, next, more, err
}

// into gives a bucket of the copy, whose pages are filled as rows are put in order.
func into(tx *bbolt.Tx, b *bucket) (*bbolt.Bucket, error) {
	in, err := tx.CreateBucketIfNotExists(b.name)
	if err != nil {
		return nil, err
	}
	if in.FillPercent = 1; b != logBucket {
		in.FillPercent = 0.9
	}
	return in, nil
}

// moved is a row as it stands in the journal; a nil value: it stands there no more.
type moved struct {
	b          *bucket
	key, value []byte
}

// put writes rows into the copy.
func (c *compaction) put(rows []moved) (err error) {
	defer guard(&err)()
	return c.to.db.Update(func(tx *bbolt.Tx) error {
		for _, r := range rows {
			if r.value == nil {
				if in := tx.Bucket(r.b.name); in != nil {
					if err := in.Delete(r.key); err != nil {
						return err
					}
				}
				continue
			}
			in, err := into(tx, r.b)
			if err != nil {
				return err
			}
			if err := in.Put(r.key, r.value); err != nil {
				return err
			}
		}
		return nil
	})
}

// catch copies the rows that have changed since they were copied.
func (c *compaction) catch() error {
	c.mu.Lock()
	dirty := c.dirty
	c.dirty = map[string]*bucket{}
	c.mu.Unlock()
	rows := make([]moved, 0, len(dirty))
	for name, b := range dirty {
		rows = append(rows, moved{b: b, key: []byte(name[len(b.name)+1:])})
	}
	slices.SortFunc(rows, func(x, y moved) int {
		if x.b != y.b {
			return bytes.Compare(x.b.name, y.b.name)
		}
		return bytes.Compare(x.key, y.key)
	})
	for len(rows) > 0 {
		some := rows[:min(len(rows), changeRows)]
		rows = rows[len(some):]
		err := c.j.view(func(tx *bbolt.Tx) error {
			for i := range some {
				in := tx.Bucket(some[i].b.name)
				if in == nil {
					continue
				}
				if v := in.Get(some[i].key); v != nil {
					some[i].value = append([]byte{}, v...)
				}
			}
			return nil
		})
		if err == nil {
			err = c.put(some)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// catchUp copies what has changed until little is left, and brings the copy to the disk.
func (c *compaction) catchUp(ctx context.Context) error {
	for n := 0; ; n++ {
		if err := c.catch(); err != nil {
			return err
		}
		if err := c.to.db.Sync(); err != nil {
			return err
		}
		if err := errors.Join(ctx.Err(), c.j.Err()); err != nil {
			return err
		}
		if n > 0 && c.waiting() < changeRows || n == rounds {
			return nil
		}
	}
}

// change lets the copy take the place of the file. It runs between two commits. A rename of which it is not known whether it is on the
// disk ends the journal, as a commit would.
func (c *compaction) change() error {
	j := c.j
	began := time.Now()
	j.follower = nil
	if err := errors.Join(j.Err(), j.queue.Full()); err != nil {
		return err
	}
	if err := c.catch(); err != nil {
		return err
	}
	if err := c.to.db.Sync(); err != nil {
		return err
	}
	if err := j.place.look(); err != nil {
		return j.queue.Fail(err)
	}
	renamed := false
	err := j.place.change(c.to.file, func() error {
		if err := os.Chmod(c.temp, 0o600); err != nil {
			return err
		}
		if err := os.Rename(c.temp, j.path); err != nil {
			return err
		}
		renamed = true
		return syncDirOf(j.path)
	})
	switch {
	case err != nil && renamed:
		return j.queue.Fail(&brokenError{err})
	case err != nil:
		return err
	}
	c.to.db.NoSync, c.to.db.AllocSize = false, j.db().AllocSize
	old := j.live.Swap(&c.to)
	j.filled = 0
	c.paused = time.Since(began)
	go old.db.Close() // it waits for those who read
	return nil
}

// NoRoomError says that a copy of a journal would not fit on a disk. Nothing was begun.
type NoRoomError struct {
	Path       string
	Want, Free uint64 // bytes
}

func (e *NoRoomError) Error() string {
	return "journal: no room: a copy of " + e.Path + " needs " + mib(e.Want) + ", and " + mib(e.Free) + " are free"
}

func (e *NoRoomError) Unwrap() error { return journal.ErrFull }
