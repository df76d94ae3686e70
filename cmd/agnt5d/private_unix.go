//go:build !windows

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// exposed says whether others than its owner can read or change a file. One that belongs to the system may be read by a group: so
// a service manager hands keys over.
func exposed(info fs.FileInfo) bool {
	others := fs.FileMode(0o077)
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid == 0 && os.Geteuid() != 0 {
		others = 0o037
	}
	return info.Mode().Perm()&others != 0
}
