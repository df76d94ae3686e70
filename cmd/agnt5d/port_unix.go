//go:build !windows

package main

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// addressInUse says whether another program has the address.
func addressInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// widthOf is how many columns a terminal has; 0: it does not say.
func widthOf(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
