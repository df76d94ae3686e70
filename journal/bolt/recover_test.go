package bolt

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// A list of free pages that is too large to be written with every commit is not, and nothing is lost by it.
func TestALargeFreeListIsLeftOutUntilTheFileIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agnt5.db")
	j := open(t, path)
	s := tell(t, j)
	gone := s.start("gone")
	body := string(make([]byte, 8<<20))
	for range 10 {
		s.step(gone, body)
	}
	s.end(gone, "gone", journal.CompletedState)
	put(t, j, &journal.Batch{Purges: []journal.Purge{{Run: gone}}})
	run := s.start("a")
	for i := range 5 {
		s.step(run, fmt.Sprint("step ", i))
	}
	if !j.db().NoFreelistSync {
		t.Fatalf("%d bytes of free list are written with every commit", j.db().Stats().FreelistInuse)
	}
	if _, err := Open(copied(t, path), Options{}); err != nil { // as after a kill: bbolt finds out what is free
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := checkPages(path, 0, true)
	if err != nil || m.meta.freelist == noFreelist {
		t.Fatalf("it was not written on close: %v", err)
	}
	j = open(t, path)
	clean(t, j)
	tell(t, j).start("b")
}
