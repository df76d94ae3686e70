package flow

import (
	"errors"
	"math"
	"time"
)

// DefaultRetry is the policy of a task that gives none.
var DefaultRetry = Retry{MaxAttempts: 3, InitialIntervalMS: 1000, BackoffCoefficient: 2, MaxIntervalMS: 60_000}

// RetryPolicy is the policy of a step, with its defaults filled in.
func RetryPolicy(s *Step) Retry {
	r := DefaultRetry
	if s.Retry == nil {
		return r
	}
	if s.Retry.MaxAttempts != 0 {
		r.MaxAttempts = s.Retry.MaxAttempts
	}
	if s.Retry.InitialIntervalMS != 0 {
		r.InitialIntervalMS = s.Retry.InitialIntervalMS
	}
	if s.Retry.BackoffCoefficient != 0 {
		r.BackoffCoefficient = s.Retry.BackoffCoefficient
	}
	if s.Retry.MaxIntervalMS != 0 {
		r.MaxIntervalMS = s.Retry.MaxIntervalMS
	}
	return r
}

// Backoff is how long to wait after that many failures, from 1.
func (r Retry) Backoff(failures int) time.Duration {
	ms := float64(r.InitialIntervalMS) * math.Pow(r.BackoffCoefficient, float64(failures-1))
	if limit := float64(r.MaxIntervalMS); !(ms < limit) {
		ms = limit
	}
	return time.Duration(min(ms, float64(math.MaxInt64/int64(time.Millisecond)/2))) * time.Millisecond
}

// NonRetryable marks an error that no retry can mend: the step fails for good.
func NonRetryable(err error) error { return &nonRetryable{err} }

// IsNonRetryable says whether an error is marked so.
func IsNonRetryable(err error) bool {
	var n *nonRetryable
	return errors.As(err, &n)
}

type nonRetryable struct{ err error }

func (e *nonRetryable) Error() string      { return e.err.Error() }
func (e *nonRetryable) Unwrap() error      { return e.err }
func (e *nonRetryable) NonRetryable() bool { return true }
