package bolt

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/journal"
)

// What callers branch on.
var (
	// ErrGone: the file was deleted, moved, replaced or cut by somebody else while it was open. It is an ErrBroken, too: what
	// was committed meanwhile may be in a file that has no name any more.
	ErrGone = errors.New("journal: the file is gone")
	// ErrLocked: another process has the file. The error is a *LockedError.
	ErrLocked = errors.New("journal: in use by another process")
	// ErrNotJournal: the path names something that is not a journal, or is not whole. The error is a *FileError.
	ErrNotJournal = errors.New("journal: not a journal")
	// ErrNewerFormat: the file was written by a later release. The error is a *FileError.
	ErrNewerFormat = errors.New("journal: newer format")
	// ErrDamagedFile: the pages that hold the rows together are damaged, so that no row can be trusted to be found. The
	// error is a *FileError.
	ErrDamagedFile = errors.New("journal: damaged file")
	// ErrStartRows is an ErrDamagedFile: of all that holds the rows together only few that every start needs are damaged. Mend makes
	// up for them. The error is a *FileError.
	ErrStartRows = fmt.Errorf("%w: rows that every start needs", ErrDamagedFile)
)

// FileError says why a path was not opened. Nothing was changed.
type FileError struct {
	Path   string
	Kind   error // ErrNotJournal, ErrNewerFormat, ErrDamagedFile or ErrStartRows
	Reason string
}

func (e *FileError) Error() string { return fmt.Sprintf("journal: %s: %s", e.Path, e.Reason) }
func (e *FileError) Unwrap() error { return e.Kind }

// LockedError names who has the file.
type LockedError struct {
	Path   string
	Holder int    // process id; 0: could not be found out
	Name   string // of the process, where the system tells
}

func (e *LockedError) Error() string {
	switch {
	case e.Holder == 0:
		return fmt.Sprintf("journal: %s: in use by another process, which could not be found out", e.Path)
	case e.Name == "":
		return fmt.Sprintf("journal: %s: in use by process %d", e.Path, e.Holder)
	}
	return fmt.Sprintf("journal: %s: in use by process %d (%s)", e.Path, e.Holder, e.Name)
}

func (e *LockedError) Unwrap() error { return ErrLocked }

// brokenError is ErrBroken with its cause.
type brokenError struct{ cause error }

func (e *brokenError) Error() string   { return fmt.Sprintf("%v: %v", journal.ErrBroken, e.cause) }
func (e *brokenError) Unwrap() []error { return []error{journal.ErrBroken, e.cause} }

// fullError is ErrFull with its cause.
type fullError struct{ cause error }

func (e *fullError) Error() string   { return fmt.Sprintf("%v: %v", journal.ErrFull, e.cause) }
func (e *fullError) Unwrap() []error { return []error{journal.ErrFull, e.cause} }
