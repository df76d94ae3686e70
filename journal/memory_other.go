//go:build !linux

package journal

import "go.etcd.io/bbolt"

// readAhead does nothing here: the file is read as it is needed.
func readAhead(string) {}

// unmap does nothing here.
func unmap(*bbolt.Tx) {}
