package timers

import (
	"testing"
	"time"

	"github.com/agnt5/agnt5d/flow"
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

func TestAZeroDelayAbsorbsAtOnceHoweverOften(t *testing.T) {
	now, zero := time.UnixMilli(1_800_000_000_000), int64(0)
	if at, err := AbsorbDue(&flow.Timer{DelayMS: &zero}, 1<<62, now); err != nil || !at.Equal(now) {
		t.Errorf("%s %v", at, err)
	}
}

func TestDueOfACronTextIsStrictlyAfterReady(t *testing.T) {
	ready, _ := time.Parse(time.RFC3339, "2026-11-23T02:00:00Z")
	for _, c := range []struct {
		timer flow.Timer
		want  string
	}{
		{flow.Timer{Cron: "0 2 * * *"}, "2026-11-24T02:00:00Z"},
		{flow.Timer{Cron: "0 4 * * *", TimeZone: "Europe/Berlin"}, "2026-11-23T03:00:00Z"},
	} {
		if at, err := Due(&c.timer, ready); err != nil || at.UTC().Format(time.RFC3339) != c.want {
			t.Errorf("%+v: %s %v, want %s", c.timer, at.UTC(), err, c.want)
		}
	}
}
