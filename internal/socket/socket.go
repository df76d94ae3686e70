// Package socket knows how long the path of a unix socket may be.
package socket

import (
	"fmt"
	"syscall"
)

// MaxPath is how many bytes the path of a socket has at most on this system.
const MaxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// Check refuses a path that is too long: the system would say no more than "invalid argument".
func Check(path string) error {
	if len(path) > MaxPath {
		return fmt.Errorf("the path of a unix socket has at most %d bytes here, and this one has %d; choose a shorter one", MaxPath, len(path))
	}
	return nil
}
