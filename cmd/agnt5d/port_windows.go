package main

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// addressInUse says whether another program has the address.
func addressInUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

// widthOf is how many columns a terminal has; 0: it does not say.
func widthOf(f *os.File) int {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info); err != nil {
		return 0
	}
	return int(info.Window.Right-info.Window.Left) + 1
}
