package main

import (
	"errors"

	"golang.org/x/sys/windows"
)

// addressInUse says whether another program has the address.
func addressInUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }
