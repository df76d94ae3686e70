package rfc3339

import (
	"math"
	"testing"
	"time"
)

func TestTheTimesAreThoseOfTheLibrary(t *testing.T) {
	const layout = "2006-01-02T15:04:05.000Z"
	for _, ms := range []int64{0, -1, 1, 999, 1_700_000_000_123, -62_167_219_200_000, 253_402_300_799_999, 253_402_300_800_000, -62_167_219_200_001, math.MinInt32} {
		if got, want := Format(ms), time.UnixMilli(ms).UTC().Format(layout); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
	for ms := int64(0); ms < 253_402_300_800_000; ms += 43_199_999 * 2 { // each day once, up to the year 9999
		if got, want := Format(ms), time.UnixMilli(ms).UTC().Format(layout); got != want {
			t.Fatalf("%d: %s, want %s", ms, got, want)
		}
	}
}
