package bolt

import (
	"fmt"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// One commit removes the ids of all runs that were purged, and puts that of a new run: bbolt's leaves are all empty then.
func TestAStartInACommitThatRemovesAllIDs(t *testing.T) {
	j := fresh(t)
	s := tell(t, j)
	var purges []journal.Purge
	for i := range 90 { // more than a leaf
		id := fmt.Sprintf("a-rather-long-id-of-a-run-that-will-be-purged-%03d", i)
		run := s.start(id)
		s.end(run, id, journal.CompletedState)
		purges = append(purges, journal.Purge{Run: run, Until: 5})
	}
	put(t, j, &journal.Batch{Purges: purges})
	run := s.next
	r := s.record(run, 2, "start new")
	put(t, j, &journal.Batch{Sweep: 6, Records: []journal.Record{r}, Heads: []journal.Head{{Run: run, ID: "zz", Workflow: "order", Version: 1, LastSeq: run, Events: 2, CreatedAt: r.At}}})
	if got, _, ok, err := j.Lookup("zz"); got != run || !ok || err != nil {
		t.Errorf("%d, %t, %v", got, ok, err)
	}
}
