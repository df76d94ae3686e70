package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
)

var (
	// ErrNoCopy: the journal is not a file that can be copied by the engine.
	ErrNoCopy = errors.New("this journal cannot be copied or compacted by the engine: use the tools of the database that keeps it")
	// ErrNotWhileOpen: this system does not let an engine compact the file that it has open.
	ErrNotWhileOpen = bolt.ErrNotWhileOpen
	// ErrCompacting: one compaction goes on at a time.
	ErrCompacting = bolt.ErrCompacting
	// ErrNoEvent: the journal does not have the event after which an increment of a backup was to begin.
	ErrNoEvent = bolt.ErrNoEvent
)

// Compacted says what became of a compaction.
type Compacted = bolt.Compacted

// Backup writes the journal as it is at one moment, as a file that Open takes. w must be fast: the file cannot shrink or
// grow its map meanwhile.
func (e *Engine) Backup(w io.Writer) error {
	if err := e.err(); err != nil && !errors.Is(err, ErrDiskFull) {
		return err
	}
	file, ok := e.kept.(interface {
		Backup(io.Writer) (int64, error)
	})
	if !ok {
		return ErrNoCopy
	}
	_, err := file.Backup(w)
	return err
}

// Increment writes what the journal has that a backup which ends with the event since lacks: "agnt5d restore" puts both together. It
// gives the last event in it. w must be fast. ErrNoEvent: the journal has no event since.
func (e *Engine) Increment(w io.Writer, since uint64) (upTo uint64, err error) {
	if err := e.err(); err != nil && !errors.Is(err, ErrDiskFull) {
		return 0, err
	}
	file, ok := e.kept.(interface {
		Increment(io.Writer, uint64, int64, func(*journal.Record) (journal.Touched, error)) (uint64, error)
	})
	if !ok {
		return 0, ErrNoCopy
	}
	return file.Increment(w, since, e.o.Clock.Now().UnixMilli(), archive.Touched)
}

// SpareRoom is the error of a disk that is so full at path that nothing more should be copied there. It is a journal.ErrFull.
func SpareRoom(path string) error { return bolt.Spare(path) }

// BackupRoom is the error of a disk on which what Backup writes would not fit at path. It is a journal.ErrFull; nothing was written.
func (e *Engine) BackupRoom(path string) error {
	file, ok := e.kept.(interface{ Room(string) error })
	if !ok {
		return ErrNoCopy
	}
	return file.Room(path)
}

// Compact rewrites the journal's file without its free pages, while the engine works: it copies it, catches up with what is written
// meanwhile, and lets the copy take its place between two commits. progress is told how many bytes of how many are copied; nil: nobody
// is. Without room for the copy nothing is begun, and the error is a journal.ErrFull.
func (e *Engine) Compact(ctx context.Context, progress func(done, all int64)) (Compacted, error) {
	if err := e.err(); err != nil {
		return Compacted{}, err
	}
	file, ok := e.kept.(interface {
		Compact(context.Context, func(done, all int64)) (Compacted, error)
	})
	if !ok {
		return Compacted{}, ErrNoCopy
	}
	got, err := file.Compact(ctx, progress)
	if err == nil {
		e.o.Logger.Info("the journal was compacted", "bytes_before", got.Before, "bytes_after", got.After, "paused", got.Paused.Round(100*time.Microsecond).String())
	}
	return got, err
}

// backupKey is the setting that has the last backup.
const backupKey = "backup/last"

// LastBackup is a copy of the journal that somebody has kept.
type LastBackup struct {
	At    int64  `json:"at"`    // Unix milliseconds; 0: there was none
	UpTo  uint64 `json:"up_to"` // sequence of the last event in it
	Bytes int64  `json:"bytes"`
}

// NoteBackup records that a copy of the journal is whole and in its place.
func (e *Engine) NoteBackup(ctx context.Context, upTo uint64, bytes int64) error {
	b, err := json.Marshal(LastBackup{e.o.Clock.Now().UnixMilli(), upTo, bytes})
	if err != nil {
		return err
	}
	return e.SetNoted(ctx, backupKey, b, "a backup was made")
}

// LastBackup gives the last backup that was noted.
func (e *Engine) LastBackup() (LastBackup, error) {
	b, ok, err := e.j.Row(backupKey)
	var last LastBackup
	if err == nil && ok {
		err = json.Unmarshal(b, &last)
	}
	return last, err
}
