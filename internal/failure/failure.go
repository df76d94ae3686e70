// Package failure is the one table of the codes that the engine, its workers and push services give to attempts that failed or were
// lost, and to steps that failed without one. A handler's own errors have whatever code it gives them.
package failure

// Codes. They stand in journals.
const (
	HandlerError     = "handler_error"
	NotRetryable     = "not_retryable"
	Panic            = "panic"
	AttemptTimeout   = "attempt_timeout"
	HeartbeatTimeout = "heartbeat_timeout"
	OutcomeInvalid   = "outcome_invalid"
	ObjectNotHeld    = "object_not_held"
	TaskUnreadable   = "task_unreadable"
	TaskTooLarge     = "task_too_large"
	PushURL          = "push_url"
	PushAddress      = "push_address"
	PushUnreachable  = "push_unreachable"
	PushTimeout      = "push_timeout"
	PushStatus       = "push_status"
	PushAnswer       = "push_answer"

	LeaseExpired   = "lease_expired"
	WorkerSilent   = "worker_silent"
	WorkerLeft     = "worker_left"
	WorkerCameBack = "worker_came_back"
	EngineStopped  = "engine_stopped"

	AttemptsLost  = "attempts_lost"
	SignalTimeout = "signal_timeout"
	// FailedByOperator: an operator failed the step by hand.
	FailedByOperator = "failed_by_operator"
	TimerInvalid     = "timer_invalid"

	ExpressionFailed = "expression_failed"
	RoundsUsedUp     = "rounds_used_up"
	ObjectKeyInvalid = "object_key_invalid"
	TooManyItems     = "too_many_items"
	ItemFailed       = "item_failed"
	OutputTooLarge   = "output_too_large"
	RunTimeout       = "run_timeout"
	ChildFailed      = "child_failed"
	ChildCancelled   = "child_cancelled"
	TooDeep          = "too_deep"
	FinallyFailed    = "finally_failed"
)

// Failure is a code and what it means.
type Failure struct{ Code, Kind, Means string }

// All is every code, in the order of the docs. Kind says what has the code: a failed attempt counts in the step's retry budget, a
// lost one does not.
var All = []Failure{
	{HandlerError, "attempt failed", "The handler returned an error without a code of its own."},
	{NotRetryable, "attempt failed, no retry", "The handler returned an error that must not be retried, without a code of its own."},
	{Panic, "attempt failed", "The handler panicked, or ended its goroutine."},
	{AttemptTimeout, "attempt failed", "The attempt took longer than the step's `timeout_ms`. A child was cancelled then, and has ended."},
	{HeartbeatTimeout, "attempt failed", "The handler sent no heartbeat for the step's `heartbeat_timeout_ms`."},
	{OutcomeInvalid, "attempt failed, no retry", "The outcome cannot be recorded: its status, output or object state is wrong or too large; the message says which."},
	{ObjectNotHeld, "attempt failed, no retry", "The outcome sets an object that is not one of the step's `object_keys`."},
	{TaskUnreadable, "attempt or step failed, no retry", "What the task carries, or what the items of a step gave, cannot be read from the journal."},
	{TaskTooLarge, "attempt or step failed, no retry", "The task with its dependencies, or the run's output, is over 16 MiB."},
	{PushURL, "attempt failed, no retry", "The push service's URL cannot be called."},
	{PushAddress, "attempt failed, no retry", "The push service's address is not one that the daemon may call (`--push-allow`)."},
	{PushUnreachable, "attempt failed", "The push service cannot be reached, or its answer broke off."},
	{PushTimeout, "attempt failed", "The push service did not answer in time."},
	{PushStatus, "attempt failed", "The push service answered with an HTTP status that is not a success; a 3xx, or a 4xx other than 408, 425 and 429, is not retried."},
	{PushAnswer, "attempt failed, no retry", "The push service's answer is not an outcome, or is too large."},
	{LeaseExpired, "attempt lost", "The worker gave no sign of life for a lease."},
	{WorkerSilent, "attempt lost", "The worker's session was silent for longer than a lease, and was closed."},
	{WorkerLeft, "attempt lost", "The worker closed its session."},
	{WorkerCameBack, "attempt lost", "The worker registered again and did not name the attempt."},
	{EngineStopped, "attempt lost", "The attempt ran in the engine's own process, which stopped."},
	{AttemptsLost, "step failed", "Ten attempts in a row were lost."},
	{FailedByOperator, "step failed", "An operator failed the step by hand; the message has the reason."},
	{SignalTimeout, "step failed", "The signal did not come within the wait's `timeout_ms`, and the wait names no `on_timeout`."},
	{ExpressionFailed, "step or run failed", "An expression of the step, or of the run's `output`, could not be worked out; the message has its text, the position and the reason."},
	{RoundsUsedUp, "step failed", "The step ran `max_rounds` rounds, and its `until` is still not true."},
	{ObjectKeyInvalid, "step failed", "What a template of the step's `object_keys` came to cannot be an object key."},
	{TooManyItems, "step failed", "`for_each` gives more items than `max_items` allows, or a list over 16 MiB."},
	{ItemFailed, "step failed", "More items of the step failed for good than `tolerate` allows; the message names the first."},
	{OutputTooLarge, "step failed", "The outputs of the step's items are over 16 MiB together."},
	{RunTimeout, "run failed", "The run was not over within its workflow's `timeout_ms`."},
	{ChildFailed, "attempt failed", "The child of the step failed; the message says how, and the error's type is the code of its failure."},
	{ChildCancelled, "attempt failed, no retry", "The child of the step was cancelled by somebody."},
	{TooDeep, "attempt failed, no retry", "The child would have more than 20 runs above it."},
	{FinallyFailed, "run failed", "The run would have completed, but a step of its `finally` failed and nothing caught that; nothing is compensated."},
	{TimerInvalid, "step failed", "The timer's time cannot be worked out any more: its time zone has gone from the machine, say."},
}
