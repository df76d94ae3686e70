package bolt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
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
// is checked on the way, and a damaged journal is left as it is. A crash leaves the old file or the new one.
func Compact(path string) (before, after int64, err error) {
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
	err = j.rewrite(temp)
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
func (j *Journal) rewrite(temp string) (err error) {
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	to, err := bbolt.Open(temp, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	for _, b := range slices.Concat(allBuckets, addedBuckets) {
		if err := j.copyBucket(to, b); err != nil {
			return fmt.Errorf("journal: compact %s: %w", b.name, err)
		}
	}
	return to.Sync()
}

// copyBucket copies a bucket, as many rows in a transaction as make some megabytes.
func (j *Journal) copyBucket(to *bbolt.DB, b *bucket) error {
	var at []byte
	for more := true; more; {
		err := to.Update(func(dst *bbolt.Tx) error {
			more = false
			in, err := dst.CreateBucketIfNotExists(b.name)
			if err != nil {
				return err
			}
			in.FillPercent = 1
			return j.view(func(src *bbolt.Tx) error {
				if src.Bucket(b.name) == nil {
					return dst.DeleteBucket(b.name) // of an older release
				}
				size := 0
				return b.each(src, nil, at, func(k, _ []byte) error {
					if size > 8<<20 {
						at, more = append([]byte(nil), k...), true
						return errStop
					}
					v := append([]byte(nil), src.Bucket(b.name).Get(k)...)
					size += len(k) + len(v)
					return in.Put(k, v)
				})
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
