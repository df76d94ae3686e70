// Package meter counts durations and sizes into histograms with fixed buckets, and bounds how many of them there are: a label
// whose values people choose (workflow, step, handler) must not grow without end in whoever reads the figures.
package meter

import "time"

// Seconds are the upper bounds of the buckets of a Histogram of durations: from a handler that does nothing to a run that
// waits for days.
var Seconds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400, 604800}

// Counts are those of a Sizes histogram.
var Counts = [...]float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000}

// Histogram counts durations. The zero value is ready. It belongs to one goroutine; a copy is a snapshot.
type Histogram struct {
	counts [len(Seconds) + 1]uint64
	sum    float64
}

// Observe counts one duration. What is below zero, because the clock went back, counts as none.
func (h *Histogram) Observe(d time.Duration) {
	h.add(max(d, 0).Seconds())
}

// Milliseconds counts one duration that is given in them.
func (h *Histogram) Milliseconds(ms int64) { h.add(float64(max(ms, 0)) / 1000) }

func (h *Histogram) add(s float64) {
	h.counts[bucket(Seconds[:], s)]++
	h.sum += s
}

// Cumulative gives how many were counted, their sum, and for each bound how many were not above it: what Prometheus wants.
func (h *Histogram) Cumulative() (count uint64, sum float64, buckets map[float64]uint64) {
	return cumulative(Seconds[:], h.counts[:], h.sum)
}

// Sizes counts sizes, in the same way.
type Sizes struct {
	counts [len(Counts) + 1]uint64
	sum    float64
}

// Observe counts one.
func (s *Sizes) Observe(n int) {
	s.counts[bucket(Counts[:], float64(n))]++
	s.sum += float64(n)
}

// Cumulative is that of a Histogram.
func (s *Sizes) Cumulative() (count uint64, sum float64, buckets map[float64]uint64) {
	return cumulative(Counts[:], s.counts[:], s.sum)
}

func bucket(bounds []float64, v float64) int {
	i := 0
	for i < len(bounds) && v > bounds[i] {
		i++
	}
	return i
}

func cumulative(bounds []float64, counts []uint64, sum float64) (uint64, float64, map[float64]uint64) {
	buckets := make(map[float64]uint64, len(bounds))
	n := uint64(0)
	for i, b := range bounds {
		n += counts[i]
		buckets[b] = n
	}
	return n + counts[len(bounds)], sum, buckets
}

// Most is how many label values a Family tells apart; the rest share one.
const Most = 300

// Other is the label of those that share.
const Other = "other"

// Family is one meter for each value of a label, at most so many.
type Family[K comparable, M any] struct {
	// Limit is how many values are told apart. 0: Most.
	Limit int
	// Rest is the key that the others share.
	Rest K

	all map[K]*M
}

// Of gives the meter of a label's value.
func (f *Family[K, M]) Of(key K) *M {
	if m := f.all[key]; m != nil {
		return m
	}
	limit := f.Limit
	if limit == 0 {
		limit = Most
	}
	if len(f.all) >= limit {
		key = f.Rest
		if m := f.all[key]; m != nil {
			return m
		}
	}
	if f.all == nil {
		f.all = map[K]*M{}
	}
	m := new(M)
	f.all[key] = m
	return m
}

// All gives every meter.
func (f *Family[K, M]) All(yield func(*M) bool) {
	for _, m := range f.all {
		if !yield(m) {
			return
		}
	}
}

// Snapshot copies every meter.
func (f *Family[K, M]) Snapshot() map[K]M {
	out := make(map[K]M, len(f.all))
	for k, m := range f.all {
		out[k] = *m
	}
	return out
}
