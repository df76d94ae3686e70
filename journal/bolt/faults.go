package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"

	"unsafe"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// guard turns a panic or a fault of the function that defers what it gives into a *DamageError: bbolt panics at, or runs
// out of its map into, what damaged pages lead to. Nothing but bbolt and decoding may run under it.
//
//	defer guard(&err)()
func guard(err *error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if p := recover(); p != nil {
			*err = &journal.DamageError{Damage: journal.Damage{Kind: "page", Detail: fmt.Sprintf("a damaged page: %v", p)}}
		}
	}
}

// view runs fn in a read transaction. fn must not block, and must not call what is not ours: a read transaction that is held
// open makes the file grow.
func (j *Journal) view(fn func(tx *bbolt.Tx) error) error {
	if j.closed.Load() {
		return journal.ErrClosed
	}
	if err := j.Err(); err != nil {
		return err
	}
	err := j.read(fn)
	if damage := (*journal.DamageError)(nil); errors.As(err, &damage) && damage.Kind == "page" {
		if gone := j.place.look(); gone != nil { // no damage: the file is not there any more
			return j.queue.Fail(gone)
		}
	}
	return err
}

func (j *Journal) read(fn func(tx *bbolt.Tx) error) (err error) {
	defer guard(&err)()
	tx, err := j.begin()
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return journal.ErrClosed
	}
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return fn(tx)
}

// begin opens a read transaction. bbolt reads its two meta pages under a lock for that; when they cannot be read any more, the
// panic would leave it locked, and everybody else would wait for ever.
func (j *Journal) begin() (tx *bbolt.Tx, err error) {
	at := j.live.Load()
	defer func() {
		if tx == nil && err == nil { // a panic is under way
			reason := j.place.look()
			if reason == nil {
				reason = &brokenError{errors.New("the first pages of the file cannot be read (run \"agnt5d doctor\")")}
			}
			_ = j.queue.Fail(reason)
			metaLock(at.db).Unlock()
		}
	}()
	for {
		tx, err = at.db.Begin(false)
		if now := j.live.Load(); now != at && errors.Is(err, berrors.ErrDatabaseNotOpen) { // another file has taken its place
			at = now
			continue
		}
		return tx, err
	}
}

// metaLock is the lock that bbolt holds while it begins a transaction.
func metaLock(db *bbolt.DB) *sync.Mutex {
	return (*sync.Mutex)(unsafe.Pointer(reflect.ValueOf(db).Elem().FieldByName("metalock").UnsafeAddr()))
}

// outOfSpace says whether a commit failed in a write or truncate for want of space: nothing that the old meta page leads to
// was touched then. A sync that fails, for whatever reason, is never that.
func outOfSpace(err error) bool {
	var path *fs.PathError
	if errors.As(err, &path) {
		return (path.Op == "write" || path.Op == "truncate") && noSpace(path.Err)
	}
	// bbolt passes on the text alone of a truncate that failed.
	cause, truncate := strings.CutPrefix(err.Error(), "file resize error: truncate ")
	if !truncate {
		return false
	}
	for _, e := range spaceErrors {
		if strings.HasSuffix(cause, ": "+e.Error()) {
			return true
		}
	}
	return false
}

func noSpace(err error) bool {
	for _, e := range spaceErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
