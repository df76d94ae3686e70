package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"

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
			*err = &DamageError{Damage{Kind: "page", Detail: fmt.Sprintf("a damaged page: %v", p)}}
		}
	}
}

// view runs fn in a read transaction. fn must not block, and must not call what is not ours: a read transaction that is held
// open makes the file grow.
func (j *Journal) view(fn func(tx *bbolt.Tx) error) (err error) {
	if j.closed.Load() {
		return ErrClosed
	}
	defer guard(&err)()
	tx, err := j.db.Begin(false)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return fn(tx)
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
