package shard_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/schedules"
)

// A schedule that is not due takes its row, as the journal has it, and little more: a hundred thousand are about 40 MB.
func TestWhatAnIdleScheduleTakes(t *testing.T) {
	const n, most = 5_000, 450
	b := newBed(t)
	row := 0
	for first := 0; first < n; first += 50 {
		var in []any
		for i := range 50 {
			d, problems := schedules.Read(fmt.Appendf(nil, `{"name":"s%06d","workflow":"w","cron":"%d 3 * * *","time_zone":"Europe/Berlin","input":{"source":%q}}`, first+i, i%60, strings.Repeat("x", 20)))
			if problems != nil {
				t.Fatal(problems)
			}
			in = append(in, &shard.Schedule{Name: d.Name, Do: func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) (*schedules.State, string, error) {
				out, _, err := schedules.Put(st, d, "", "local", now)
				return out, "put", err
			}, Reply: func(state []byte, err error) {
				if row = len(state); err != nil {
					t.Error(err)
				}
			}})
		}
		b.do(in...)
	}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	with := heap()
	runtime.KeepAlive(b.r)
	b.r = nil
	each := (with - heap()) / n
	runtime.KeepAlive(b)
	if t.Logf("%d bytes each, of which the row is %d", each, row); each > most || each < row {
		t.Errorf("an idle schedule takes %d bytes, want at most %d; its row is %d", each, most, row)
	}
}
