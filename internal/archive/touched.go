package archive

import (
	"fmt"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
)

// Touched gives what a record has changed that only its body names. What a newer release wrote may have changed anything.
func Touched(r *journal.Record) (t journal.Touched, err error) {
	if r.Run != 0 { // its head, its snapshot and the objects that it wrote name their records themselves
		return t, nil
	}
	err = event.Read(r.Body, r.Count, func(_ int, e *event.Event, opaque bool) error {
		switch {
		case opaque:
			return fmt.Errorf("%w: only the release that wrote it makes an increment; make a whole backup", refusal.ErrNewerRelease)
		case e.Kind == event.RunsDeleted:
			for _, d := range event.ReadDeleted(e.Payload) {
				t.IDs = append(t.IDs, d.ID)
			}
		case e.Kind == event.WorkflowRegistered, e.Kind == event.WorkflowUsed:
			t.Bodies = append(t.Bodies, e.Digest)
		case e.Kind == event.ObjectDeleted:
			t.Objects = append(t.Objects, e.Name)
		}
		return nil
	})
	return t, err
}
