//go:build !windows

package main

import (
	"errors"
	"syscall"
)

// addressInUse says whether another program has the address.
func addressInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
