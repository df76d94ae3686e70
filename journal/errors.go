package journal

import (
	"errors"
	"fmt"
)

// What callers branch on.
var (
	// ErrFull: the batch was not recorded, for want of space; nothing of it is in the file. Every later batch is refused
	// with it until Probe succeeds.
	ErrFull = errors.New("journal: no space left")
	// ErrBroken: it is not known whether the batch was recorded. The journal refuses more until it is opened again, because
	// a failed fsync cannot be asked again.
	ErrBroken = errors.New("journal: commit failed, it is not known whether it was recorded; open the journal again")
	// ErrGone: the file was deleted, moved, replaced or cut by somebody else while it was open. It is an ErrBroken, too: what
	// was committed meanwhile may be in a file that has no name any more.
	ErrGone = errors.New("journal: the file is gone")
	// ErrClosed: the journal was closed.
	ErrClosed = errors.New("journal: closed")
	// ErrLocked: another process has the file. The error is a *LockedError.
	ErrLocked = errors.New("journal: in use by another process")
	// ErrNotJournal: the path names something that is not a journal, or is not whole. The error is a *FileError.
	ErrNotJournal = errors.New("journal: not a journal")
	// ErrNewerFormat: the file was written by a later release. The error is a *FileError.
	ErrNewerFormat = errors.New("journal: newer format")
	// ErrDamagedFile: the pages that hold the rows together are damaged, so that no row can be trusted to be found. The
	// error is a *FileError.
	ErrDamagedFile = errors.New("journal: damaged file")
	// ErrNotFound: no record has that sequence, and none is missing there.
	ErrNotFound = errors.New("journal: no such record")
)

// FileError says why a path was not opened. Nothing was changed.
type FileError struct {
	Path   string
	Kind   error // ErrNotJournal, ErrNewerFormat or ErrDamagedFile
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

// Damage is something in the file that is not as it was written.
type Damage struct {
	Seq    uint64 // of the damaged or missing record; 0: not a record
	Count  uint32 // how many sequences it spans, as far as its neighbours tell; 0: not known
	Run    uint64 // whose it is, told by links and heads and never by the damaged bytes; 0: not known
	Kind   string // record, link, head, snapshot, object, definition, id, index, row, hole, waypoint, tail, page
	Detail string
}

// DamageError is returned in place of what could not be read.
type DamageError struct{ Damage }

func (e *DamageError) Error() string {
	at := e.Kind
	if e.Seq != 0 {
		at = fmt.Sprintf("%s %d", e.Kind, e.Seq)
	}
	if e.Run != 0 {
		at += fmt.Sprintf(" of run %d", e.Run)
	}
	if e.Kind == "page" {
		return fmt.Sprintf("journal: %s (run \"agnt5d doctor\")", e.Detail)
	}
	return fmt.Sprintf("journal: %s: %s (run \"agnt5d verify\")", at, e.Detail)
}

// brokenError is ErrBroken with its cause.
type brokenError struct{ cause error }

func (e *brokenError) Error() string   { return fmt.Sprintf("%v: %v", ErrBroken, e.cause) }
func (e *brokenError) Unwrap() []error { return []error{ErrBroken, e.cause} }

// fullError is ErrFull with its cause.
type fullError struct{ cause error }

func (e *fullError) Error() string   { return fmt.Sprintf("%v: %v", ErrFull, e.cause) }
func (e *fullError) Unwrap() []error { return []error{ErrFull, e.cause} }
