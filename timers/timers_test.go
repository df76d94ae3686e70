package timers

import (
	"slices"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"pgregory.net/rapid"
)

func TestAbsorbDueDoublesUpToAnHour(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	delay := int64(5000)
	for k, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 10: 2560 * time.Second, 11: time.Hour, 500: time.Hour} {
		at, err := AbsorbDue(&flow.Timer{DelayMS: &delay}, k, now)
		if err != nil || at.Sub(now) != want {
			t.Errorf("k = %d: %s %v, want %s", k, at.Sub(now), err, want)
		}
	}
	at, err := AbsorbDue(&flow.Timer{Cron: "0 2 * * *"}, 3, now)
	if err != nil || at.UTC().Hour() != 2 || !at.After(now) {
		t.Errorf("cron: %s %v", at, err)
	}
}

func TestADelayPastTheEndOfTimeWaitsTillThen(t *testing.T) {
	huge := int64(1) << 62
	at, err := Due(&flow.Timer{DelayMS: &huge}, time.UnixMilli(1_800_000_000_000))
	if err != nil || at.UnixMilli() != maxMS {
		t.Errorf("%s %v", at, err)
	}
}

func TestQueueGivesEverythingInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dues := rapid.SliceOf(rapid.Int64Range(0, 50)).Draw(t, "dues")
		var q Queue
		for i, d := range dues {
			q.Push(Entry{Due: d, Run: uint64(i)})
		}
		var got []int64
		for q.Len() > 0 {
			p, _ := q.Peek()
			e := q.Pop()
			if p != e {
				t.Fatalf("peek %v, pop %v", p, e)
			}
			got = append(got, e.Due)
		}
		slices.Sort(dues)
		if !slices.Equal(got, dues) {
			t.Fatalf("%v, want %v", got, dues)
		}
	})
}
