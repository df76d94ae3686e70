package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// fileLock is a lock file beside the journal: it names its holder, and it stays the same file when a compaction puts another
// journal in place. It is removed when it is let go of.
type fileLock struct{ f *os.File }

// lockPath is beside the file itself, not beside a symbolic link to it.
func lockPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path + ".lock"
}

const lockRetry = 20 * time.Millisecond

// errHeld: another process has the lock now. tryLock gives it, which is the system's own.
var errHeld = errors.New("locked")

// acquire takes the lock file, or says who has it.
func acquire(path string, timeout time.Duration) (*fileLock, error) {
	deadline := time.Now().Add(timeout)
	name := lockPath(path)
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		err = tryLock(f, true)
		if err == nil && sameFile(f, name) {
			l := &fileLock{f}
			if err := l.sign(); err != nil {
				l.release()
				return nil, err
			}
			return l, nil
		}
		f.Close() // locked, but removed by its last holder meanwhile: take the new one
		if err != nil && !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("journal: lock %s: %w", name, err)
		}
		if err != nil && time.Now().After(deadline) {
			return nil, lockedBy(path)
		}
		if err != nil {
			time.Sleep(lockRetry)
		}
	}
}

// share takes the journal's own lock for reading, which keeps writers away until f is closed.
func share(f *os.File, path string, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		err := tryLock(f, false)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errHeld):
			return fmt.Errorf("journal: lock %s: %w", path, err)
		case time.Now().After(deadline):
			return flockedBy(path)
		}
		time.Sleep(lockRetry)
	}
}

func sameFile(f *os.File, name string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(name)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// sign writes who holds the lock: "pid 4711 agnt5d".
func (l *fileLock) sign() error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(l.f, "pid %d %s\n", os.Getpid(), filepath.Base(os.Args[0]))
	return err
}

// release removes the file while it is still locked, so that who waits for it sees that it is gone. Where a file that is open
// cannot be removed (Windows), it stays, and is no obstacle: only its lock counts.
func (l *fileLock) release() {
	if sameFile(l.f, l.f.Name()) {
		_ = os.Remove(l.f.Name())
	}
	_ = l.f.Close()
}

// lockedBy reads in the lock file who has the journal.
func lockedBy(path string) *LockedError {
	e := &LockedError{Path: path}
	if b, err := os.ReadFile(lockPath(path)); err == nil {
		fields := strings.Fields(string(b))
		if len(fields) >= 2 && fields[0] == "pid" {
			e.Holder, _ = strconv.Atoi(fields[1])
			e.Name = strings.Join(fields[2:], " ")
		}
	}
	return e
}

// flockedBy finds out who has locked the journal itself: a reader, or an engine that knows it by another name. The system's
// list of locks knows; where there is none, the lock file may.
func flockedBy(path string) *LockedError {
	pid := flockHolder(path)
	if pid == 0 {
		return lockedBy(path)
	}
	e := &LockedError{Path: path, Holder: pid}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
		e.Name = strings.TrimSpace(string(b))
	}
	return e
}
