package api

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// diskFree is the space that the journal may still take on its disk.
func diskFree(path string) (bytes uint64, ok bool) {
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
