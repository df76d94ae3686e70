package bolt

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockByte is the one byte that is locked, far behind the end of any file: a lock keeps others from reading what it covers. It
// is the byte that bbolt locks, so that share and bbolt keep each other out.
func lockByte() *windows.Overlapped {
	return &windows.Overlapped{Offset: 1<<32 - 1, OffsetHigh: 1<<32 - 1}
}

// tryLock takes the file's lock, for itself or beside other readers, without waiting. errHeld: somebody has it.
func tryLock(f *os.File, alone bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if alone {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, lockByte())
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errHeld
	}
	return err
}

// unlock gives the journal's own lock back though the file is still mapped.
func unlock(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, lockByte())
}

// flockHolder is not known here: the lock file says who has the journal.
func flockHolder(string) int { return 0 }
