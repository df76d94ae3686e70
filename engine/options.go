package engine

import (
	"log/slog"
	"time"

	"github.com/agnt5/agnt5d/timers"
)

// Options are an engine's settings. The zero value means the defaults that each field names.
type Options struct {
	// Logger hears what an operator should know. nil: nothing is logged.
	Logger *slog.Logger
	// Concurrency is how many handlers may run at once in this process. 0: 1,000. Small: steps queue; large: memory.
	Concurrency int
	// Services bounds the attempts at once of a service over all its workers, by service name. Absent: no bound.
	Services map[string]int
	// Lease is how long a remote worker's attempt lives without a sign of life. 0: 30 s. Short: a pause of the worker loses
	// attempts; long: a dead worker's steps wait.
	Lease time.Duration
	// Drain is how long Close waits for handlers in this process. 0: 10 s. What has not returned then is offered again at the
	// next start.
	Drain time.Duration
	// MaxPayload is the largest input, output, signal payload or object state, in bytes. 0: 1 MiB.
	MaxPayload int
	// CheckpointBytes is how much is written between two recovery points. 0: 32 MiB. Small: more is written; large: a start
	// after a crash takes longer.
	CheckpointBytes int64
	// MaxLive is how many idle runs are kept unfolded in memory. 0: 20,000.
	MaxLive int
	// Tombstones is how long the id of a deleted run is kept from being used again. 0: 90 days.
	Tombstones time.Duration
	// GCHeadroom is how many bytes the garbage collector counts as in use that never are: a reservation of addresses, not of
	// memory. The engine's own heap is small and its garbage plenty, so that the collector would otherwise run dozens of times
	// a second. 0: 64 MiB; negative: none. Large: fewer collections, up to twice as much memory under load; small: the reverse.
	GCHeadroom int
	// Clock is where time comes from. nil: the machine's.
	Clock Clock
	// Release names the software in the journal. "": the module's version.
	Release string
}

// Clock is where an engine's time comes from.
type Clock = timers.Clock

type machineClock struct{ start time.Time }

func (c machineClock) Now() time.Time      { return time.Now().Round(0) }
func (c machineClock) Mono() time.Duration { return time.Since(c.start) }
func (c machineClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

const defaultMaxPayload = 1 << 20

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	if o.Drain == 0 {
		o.Drain = 10 * time.Second
	}
	if o.GCHeadroom == 0 {
		o.GCHeadroom = 64 << 20
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = defaultMaxPayload
	}
	if o.Clock == nil {
		o.Clock = machineClock{time.Now()}
	}
	if o.Release == "" {
		o.Release = Release()
	}
	return o
}
