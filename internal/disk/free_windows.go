package disk

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// Free is how many bytes may still be put on the disk of a file; ok: it could be found out.
func Free(path string) (bytes uint64, ok bool) {
	if path == "" {
		return 0, false
	}
	dir, err := windows.UTF16PtrFromString(filepath.Dir(path))
	if err != nil {
		return 0, false
	}
	if err := windows.GetDiskFreeSpaceEx(dir, &bytes, nil, nil); err != nil {
		return 0, false
	}
	return bytes, true
}
