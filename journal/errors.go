package journal

import (
	"errors"
	"fmt"
)

// What callers branch on.
var (
	// ErrFull: the batch was not recorded, for want of space; nothing of it is in the journal. Every later batch is refused
	// with it until Probe succeeds.
	ErrFull = errors.New("journal: no space left")
	// ErrBroken: it is not known whether the batch was recorded. The journal refuses more until it is opened again, because
	// a failed fsync cannot be asked again.
	ErrBroken = errors.New("journal: commit failed and it is unknown whether it was recorded; open the journal again")
	// ErrFenced: another engine has taken the journal over. Nothing of the batch is in it, and nothing more will be taken from
	// this one.
	ErrFenced = errors.New("journal: another engine has taken it over")
	// ErrClosed: the journal was closed.
	ErrClosed = errors.New("journal: closed")
	// ErrNotFound: no record has that sequence, and none is missing there.
	ErrNotFound = errors.New("journal: no such record")
)

// Damage is something in the file that is not as it was written.
type Damage struct {
	Seq    uint64 // of the damaged or missing record; 0: not a record
	Count  uint32 // how many sequences it spans, as far as its neighbours tell; 0: not known
	Run    uint64 // whose it is, told by links and heads and never by the damaged bytes; 0: not known
	Kind   string // record, link, head, snapshot, object, definition, id, index, row, hole, waypoint, tail, page
	Detail string
}

// End is the sequence behind the damage.
func (d *Damage) End() uint64 { return d.Seq + uint64(max(d.Count, 1)) }

// Damages is the error beside a list that is not whole: what of it could not be read. The list has the rest.
type Damages []Damage

func (d Damages) Error() string {
	first := DamageError{d[0]}
	if len(d) == 1 {
		return first.Error()
	}
	return fmt.Sprintf("%v (and %d more)", &first, len(d)-1)
}

// Unwrap gives the first as a *DamageError.
func (d Damages) Unwrap() error { return &DamageError{d[0]} }

// DamageError is returned in place of what could not be read.
type DamageError struct{ Damage }

func (e *DamageError) Error() string {
	at := e.Kind
	if e.Seq != 0 {
		at = fmt.Sprintf("%s %d", e.Kind, e.Seq)
	}
	if e.Run != 0 {
		at += fmt.Sprintf(" of run #%d", e.Run) // its number; who knows the run's id names that
	}
	if e.Kind == "page" {
		return fmt.Sprintf("journal: %s (run \"agnt5d doctor\")", e.Detail)
	}
	return fmt.Sprintf("journal: %s: %s", at, e.Detail)
}
