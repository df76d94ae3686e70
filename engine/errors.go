package engine

import (
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
)

// Errors that callers branch on, with errors.Is.
var (
	ErrRunNotFound      = shard.ErrRunNotFound
	ErrRunExpired       = shard.ErrRunExpired
	ErrRunConflict      = shard.ErrRunConflict
	ErrRunFinished      = shard.ErrRunFinished
	ErrRunOpen          = shard.ErrRunOpen
	ErrRunNotFailed     = shard.ErrRunNotFailed
	ErrRunQuarantined   = shard.ErrRunQuarantined
	ErrSignalConflict   = shard.ErrSignalConflict
	ErrTimerNotFound    = shard.ErrTimerNotFound
	ErrTimerNotWaiting  = shard.ErrTimerNotWaiting
	ErrWorkflowNotFound = shard.ErrWorkflowNotFound
	ErrWorkerNotFound   = shard.ErrWorkerNotFound
	ErrNewerRelease     = shard.ErrNewerRelease
	ErrDiskFull         = shard.ErrDiskFull
	// ErrBroken: the engine has stopped by itself, because a commit failed in a way that leaves unknown what was recorded, or the
	// file was deleted, moved, replaced or cut under it. Every call gets it until the engine is opened again.
	ErrBroken = journal.ErrBroken
)
