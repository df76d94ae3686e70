package timers

import (
	"fmt"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/cron"
)

// MaxAbsorb is the longest time for which a delay timer defers a failed step.
const MaxAbsorb = time.Hour

// maxMS is the last moment that is worked with, in the year 9999: a delay beyond it waits till then.
const maxMS = 253402300799000

// Due is when a timer that became ready at ready fires: its delay later, or at the next match of its cron text strictly after.
// It is in whole milliseconds.
func Due(t *flow.Timer, ready time.Time) (time.Time, error) {
	if t.DelayMS != nil {
		return later(ready, *t.DelayMS), nil
	}
	return next(t, ready)
}

// AbsorbDue is until when the timer defers a step at its k-th absorption, k from 1: its delay, twice as long each time, at most
// MaxAbsorb; or the next match of its cron text.
func AbsorbDue(t *flow.Timer, k int, now time.Time) (time.Time, error) {
	if t.DelayMS == nil {
		return next(t, now)
	}
	d, most := *t.DelayMS, MaxAbsorb.Milliseconds()
	for ; k > 1 && d > 0 && d < most; k-- {
		d *= 2
	}
	return later(now, min(d, most)), nil
}

func later(t time.Time, ms int64) time.Time {
	now := t.UnixMilli()
	if ms > maxMS-now {
		return time.UnixMilli(maxMS)
	}
	return time.UnixMilli(now + ms)
}

func next(t *flow.Timer, after time.Time) (time.Time, error) {
	s, err := cron.Parse(t.Cron, t.TimeZone)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := s.Next(after)
	if !ok {
		return time.Time{}, fmt.Errorf("cron %q: no match after %s", t.Cron, after.UTC().Format(time.RFC3339))
	}
	return at, nil
}
