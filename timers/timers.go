// Package timers knows when: which moment a timer step means, and which of many moments comes first.
//
// Both are pure. What sleeps until a moment has come is the engine's loop, and nothing else in the engine.
package timers

import (
	"fmt"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/cron"
)

// Due is when a timer that became ready at ready fires: its delay later, or at the next match of its cron text strictly after.
func Due(t *flow.Timer, ready time.Time) (time.Time, error) {
	if t.DelayMS != nil {
		return later(ready, *t.DelayMS), nil
	}
	return next(t, ready)
}

// MaxAbsorb is the longest time for which a delay timer defers a failed step.
const MaxAbsorb = time.Hour

// AbsorbDue is until when the timer defers a step at its k-th absorption, k from 1: twice its delay each time, at most
// MaxAbsorb; or the next match of its cron text.
func AbsorbDue(t *flow.Timer, k int, now time.Time) (time.Time, error) {
	if t.DelayMS == nil {
		return next(t, now)
	}
	d := *t.DelayMS
	for ; k > 1 && d < MaxAbsorb.Milliseconds(); k-- {
		d *= 2
	}
	return later(now, min(d, MaxAbsorb.Milliseconds())), nil
}

// maxMS is the last moment that is worked with, in the year 9999: a delay beyond it waits till then.
const maxMS = 253402300799000

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

// Entry is a moment at which a step of a run must be looked at.
type Entry struct {
	Due  int64 // Unix ms
	Run  uint64
	Step int32
}

// Queue gives entries in the order of their moments. Its zero value is empty. An entry whose step waits no more is left in:
// whoever takes it looks whether the step still waits for that very moment.
type Queue struct{ heap []Entry }

// Push adds an entry.
func (q *Queue) Push(e Entry) {
	h := append(q.heap, e)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	q.heap = h
}

func (e Entry) before(o Entry) bool {
	switch {
	case e.Due != o.Due:
		return e.Due < o.Due
	case e.Run != o.Run:
		return e.Run < o.Run
	}
	return e.Step < o.Step
}

// Peek gives the first entry without taking it.
func (q *Queue) Peek() (Entry, bool) {
	if len(q.heap) == 0 {
		return Entry{}, false
	}
	return q.heap[0], true
}

// Pop takes the first entry. The queue must not be empty.
func (q *Queue) Pop() Entry {
	h := q.heap
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && h[down+1].before(h[down]) {
			down++
		}
		if !h[down].before(h[i]) {
			break
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
	q.heap = h
	return top
}

// Len is how many entries there are.
func (q *Queue) Len() int { return len(q.heap) }
