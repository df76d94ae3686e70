// Package refusal is the one list of why a call is refused. Each has the code that the HTTP surface answers, so that nobody else need
// list them: whatever wraps one carries its code.
package refusal

import (
	"errors"
	"fmt"
	"strconv"
)

// Refusal is an error that callers branch on: in Go with errors.Is, elsewhere by its code.
type Refusal struct{ code, text string }

func (r *Refusal) Error() string { return r.text }

// Code is the stable code of the HTTP surface.
func (r *Refusal) Code() string { return r.code }

// About names the run that a refusal is about: "run "order-17": no such run".
type About struct {
	Run string
	Err error
}

func (a *About) Error() string { return "run " + strconv.Quote(a.Run) + ": " + a.Err.Error() }
func (a *About) Unwrap() error { return a.Err }

// Instead is a refusal that says what is so in a sentence of its own: its code stays.
func Instead(why error, format string, args ...any) error {
	return &instead{fmt.Sprintf(format, args...), why}
}

type instead struct {
	text string
	why  error
}

func (i *instead) Error() string { return i.text }
func (i *instead) Unwrap() error { return i.why }

// OfRun names the run in an error that is a refusal, once.
func OfRun(run string, err error) error {
	var r *Refusal
	var named *About
	if err == nil || !errors.As(err, &r) || errors.As(err, &named) || r == ErrClosed || r == ErrClosing || r == ErrDiskFull || r == ErrWorkflowNotFound {
		return err
	}
	return &About{run, err}
}

// All is every refusal.
var All []*Refusal

func refusal(code, text string) error {
	r := &Refusal{code, text}
	All = append(All, r)
	return r
}

// The refusals.
var (
	ErrRunNotFound       = refusal("run_not_found", "no such run")
	ErrRunExpired        = refusal("run_expired", "the run was deleted; nothing of it is kept but its id, which cannot be used again for a while")
	ErrRunConflict       = refusal("run_conflict", "the id belongs to another run")
	ErrRunFinished       = refusal("run_finished", "the run has finished")
	ErrRunFinishing      = refusal("run_finishing", "the fate of the run is decided, and it is finishing: it takes nothing more")
	ErrRunCompensated    = refusal("run_compensated", "steps of the run were compensated, so it cannot be retried")
	ErrRunOpen           = refusal("run_open", "the run has not finished")
	ErrRunNotFailed      = refusal("run_not_failed", "only a failed or cancelled run can be retried")
	ErrParentDecides     = refusal("parent_decides", "the run is a child, and is retried with its parent")
	ErrRunQuarantined    = refusal("run_quarantined", "the run is quarantined: its journal is damaged")
	ErrDamaged           = refusal("damaged", "its row in the journal is damaged")
	ErrNewerRelease      = refusal("newer_release", "written by a newer release of agnt5d")
	ErrTooManyTags       = refusal("too_many_tags", "a run has at most 16 tags: take some away")
	ErrSignalConflict    = refusal("signal_conflict", "the signal id was used with another name or payload")
	ErrStepNotFound      = refusal("step_not_found", "the run has no such step")
	ErrStepNotCompleted  = refusal("step_not_completed", "the step has no output, because it has not completed")
	ErrStepNotOpen       = refusal("step_not_open", "the step is not open, and no failure of it is left to be mended")
	ErrRunOutputTooLarge = refusal("run_output_too_large", "with this output the run's output would be over 16 MiB")
	ErrForkTooLarge      = refusal("fork_too_large", "the first record of the fork, with what it would take over, would be over 128 MiB")
	ErrTimerNotFound     = refusal("timer_not_found", "the workflow has no such timer")
	ErrTimerNotWaiting   = refusal("timer_not_waiting", "the timer has not fired and nothing waits on it")
	ErrObjectHeld        = refusal("object_held", "a step holds the object key")
	ErrNoTestClock       = refusal("no_test_clock", "this engine has no test clock, so its time cannot be moved")
	ErrWorkflowNotFound  = refusal("workflow_not_found", "no such workflow")
	ErrWorkflowInUse     = refusal("workflow_in_use", "runs of the workflow use the version")
	ErrVersionCurrent    = refusal("version_current", "the version is the current one")
	ErrWorkerNotFound    = refusal("worker_not_found", "no such worker session")
	ErrOtherService      = refusal("forbidden", "the worker serves another service")
	ErrNotReferred       = refusal("forbidden", "the lease token is not that of a task under way that depends on this step")
	ErrScheduleNotFound  = refusal("schedule_not_found", "no such schedule")
	ErrScheduleChanged   = refusal("schedule_changed", "the schedule has another revision")
	ErrBackfillRunning   = refusal("backfill_running", "a backfill of the schedule is under way")
	ErrDiskFull          = refusal("disk_full", "the disk is full: nothing was recorded; try again when there is space")
	ErrClosing           = refusal("shutting_down", "the engine is shutting down")
	ErrClosed            = refusal("shutting_down", "engine: closed")
)
