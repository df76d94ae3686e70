package schedules

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// The input of a run may name its due time.
func TestTheInputNamesTheDueTime(t *testing.T) {
	var inputs []string
	l := newLedger()
	now := ms("2026-11-26T12:00:00Z")
	l.put(read(t, `{"name":"a","workflow":"w","cron":"30 0 * * *","time_zone":"Europe/Berlin","jitter":"10s","overlap":"allow",
		"input":{"day":"${ local_date }","at":"of ${nominal_at}, not $${ this }","last":"${ previous_success_at }","${ key }":[1.0,"<é\"> ${ previous_success_at }","${due_at}"]}}`), now, t.Fatalf)
	start := func(st *Start) *Fault {
		inputs = append(inputs, string(st.Input))
		return nil
	}
	var due []string
	for range 2 {
		nominal, at, _ := l.s.Next()
		due = append(due, time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"))
		l.take(l.s.Decide(at, 0, start))
		l.s.RunEnded(RunID("a", nominal), true)
	}
	var d Decision
	l.s.Trigger(&d, "a-trigger-1", "me", "", []byte(`{"as":"${ it is }"}`), now, start)
	for i, want := range []string{
		`{"day":"2026-11-27","at":"of 2026-11-26T23:30:00.000Z, not ${ this }","last":null,"${ key }":[1.0,"\u003cé\"\u003e ","` + due[0] + `"]}`,
		`{"day":"2026-11-28","at":"of 2026-11-27T23:30:00.000Z, not ${ this }","last":"2026-11-26T23:30:00.000Z","${ key }":[1.0,"\u003cé\"\u003e 2026-11-26T23:30:00.000Z","` + due[1] + `"]}`,
		`{"as":"${ it is }"}`, // given by hand: as it is
	} {
		if !sameJSON(t, inputs[i], want) {
			t.Errorf("%s\nwant %s", inputs[i], want)
		}
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatal(err, a)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatal(err, b)
	}
	return reflect.DeepEqual(x, y)
}
