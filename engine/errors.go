package engine

import (
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/ring"
)

// Errors that callers branch on, with errors.Is.
var (
	ErrRunNotFound      = ring.ErrRunNotFound
	ErrRunExpired       = ring.ErrRunExpired
	ErrRunConflict      = ring.ErrRunConflict
	ErrRunFinished      = ring.ErrRunFinished
	ErrRunOpen          = ring.ErrRunOpen
	ErrRunNotFailed     = ring.ErrRunNotFailed
	ErrRunQuarantined   = ring.ErrRunQuarantined
	ErrSignalConflict   = ring.ErrSignalConflict
	ErrTimerNotFound    = ring.ErrTimerNotFound
	ErrTimerNotWaiting  = ring.ErrTimerNotWaiting
	ErrWorkflowNotFound = ring.ErrWorkflowNotFound
	ErrWorkerNotFound   = ring.ErrWorkerNotFound
	ErrNewerRelease     = ring.ErrNewerRelease
	ErrDiskFull         = ring.ErrDiskFull
	// ErrBroken: the engine has stopped by itself, because a commit failed in a way that leaves unknown what was recorded, or the
	// file was deleted, moved, replaced or cut under it. Every call gets it until the engine is opened again.
	ErrBroken = journal.ErrBroken
)
