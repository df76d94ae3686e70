package bolt

import (
	"fmt"
	"path/filepath"

	"github.com/agnt5/agnt5d/internal/disk"
)

// spareRoom is what is left free besides a copy.
const spareRoom = 16 << 20

// room is the error of a disk on which a compacted copy of the journal would not fit at path.
func (j *Journal) room(path string) error {
	used := uint64(max(j.Stats().UsedBytes, 0))
	return roomFor(path, used+used/20+spareRoom)
}

// Room is the error (a *NoRoomError) of a disk on which a copy of the whole file, as Backup writes it, would not fit at path.
func (j *Journal) Room(path string) error { return roomFor(path, uint64(j.used())+spareRoom) }

// Spare is the error (a *NoRoomError) of a disk that has no more left at path than what is always left free.
func Spare(path string) error { return roomFor(path, spareRoom) }

func roomFor(path string, want uint64) error {
	if free, ok := disk.Free(path); ok && free < want {
		return &NoRoomError{path, want, free}
	}
	return nil
}

func mib(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func syncDirOf(path string) error { return syncDir(filepath.Dir(path)) }
