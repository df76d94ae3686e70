package archive

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

// Newer is a run with a record, a snapshot or a definition that this release does not understand. It waits for the release
// that does: nothing is written about it, and no recovery point passes it. Its id stays taken, and so do the object keys that
// the events before that record asked for.
type Newer struct {
	Run    uint64
	Seq    uint64 // the first record that is not understood; 0: not known
	Last   uint64 // the run's last record
	Events uint64 // up to and with it
	Why    string

	State *replay.State // what the events before say; nil: nothing
}

// NewerError refuses what was asked of such a run.
type NewerError struct{ Newer }

func (e *NewerError) Error() string {
	return fmt.Sprintf("the run waits, unchanged: record %d was %s (%s); start that release again", e.Seq, event.ErrFormat, e.Why)
}

func (e *NewerError) Unwrap() error { return event.ErrFormat }

// IsNewer gives err as a NewerError about the run, if a newer release is why.
func IsNewer(run uint64, err error) (*NewerError, bool) {
	var known *NewerError
	switch {
	case errors.As(err, &known):
		return known, true
	case errors.Is(err, event.ErrFormat):
		return &NewerError{NewerOf(run, err)}, true
	}
	return nil, false
}

// NewerOf makes a Newer of an error that wraps event.ErrFormat.
func NewerOf(run uint64, err error) Newer {
	n := Newer{Run: run, Why: err.Error()}
	var b *BrokenError
	if errors.As(err, &b) {
		n.Seq, n.Why = b.Seq, b.Why.Error()
	}
	return n
}
