package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/internal/shard"
)

// TestClock is a clock whose wall time a test moves ahead: timers, time-outs of waits, retries and delays follow it. Leases,
// heartbeats and the time limits of attempts follow the monotonic clock, which stays the machine's: what workers have in hand
// is not lost because a test looks two days ahead.
//
// In a Go test, testing/synctest is simpler (package enginetest); this clock is for a daemon under test.
type TestClock struct {
	machineClock
	ahead atomic.Int64
}

// NewTestClock gives a clock that shows the machine's time until it is moved.
func NewTestClock() *TestClock { return &TestClock{machineClock: machineClock{time.Now()}} }

// Now is the machine's time and as much as the clock was moved ahead.
func (c *TestClock) Now() time.Time { return c.machineClock.Now().Add(time.Duration(c.ahead.Load())) }

// Advance moves the engine's TestClock ahead, and returns its time when everything that is due then has been taken and is
// durable. What follows from that (a task's outcome, the next timer) comes later: move again for what it sets.
func (e *Engine) Advance(ctx context.Context, d time.Duration) (time.Time, error) {
	clock, ok := e.o.Clock.(*TestClock)
	if !ok {
		return time.Time{}, ErrNoTestClock
	}
	if d < 0 {
		return time.Time{}, badRequest("a test clock moves ahead only")
	}
	clock.ahead.Add(int64(d))
	defer e.lookAgain()
	for {
		more := false
		if !e.inspect(func(r *shard.Shard) {
			at := r.NextWake().Wall
			more = at != 0 && at <= e.now().Wall
		}) {
			return time.Time{}, e.err()
		}
		if !more || ctx.Err() != nil {
			return clock.Now(), ctx.Err()
		}
	}
}
