package bolt

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Backup writes the journal as it is at one moment, as a file that Open takes. An engine may be at work meanwhile: it is left most of
// the machine. But the file grows until the backup is done: w should be fast. The file is a copy of the whole, with its free pages.
func (j *Journal) Backup(w io.Writer) (int64, error) {
	if j.closed.Load() {
		return 0, journal.ErrClosed
	}
	if err := j.Err(); err != nil {
		return 0, err
	}
	tx, err := j.beginGuarded()
	if err != nil {
		return 0, err
	}
	n, err := tx.WriteTo(&paced{j: j, w: w, began: time.Now(), commits: j.Stats().Commits})
	return n, errors.Join(err, tx.Rollback())
}

// paced is a writer of a copy that leaves the machine to those who commit.
type paced struct {
	j       *Journal
	w       io.Writer
	n       int       // bytes since the last rest
	began   time.Time // at its end
	commits uint64
}

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if p.n += n; err == nil && p.n >= copyBytes {
		commits := p.j.Stats().Commits
		err = p.j.rest(context.Background(), time.Since(p.began), commits > p.commits)
		p.n, p.began, p.commits = 0, time.Now(), commits
	}
	return n, err
}

func (j *Journal) beginGuarded() (tx *bbolt.Tx, err error) {
	defer guard(&err)()
	return j.begin()
}

// compactSuffix is what the name of a file that is being written by Compact ends in.
const compactSuffix = ".compact"

// Compact rewrites the journal at path, which no engine may have open, without its free and half-empty pages. Every value
// is checked on the way, and a damaged journal is left as it is. A crash leaves the old file or the new one. progress, if it is not nil,
// is told how many bytes of how many are copied. Without room for the copy (*NoRoomError) nothing is begun.
func Compact(path string, progress func(done, all int64)) (before, after int64, err error) {
	if err := checkKind(path); err != nil {
		return 0, 0, err
	}
	lock, err := acquire(path, 2*time.Second)
	if err != nil {
		return 0, 0, err
	}
	defer lock.release()
	j, err := openFile(path, Options{}, true, time.Second)
	if err != nil {
		return 0, 0, err
	}
	temp := path + compactSuffix
	if err = j.room(path); err == nil {
		err = j.rewrite(temp, progress)
	}
	err = errors.Join(err, j.Close())
	if err == nil {
		before, after = fileSize(path), fileSize(temp)
		err = putInPlace(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return before, after, err
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// rewrite puts every row into a new file at temp.
func (j *Journal) rewrite(temp string, progress func(done, all int64)) (err error) {
	c := &compaction{j: j, temp: temp, all: j.Stats().UsedBytes, progress: progress, dirty: map[string]*bucket{}}
	if err := c.open(0); err != nil {
		return err
	}
	if err = c.copy(context.Background()); err == nil {
		err = c.to.db.Sync()
	}
	return errors.Join(err, c.to.db.Close())
}
