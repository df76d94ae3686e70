//go:build !windows

package api

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskFree is the space that the journal may still take on its disk.
func diskFree(path string) (bytes uint64, ok bool) {
	if path == "" {
		return 0, false
	}
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &st); err != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true
}
