//go:build !windows

package bolt

import (
	"os"
	"os/signal"
	"syscall"
)

// spaceErrors are what a write or truncate fails with for want of space.
var spaceErrors = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}

// ignoreSizeSignal makes a write past the process's file size limit an error, where it would end the process.
func ignoreSizeSignal() {
	if !signal.Ignored(syscall.SIGXFSZ) {
		signal.Ignore(syscall.SIGXFSZ)
	}
}

// mapAhead says whether addresses beyond the end of the file can be set aside for it without making it longer.
const mapAhead = true

// syncDir makes the names in a directory durable.
func syncDir(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// stat looks at an open file; ok: it is one.
func stat(f *os.File) (file fileState, ok bool) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return file, false
	}
	return fileState{size: st.Size, nameless: st.Nlink == 0}, true
}
