package engine

import (
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
)

// Errors that callers branch on, with errors.Is.
var (
	ErrRunNotFound       = refusal.ErrRunNotFound
	ErrRunExpired        = refusal.ErrRunExpired
	ErrRunConflict       = refusal.ErrRunConflict
	ErrRunFinished       = refusal.ErrRunFinished
	ErrRunOpen           = refusal.ErrRunOpen
	ErrRunNotFailed      = refusal.ErrRunNotFailed
	ErrTooManyTags       = refusal.ErrTooManyTags
	ErrRunQuarantined    = refusal.ErrRunQuarantined
	ErrSignalConflict    = refusal.ErrSignalConflict
	ErrStepNotFound      = refusal.ErrStepNotFound
	ErrStepNotCompleted  = refusal.ErrStepNotCompleted
	ErrStepNotOpen       = refusal.ErrStepNotOpen
	ErrRunOutputTooLarge = refusal.ErrRunOutputTooLarge
	ErrForkTooLarge      = refusal.ErrForkTooLarge
	ErrTimerNotFound     = refusal.ErrTimerNotFound
	ErrTimerNotWaiting   = refusal.ErrTimerNotWaiting
	ErrObjectHeld        = refusal.ErrObjectHeld
	ErrWorkflowNotFound  = refusal.ErrWorkflowNotFound
	ErrWorkflowInUse     = refusal.ErrWorkflowInUse
	ErrVersionCurrent    = refusal.ErrVersionCurrent
	ErrWorkerNotFound    = refusal.ErrWorkerNotFound
	ErrOtherService      = refusal.ErrOtherService
	ErrNotReferred       = refusal.ErrNotReferred
	ErrNewerRelease      = refusal.ErrNewerRelease
	ErrDiskFull          = refusal.ErrDiskFull
	ErrScheduleNotFound  = refusal.ErrScheduleNotFound
	ErrScheduleChanged   = refusal.ErrScheduleChanged
	ErrBackfillRunning   = refusal.ErrBackfillRunning
	// ErrNoTestClock: the engine was opened with another clock than a TestClock.
	ErrNoTestClock = refusal.ErrNoTestClock
	// ErrClosing is what calls that would begin something get while the engine stops, ErrClosed what every call gets afterwards.
	ErrClosing = refusal.ErrClosing
	ErrClosed  = refusal.ErrClosed
	// ErrBroken: the engine has stopped by itself, because a commit failed in a way that leaves unknown what was recorded, or the
	// file was deleted, moved, replaced or cut under it. Every call gets it until the engine is opened again.
	ErrBroken = journal.ErrBroken
)

// NewerError refuses what was asked of a run that a newer release of agnt5d wrote on.
type NewerError = archive.NewerError
