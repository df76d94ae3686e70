package bolt

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// spaceErrors are what a write or truncate fails with for want of space.
var spaceErrors = []syscall.Errno{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED}

// ignoreSizeSignal does nothing: there is no such signal here.
func ignoreSizeSignal() {}

// mapAhead says whether addresses beyond the end of the file can be set aside for it without making it longer. Not here: the
// file would be made as long as its map.
const mapAhead = false

// syncDir does nothing: a directory cannot be synced here, and NTFS keeps its names in a log of its own.
func syncDir(string) error { return nil }

// stat looks at an open file; ok: it is one. Nobody can delete it, or put another in its place, while it is open.
func stat(f *os.File) (file fileState, ok bool) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return file, false
	}
	return fileState{size: info.Size()}, true
}
