package bolt

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestOnlyWritesForWantOfSpaceAreClean(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&os.PathError{Op: "write", Err: spaceErrors[0]}, true},
		{&os.PathError{Op: "write", Err: spaceErrors[1]}, true},
		{&os.PathError{Op: "truncate", Err: spaceErrors[2]}, true},
		{fmt.Errorf("file resize error: %s", &os.PathError{Op: "truncate", Path: "x", Err: spaceErrors[2]}), true},
		{&os.PathError{Op: "write", Err: syscall.EIO}, false},
		{&os.PathError{Op: "sync", Err: spaceErrors[0]}, false},
		{spaceErrors[0], false}, // from fdatasync
		{syscall.EIO, false},
		{fmt.Errorf("file sync error: %s", &os.PathError{Op: "sync", Path: "x", Err: spaceErrors[0]}), false},
		{fmt.Errorf("file resize error: %s", &os.PathError{Op: "truncate", Path: "x", Err: syscall.EIO}), false},
		{errors.New(strings.Repeat("x", 10)), false},
	} {
		if got := outOfSpace(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
