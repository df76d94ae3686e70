package flow

import (
	"math"
	"time"
)

// DefaultRetry is the policy of a task that gives none.
var DefaultRetry = Retry{MaxAttempts: 3, InitialIntervalMS: 1000, BackoffCoefficient: 2, MaxIntervalMS: 60_000}

// RetryPolicy is the policy of a step, with its defaults filled in.
func RetryPolicy(s *Step) Retry {
	r := DefaultRetry
	if s.Type == TypeWorkflow {
		r.MaxAttempts = 1
	}
	if s.Retry == nil {
		return r
	}
	own := s.Retry
	if own.MaxAttempts != 0 {
		r.MaxAttempts = own.MaxAttempts
	}
	if own.InitialIntervalMS != 0 || own.zeros&zeroInitial != 0 {
		r.InitialIntervalMS = own.InitialIntervalMS
	}
	if own.BackoffCoefficient != 0 {
		r.BackoffCoefficient = own.BackoffCoefficient
	}
	if own.MaxIntervalMS != 0 || own.zeros&zeroMax != 0 {
		r.MaxIntervalMS = own.MaxIntervalMS
	}
	return r
}

// Backoff is how long to wait after that many failures, from 1: the initial interval, growing by the coefficient with each
// failure up to the maximal interval. r is what RetryPolicy gave.
func (r Retry) Backoff(failures int) time.Duration {
	if r.InitialIntervalMS <= 0 {
		return 0
	}
	ms := float64(r.InitialIntervalMS) * math.Pow(r.BackoffCoefficient, float64(max(failures, 1)-1))
	limit := min(r.MaxIntervalMS, MaxMS)
	if !(ms < float64(limit)) {
		return time.Duration(limit) * time.Millisecond
	}
	return time.Duration(ms) * time.Millisecond
}

// Interval is how long to wait after that many rounds, from 1, before the next.
func (p *Repeat) Interval(rounds int64) time.Duration {
	if p.IntervalMS == nil {
		return 0
	}
	r := Retry{InitialIntervalMS: *p.IntervalMS, BackoffCoefficient: max(p.BackoffCoefficient, 1), MaxIntervalMS: MaxMS}
	if p.MaxIntervalMS != nil {
		r.MaxIntervalMS = *p.MaxIntervalMS
	}
	return r.Backoff(int(min(rounds, math.MaxInt32)))
}
