package meter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/internal/meter"
)

func TestDurationsAreCountedIntoTheirBuckets(t *testing.T) {
	var h meter.Histogram
	for _, d := range []time.Duration{-time.Second, 0, time.Millisecond, 1500 * time.Microsecond, time.Second, 30 * 24 * time.Hour} {
		h.Observe(d)
	}
	count, sum, buckets := h.Cumulative()
	if count != 6 || sum != 2592001.0025 {
		t.Errorf("count %d, sum %v", count, sum)
	}
	for bound, want := range map[float64]uint64{.001: 3, .0025: 4, .5: 4, 1: 5, 604800: 5} {
		if buckets[bound] != want {
			t.Errorf("up to %v s: %d, want %d", bound, buckets[bound], want)
		}
	}
	snapshot := h
	h.Milliseconds(1)
	if n, _, _ := snapshot.Cumulative(); n != 6 {
		t.Error("a snapshot goes on counting")
	}
}

func TestTheRestOfAFamilySharesOne(t *testing.T) {
	f := meter.Family[string, uint64]{Limit: 3, Rest: meter.Other}
	for i := range 10 {
		*f.Of(fmt.Sprint(i)) += 1
	}
	*f.Of("1") += 1
	got := f.Snapshot()
	if len(got) != 4 || got["1"] != 2 || got[meter.Other] != 7 {
		t.Errorf("%v", got)
	}
}
