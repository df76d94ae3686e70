package bolt_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
)

// A journal is a file of records, each written once and whole. What the bodies mean is the business of the layers above.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	j, err := bolt.Open(filepath.Join(dir, "runs.db"), bolt.Options{})
	if err != nil {
		panic(err)
	}
	defer j.Close()

	done := make(chan error, 1)
	first := j.NextSeq()
	j.Append(&journal.Batch{Records: []journal.Record{
		{Seq: first, Count: 1, Run: first, N: 1, At: 1000, Body: []byte("begun")},
		{Seq: first + 1, Count: 1, Run: first, Prev: first, N: 2, At: 2000, Body: []byte("done")},
	}}, func(err error) { done <- err })
	if err := <-done; err != nil { // it is on disk, whatever happens now
		panic(err)
	}
	err = j.Scan(first-1, 10, func(r journal.Record) error {
		_, err := fmt.Printf("position %d of its run: %s\n", r.N, r.Body)
		return err
	})
	if err != nil {
		panic(err)
	}
	// Output:
	// position 1 of its run: begun
	// position 2 of its run: done
}
