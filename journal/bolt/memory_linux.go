package bolt

import (
	"os"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// readAhead asks for the file to be read front to back, in the background, as far as it fits a quarter of the memory:
// bbolt maps it for random access, and would wait for each page by itself.
func readAhead(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	info, err := f.Stat()
	var sys unix.Sysinfo_t
	if err != nil || unix.Sysinfo(&sys) != nil {
		f.Close()
		return
	}
	size := min(info.Size(), int64(sys.Totalram)*int64(sys.Unit)/4)
	go func() {
		defer f.Close()
		const piece = 8 << 20
		for at := int64(0); at < size; at += piece {
			if unix.Fadvise(int(f.Fd()), at, piece, unix.FADV_WILLNEED) != nil {
				return
			}
		}
	}()
}

// unmap gives the mapped pages of the file back: recovery has read them, and few are needed again soon. The system keeps
// them as long as it has room, and a read of one costs a fault.
func unmap(tx *bbolt.Tx) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
}
