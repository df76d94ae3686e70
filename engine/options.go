package engine

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/sealed"
	"github.com/agnt5/agnt5d/timers"
)

// Options are an engine's settings. The zero value means the defaults that each field names.
type Options struct {
	// Logger hears what an operator should know. nil: nothing is logged.
	Logger *slog.Logger
	// Concurrency is how many handlers may run at once in this process, up to 100,000. 0: 1,000. Small: steps queue; large: memory.
	Concurrency int
	// Services bounds the attempts at once of a service over all its workers, by service name, each at 1 or more. Absent: no bound.
	Services map[string]int
	// Lease is how long a remote worker's attempt lives without a sign of life, from 100 ms to 24 h. 0: 30 s. Short: a pause of the worker loses
	// attempts; long: a dead worker's steps wait.
	Lease time.Duration
	// Drain is how long Close waits for handlers in this process. 0: 10 s; negative: it does not wait. What has not returned then is
	// offered again at the next start.
	Drain time.Duration
	// MaxPayload is the largest input, output, signal payload or object state, in bytes, up to 64 MiB. 0: 1 MiB.
	MaxPayload int
	// CheckpointBytes is how much is written between two recovery points. 0: 32 MiB. Small: more is written; large: a start
	// after a crash takes longer.
	CheckpointBytes int64
	// MaxLive is how many idle runs are kept unfolded in memory. 0: 20,000.
	MaxLive int
	// Tombstones is how long the id of a deleted run is kept from being used again, 1 s or more. 0: 90 days.
	Tombstones time.Duration
	// Retention is how long runs are kept after their end. The zero value: for ever. Each that is not 0 is 1 s or more.
	Retention Retention
	// GCHeadroom is how many bytes the garbage collector counts as in use that never are: a reservation of addresses, not of
	// memory. The engine's own heap is small and its garbage plenty, so that the collector would otherwise run dozens of times
	// a second. 0: 64 MiB; negative: none; at most 1 GiB. Large: fewer collections, up to twice as much memory under load; small: the reverse.
	GCHeadroom int
	// Codec seals payloads in the journal: inputs, outputs, signal payloads, object states. nil: they stand there as they came in. Package
	// seal has one. Once a key has sealed something the journal does not open without it. Ids, names, tags, states and error texts are not sealed.
	Codec Codec
	// Careful holds every run, those that start later among them, as a pause of its own would, until ResumeAll. The hold is this engine's:
	// the journal does not have it, and an engine that is opened without Careful holds nothing.
	Careful bool
	// Clock is where time comes from. nil: the machine's.
	Clock Clock
	// Release names the software in the journal. "": the module's version.
	Release string
}

// Codec seals payloads at rest; see Options.
type Codec = sealed.Codec

// ErrKey: the journal's payloads are sealed with a key that Options.Codec does not have.
var ErrKey = sealed.ErrKey

// Clock is where an engine's time comes from.
type Clock = timers.Clock

// Now is the engine's time.
func (e *Engine) Now() time.Time { return e.o.Clock.Now() }

type machineClock struct{ start time.Time }

func (c machineClock) Now() time.Time      { return time.Now().Round(0) }
func (c machineClock) Mono() time.Duration { return time.Since(c.start) }
func (c machineClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

const defaultMaxPayload = 1 << 20

// check says which option is out of its range. 0 is in each: it stands for the default.
func (o *Options) check() error {
	for _, n := range []struct {
		field     string
		value     int64
		from, to  int64
		otherwise string
	}{
		{"Concurrency", int64(o.Concurrency), 1, maxCapacity, "1,000"},
		{"MaxPayload", int64(o.MaxPayload), 1, 64 << 20, "1 MiB"},
		{"CheckpointBytes", o.CheckpointBytes, 1, math.MaxInt64, "32 MiB"},
		{"MaxLive", int64(o.MaxLive), 1, math.MaxInt, "20,000"},
	} {
		if n.value != 0 && (n.value < n.from || n.value > n.to) {
			return fmt.Errorf("engine: option %s is %d, want %d to %d, or 0 for %s", n.field, n.value, n.from, n.to, n.otherwise)
		}
	}
	if o.Lease != 0 && (o.Lease < minLease || o.Lease > maxLease) {
		return fmt.Errorf("engine: option Lease is %s, want %s to %s, or 0 for 30s", o.Lease, minLease, maxLease)
	}
	if o.GCHeadroom > maxHeadroom {
		return fmt.Errorf("engine: option GCHeadroom is %d, want at most %d, 0 for 64 MiB, or less than 0 for none", o.GCHeadroom, maxHeadroom)
	}
	if o.Tombstones != 0 && o.Tombstones < time.Second {
		return fmt.Errorf("engine: option Tombstones is %s, want 1s or more, or 0 for 90 days", o.Tombstones)
	}
	for _, kept := range []struct {
		field string
		value time.Duration
	}{{"Completed", o.Retention.Completed}, {"Failed", o.Retention.Failed}, {"Cancelled", o.Retention.Cancelled}} {
		if kept.value != 0 && kept.value < time.Second {
			return fmt.Errorf("engine: option Retention.%s is %s, want 1s or more, or 0 for ever", kept.field, kept.value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Services)) {
		if err := flow.ValidName(name); err != nil {
			return fmt.Errorf("engine: option Services: the service's name %w", err)
		}
		if o.Services[name] < 1 {
			return fmt.Errorf("engine: option Services[%q] is %d, want 1 or more; without an entry there is no bound", name, o.Services[name])
		}
	}
	return nil
}

const (
	minLease = 100 * time.Millisecond // three heartbeats must fit in
	maxLease = 24 * time.Hour

	maxHeadroom = 1 << 30
)

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
