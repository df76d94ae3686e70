package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"golang.org/x/sys/unix"
)

// tightDisk is a small file system with a way to fill it, and to make room again.
func tightDisk(t *testing.T, size int) (dir string, fill func(), clear func()) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a small disk cannot be mounted: %v", err)
		}
		t.Skipf("a small disk cannot be mounted here, which takes root (%v); CI does it", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	filler := filepath.Join(dir, "filler")
	fill = func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		var stat unix.Statfs_t
		if err = unix.Statfs(dir, &stat); err == nil {
			err = unix.Fallocate(int(f.Fd()), 0, 0, int64(stat.Bavail)*stat.Bsize)
		}
		if err != nil && !errors.Is(err, unix.ENOSPC) {
			t.Error(err)
		}
	}
	return dir, fill, func() { _ = os.Remove(filler) }
}

// The disk becomes full at each step of a compaction and a restore, after it was asked whether there is room: each ends with an
// error that says so, nothing is left of it, and the journal goes on as soon as there is space.
func TestTheDiskFillsUpAtEachStepOfACopy(t *testing.T) {
	dir, fill, clear := tightDisk(t, 48<<20)
	path := filepath.Join(dir, "j.db")
	j := open(t, path)
	s := tell(t, j)
	run := s.start("a")
	for i := range 30 {
		s.step(run, fmt.Sprint(i)+strings.Repeat("x", 64<<10))
	}
	left := func(what string, allowed ...string) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			known := false
			for _, one := range append(allowed, "j.db", "j.db.lock") {
				known = known || filepath.Base(name) == one
			}
			if !known {
				t.Errorf("%s: %s is left behind", what, name)
			}
		}
	}
	// each fills the disk at every step that work tells of, until work needs no more of them.
	each := func(what string, work func(progress func()) error, after func()) {
		t.Helper()
		failed := 0
		for at := 0; ; at++ {
			n := 0
			err := work(func() {
				if n++; n == at+1 {
					fill()
				}
			})
			full := n > at
			clear()
			if err != nil && (!full || !errors.Is(err, unix.ENOSPC) && !errors.Is(err, journal.ErrFull)) {
				t.Fatalf("%s, full at step %d: %v", what, at, err)
			}
			if err != nil {
				failed++
				left(what)
			}
			after()
			if !full {
				break
			}
		}
		if failed == 0 {
			t.Errorf("%s: the disk was never full", what)
		}
	}
	each("compaction", func(progress func()) error {
		_, err := j.Compact(t.Context(), func(int64, int64) { progress() })
		return err
	}, func() { s.step(run, "goes on") })
	clean(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(dir, "made.db")
	each("restore", func(progress func()) error {
		copied, err := OpenReadOnly(path)
		if err != nil {
			return err
		}
		defer copied.Close()
		_, err = Restore(context.Background(), copied, made, RestoreOptions{Body: []byte("restored"), At: 1, Progress: func(string, int64, int64) { progress() }})
		return err
	}, func() {
		if _, err := os.Stat(made); err == nil {
			if found := verified(t, made); len(found) != 0 {
				t.Errorf("restored: %+v", found)
			}
			_ = os.Remove(made)
		}
	})
	if found := verified(t, path); len(found) != 0 {
		t.Errorf("the journal: %+v", found)
	}
}
