//go:build !windows

package disk

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Free is how many bytes may still be put on the disk of a file; ok: it could be found out.
func Free(path string) (bytes uint64, ok bool) {
	if path == "" {
		return 0, false
	}
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &st); err != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true
}
