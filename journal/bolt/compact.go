package bolt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Backup writes the journal as it is at one moment, as a file that Open takes. An engine may be at work meanwhile, but the
// file grows until the backup is done: w should be fast. The file is a copy of the whole, with its free pages.
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
	n, err := tx.WriteTo(w)
	return n, errors.Join(err, tx.Rollback())
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

// Restore makes a journal at path, where nothing may be, of a copy that was opened by OpenReadOnly. It gets a secret of its own, so that
// lease tokens from before are void, and a record of the engine with that body, which says so. It appears when it is whole.
func Restore(copied *Journal, path string, body []byte, at int64, progress func(done, all int64)) error {
	if err := absent(path); err != nil {
		return err
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	lock, err := acquire(path, 2*time.Second)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := copied.room(path); err != nil {
		return err
	}
	temp := path + newSuffix
	if err = copied.rewrite(temp, progress); err == nil {
		err = renew(temp, body, at)
	}
	if err == nil {
		err = absent(path)
	}
	if err == nil {
		err = putInPlace(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// absent is the error of a path at which something is.
func absent(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// renew gives a file, which nobody has open, a new secret and a record of the engine.
func renew(path string, body []byte, at int64) error {
	j, err := Open(path, Options{})
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it does not fail
	err = j.db().Update(func(tx *bbolt.Tx) error {
		w := writer{tx: tx}
		return w.row(metaBucket, secretKey, secret)
	})
	if err == nil {
		written := make(chan error, 1)
		j.Append(&journal.Batch{Records: []journal.Record{{Seq: j.NextSeq(), Count: 1, At: at, Body: body}}}, func(err error) { written <- err })
		err = <-written
	}
	return errors.Join(err, j.Close())
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
