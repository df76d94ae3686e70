//go:build !linux

package bolt

import "go.etcd.io/bbolt"

// readAhead does nothing here: the file is read as it is needed.
func readAhead(string) {}

// unmap does nothing here.
func unmap(*bbolt.Tx) {}
