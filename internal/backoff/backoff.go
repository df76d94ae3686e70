// Package backoff waits longer each time, so that many who wait for one do not all come at once.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is waits that double from First up to Most.
type Backoff struct {
	First, Most time.Duration
	next        time.Duration
}

// Next is how long the next wait is at most.
func (b *Backoff) Next() time.Duration { return max(b.next, b.First) }

// Wait waits for the next time, at least half of Next. It reports false when ctx has ended.
func (b *Backoff) Wait(ctx context.Context) bool {
	d := b.Next()
	b.next = min(2*d, b.Most)
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Reset makes the next wait the first again.
func (b *Backoff) Reset() { b.next = 0 }
