//go:build !windows

package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

func init() { children["full"] = childFull }

// childFull fills a journal to a limit on its size, again and again, and says what was acknowledged.
func childFull(path string) error {
	j, err := Open(path, Options{AheadBytes: 64 << 10})
	if err != nil {
		return err
	}
	limit := func(bytes uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: 1 << 62})
	}
	acked := uint64(1)
	if err := try(j, &journal.Batch{Records: []journal.Record{{Seq: 1, Count: 1, Run: 1, N: 1}}, Heads: []journal.Head{{Run: 1, ID: "first", LastSeq: 1, Events: 1}}}); err != nil {
		return err
	}
	for cycle := range 50 {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := limit(uint64(info.Size()) + uint64(cycle*3000)); err != nil {
			return err
		}
		for n := 0; err == nil; n++ {
			seq := j.NextSeq()
			err = try(j, &journal.Batch{Records: []journal.Record{{Seq: seq, Count: 1, Run: seq, N: 1, Body: make([]byte, 9000)}},
				Heads: []journal.Head{{Run: seq, ID: fmt.Sprint(seq), Workflow: "w", LastSeq: seq, Events: 1}}})
			if err == nil {
				acked = seq
			}
		}
		if !errors.Is(err, journal.ErrFull) {
			return fmt.Errorf("cycle %d: %w", cycle, err)
		}
		if _, err := j.Get(acked); err != nil {
			return fmt.Errorf("cycle %d: reads: %w", cycle, err)
		}
		if err := limit(1 << 62); err != nil {
			return err
		}
		if err := j.Probe(); err != nil {
			return fmt.Errorf("cycle %d: probe: %w", cycle, err)
		}
	}
	fmt.Println(acked)
	return j.Close()
}

func TestFiftyTimesFullLosesNothing(t *testing.T) {
	if testing.Short() { // under the race detector
		t.Skip("another process, one goroutine")
	}
	path := filepath.Join(t.TempDir(), "agnt5.db")
	c := start(t, "full", path)
	var acked uint64
	if _, err := fmt.Sscan(c.line(t), &acked); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	j := open(t, path)
	if acked < 100 || j.NextSeq() != acked+1 {
		t.Errorf("acknowledged %d, the log goes on at %d", acked, j.NextSeq())
	}
	clean(t, j)
}
