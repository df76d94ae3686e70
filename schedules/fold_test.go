package schedules

import "testing"

// A time that was missed and then backfilled keeps its row when those around it become one.
func TestABackfilledTimeKeepsItsRow(t *testing.T) {
	l := newLedger()
	now := ms("2026-11-26T00:00:30Z")
	l.put(read(t, `{"name":"a","workflow":"w","every":"1m","catch_up":{"window":"0s","max":0}}`), now, t.Fatalf)
	now += 50 * 60_000
	l.decide(now, now, t.Fatalf)
	filled := ms("2026-11-26T00:20:00Z")
	l.s.Fill("x", "me", filled, filled, false, now)
	l.decide(now, now, t.Fatalf)
	for range 2 {
		now += 50 * 60_000
		l.decide(now, now, t.Fatalf)
	}
	row := l.rows[rowKey(filled, 1, "d")]
	if row.Outcome != Backfilled || row.Run == "" {
		t.Errorf("its row is %+v", row)
	}
	if len(l.rows) < 2 || len(l.rows) > 3 {
		t.Errorf("%d rows: %s", len(l.rows), l.outcomes())
	}
}
