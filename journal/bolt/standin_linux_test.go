package bolt

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// standIn puts another file under the descriptor that the journal writes to, and gives what puts the journal's back: its
// writes and syncs then end as the kernel ends those of the other.
func standIn(t *testing.T, j *Journal, device string) (back func()) {
	t.Helper()
	dev, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	fd := int(j.file().Fd())
	saved, err := syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Dup3(int(dev.Fd()), fd, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	back = func() {
		once.Do(func() {
			if err := syscall.Dup3(saved, fd, syscall.O_CLOEXEC); err != nil {
				t.Error(err)
			}
			_ = syscall.Close(saved)
		})
	}
	t.Cleanup(back)
	return back
}

func TestASyncThatFailsStopsTheJournal(t *testing.T) {
	path := sealed(t)
	j := open(t, path)
	s := tell(t, j)
	run := s.start("c")
	back := standIn(t, j, "/dev/zero") // takes every write, and cannot be synced
	var errs []error
	var all sync.WaitGroup
	all.Add(3)
	for range 3 {
		j.Append(&journal.Batch{Records: []journal.Record{s.record(run, 1, "lost")}}, func(err error) { errs = append(errs, err); all.Done() })
	}
	all.Wait()
	for _, err := range errs {
		if !errors.Is(err, journal.ErrBroken) || !errors.Is(err, syscall.EINVAL) || errors.Is(err, journal.ErrFull) {
			t.Fatalf("got %v", err)
		}
	}
	back()
	if err := try(j, &journal.Batch{Records: []journal.Record{s.record(run, 1, "later")}}); !errors.Is(err, journal.ErrBroken) {
		t.Errorf("the disk is well again, but what it has is not known: %v", err)
	}
	if err := j.Probe(); !errors.Is(err, journal.ErrBroken) {
		t.Errorf("probe: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	clean(t, j)
	s = tell(t, j)
	s.start("d")
}

func TestAFullDiskDropsABatchAndAllBehindIt(t *testing.T) {
	path := sealed(t)
	j := open(t, path)
	s := tell(t, j)
	run := s.start("c")
	before := s.next
	back := standIn(t, j, "/dev/full")
	var errs []error
	var all sync.WaitGroup
	all.Add(20)
	for range 20 {
		j.Append(&journal.Batch{Records: []journal.Record{s.record(run, 1, "no space")}}, func(err error) { errs = append(errs, err); all.Done() })
	}
	all.Wait()
	for _, err := range errs {
		if !errors.Is(err, journal.ErrFull) || errors.Is(err, journal.ErrBroken) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
	}
	if j.NextSeq() != before {
		t.Errorf("the log goes on at %d, want %d", j.NextSeq(), before)
	}
	if r, err := j.Get(run); err != nil || r.Run != run {
		t.Errorf("reads: %+v, %v", r, err)
	}
	if err := j.Probe(); !errors.Is(err, journal.ErrFull) {
		t.Errorf("probe: %v", err)
	}
	back()
	if err := try(j, &journal.Batch{Records: []journal.Record{{Seq: before, Count: 1, Run: run, Prev: run, N: 3}}}); !errors.Is(err, journal.ErrFull) {
		t.Errorf("before a probe: %v", err)
	}
	if err := j.Probe(); err != nil {
		t.Fatal(err)
	}
	s = tell(t, j)
	r := journal.Record{Seq: run, Count: 2, Run: run, N: 1}
	s.last[run] = &r
	s.step(run, "goes on")
	clean(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	clean(t, open(t, path))
}

func init() {
	fill = func(t *testing.T, log journal.Log) func() { return standIn(t, log.(*Journal), "/dev/full") }
}
