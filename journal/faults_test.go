package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
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
	fd := int(j.file.Fd())
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
		j.Append(&Batch{Records: []Record{s.record(run, 1, "lost")}}, func(err error) { errs = append(errs, err); all.Done() })
	}
	all.Wait()
	for _, err := range errs {
		if !errors.Is(err, ErrBroken) || !errors.Is(err, syscall.EINVAL) || errors.Is(err, ErrFull) {
			t.Fatalf("got %v", err)
		}
	}
	back()
	if err := try(j, &Batch{Records: []Record{s.record(run, 1, "later")}}); !errors.Is(err, ErrBroken) {
		t.Errorf("the disk is well again, but what it has is not known: %v", err)
	}
	if err := j.Probe(); !errors.Is(err, ErrBroken) {
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
		j.Append(&Batch{Records: []Record{s.record(run, 1, "no space")}}, func(err error) { errs = append(errs, err); all.Done() })
	}
	all.Wait()
	for _, err := range errs {
		if !errors.Is(err, ErrFull) || errors.Is(err, ErrBroken) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
	}
	if j.NextSeq() != before {
		t.Errorf("the log goes on at %d, want %d", j.NextSeq(), before)
	}
	if r, err := j.Get(run); err != nil || r.Run != run {
		t.Errorf("reads: %+v, %v", r, err)
	}
	if err := j.Probe(); !errors.Is(err, ErrFull) {
		t.Errorf("probe: %v", err)
	}
	back()
	if err := try(j, &Batch{Records: []Record{{Seq: before, Count: 1, Run: run, Prev: run, N: 3}}}); !errors.Is(err, ErrFull) {
		t.Errorf("before a probe: %v", err)
	}
	if err := j.Probe(); err != nil {
		t.Fatal(err)
	}
	s = tell(t, j)
	r := Record{Seq: run, Count: 2, Run: run, N: 1}
	s.last[run] = &r
	s.step(run, "goes on")
	clean(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	clean(t, open(t, path))
}

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
	if err := try(j, &Batch{Records: []Record{{Seq: 1, Count: 1, Run: 1, N: 1}}, Heads: []Head{{Run: 1, ID: "first", LastSeq: 1, Events: 1}}}); err != nil {
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
			err = try(j, &Batch{Records: []Record{{Seq: seq, Count: 1, Run: seq, N: 1, Body: make([]byte, 9000)}},
				Heads: []Head{{Run: seq, ID: fmt.Sprint(seq), Workflow: "w", LastSeq: seq, Events: 1}}})
			if err == nil {
				acked = seq
			}
		}
		if !errors.Is(err, ErrFull) {
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

func TestOnlyWritesForWantOfSpaceAreClean(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&os.PathError{Op: "write", Err: syscall.ENOSPC}, true},
		{&os.PathError{Op: "write", Err: syscall.EDQUOT}, true},
		{&os.PathError{Op: "truncate", Err: syscall.EFBIG}, true},
		{fmt.Errorf("file resize error: %s", &os.PathError{Op: "truncate", Path: "x", Err: syscall.EFBIG}), true},
		{&os.PathError{Op: "write", Err: syscall.EIO}, false},
		{&os.PathError{Op: "sync", Err: syscall.ENOSPC}, false},
		{syscall.ENOSPC, false}, // from fdatasync
		{syscall.EIO, false},
		{fmt.Errorf("file sync error: %s", &os.PathError{Op: "sync", Path: "x", Err: syscall.ENOSPC}), false},
		{fmt.Errorf("file resize error: %s", &os.PathError{Op: "truncate", Path: "x", Err: syscall.EIO}), false},
		{errors.New(strings.Repeat("x", 10)), false},
	} {
		if got := outOfSpace(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
