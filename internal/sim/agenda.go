package sim

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/schedules"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
	day    = 24 * hour
)

// plans say when schedules are due, so that anybody can count it: each whole multiple of a period, and that many ms behind it.
var plans = []struct {
	text           string
	period, behind int64
	jitter         int64 // the most
}{
	{text: `"every":"5m"`, period: 5 * minute},
	{text: `"cron":"*/20 * * * *"`, period: 20 * minute},
	{text: `"cron":["0 * * * *","0 */2 * * *"],"jitter":"10m"`, period: hour, jitter: 10 * minute},
	{text: `"cron":"30 3 * * *"`, period: day, behind: 3*hour + 30*minute},
	{text: `"every":"1m","exclude":[{"cron":"* 9,11 * * *"},{"dates":["2027-01-17"]}]`, period: minute},
	{text: `"every":"90s","start_at":"2027-01-01T00:00:30Z"`, period: 90_000, behind: 30_000},
}

// moments is what the schedules' people know of a change that they asked for: at which moment it was made, of a state whose newest run
// was that. What was not recorded is overwritten when it is made again.
type moments struct {
	put     map[uint32]moment // by revision
	deleted map[uint32]int64  // by revision
}

type moment struct {
	now, lastRun int64
	tags         tags
}

// scheduleActs lets somebody ask for something about a schedule.
func (w *World) scheduleActs() {
	name := []string{"alpha", "beta", "gamma"}[w.rng.IntN(3)]
	at := w.moments[name]
	if at == nil {
		at = &moments{map[uint32]moment{}, map[uint32]int64{}}
		w.moments[name] = at
	}
	switch n := w.rng.IntN(100); {
	case n < 35:
		w.putSchedule(name, at)
	case n < 50:
		w.askSchedule("schedule: pause", name, func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) string {
			st.Pause("sim", "", now)
			return "paused"
		}, nil)
	case n < 68:
		catchUp := w.chance(70)
		w.askSchedule("schedule: resume", name, func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) string {
			st.Resume(d, "sim", catchUp, now, start)
			return "resumed"
		}, func(st *schedules.State, now int64) []string { return st.ResumeIDs(now) })
	case n < 74:
		w.askSchedule("schedule: delete", name, func(st *schedules.State, d *schedules.Decision, now int64, _ schedules.Starter) string {
			at.deleted[st.Revision] = now
			st.Delete(d, "sim", now)
			return "deleted"
		}, nil)
	case n < 88:
		w.trigger(name)
	default:
		w.backfill(name)
	}
}

func (w *World) putSchedule(name string, at *moments) {
	plan := w.rng.IntN(len(plans))
	workflow := w.flows[w.rng.IntN(len(w.flows))]
	if w.chance(10) {
		workflow = "nowhere"
	}
	more := ""
	if w.chance(15) {
		more += fmt.Sprintf(`,"max_runs":%d`, 1+w.rng.IntN(6))
	}
	if w.chance(50) {
		more += fmt.Sprintf(`,"catch_up":{"window":%q,"max":%d}`, []string{"10m", "2h", "3d"}[w.rng.IntN(3)], w.rng.IntN(4))
	}
	if w.chance(40) {
		more += fmt.Sprintf(`,"tags":{"team":"data","t0%d":"of a schedule"}`, w.rng.IntN(3))
	}
	text := fmt.Sprintf(`{"name":%q,"workflow":%q,"overlap":%q,"note":"plan %d",%s%s}`, name, workflow, schedules.Overlaps[w.rng.IntN(len(schedules.Overlaps))], plan, plans[plan].text, more)
	d, problems := schedules.Read([]byte(text))
	if len(problems) > 0 {
		w.fail("%s: %v", text, problems)
	}
	w.sendSchedule("schedule: put", name, nil, func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) (*schedules.State, string, error) {
		last := int64(0)
		if st != nil {
			last = st.LastRun
		}
		out, changed, err := schedules.Put(st, d, "", "sim", now)
		if err != nil || !changed {
			return out, "", err
		}
		at.put[out.Revision] = moment{now, last, d.Tags}
		return out, "put", nil
	})
}

func (w *World) trigger(name string) {
	overlap := append([]string{""}, schedules.Overlaps...)[w.rng.IntN(6)]
	id := schedules.TriggerID(name, fmt.Sprintf("%026d", w.Ops["schedule: trigger"]))
	w.askSchedule("schedule: trigger", name, func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) string {
		st.Trigger(d, id, "sim", overlap, nil, now, start)
		return ""
	}, func(*schedules.State, int64) []string { return []string{id} })
}

func (w *World) backfill(name string) {
	id, back, allow := fmt.Sprint(w.Ops["schedule: backfill"]), w.rng.Int64N(3*hour), w.chance(50)
	w.askSchedule("schedule: backfill", name, func(st *schedules.State, _ *schedules.Decision, now int64, _ schedules.Starter) string {
		if st.Back == nil {
			st.Fill(id, "sim", now-back, now, allow, now)
		}
		return "backfilled"
	}, nil)
}

// askSchedule asks for a change of a schedule that exists.
func (w *World) askSchedule(what, name string, do func(*schedules.State, *schedules.Decision, int64, schedules.Starter) string, look func(*schedules.State, int64) []string) {
	w.sendSchedule(what, name, look, func(st *schedules.State, d *schedules.Decision, now int64, start schedules.Starter) (*schedules.State, string, error) {
		if st == nil || st.Deleted != 0 {
			return nil, "", refusal.ErrScheduleNotFound
		}
		return st, do(st, d, now, start), nil
	})
}

// sendSchedule sends it once: what is not answered is not asked for again.
func (w *World) sendSchedule(what, name string, look func(*schedules.State, int64) []string,
	do func(*schedules.State, *schedules.Decision, int64, schedules.Starter) (*schedules.State, string, error)) {
	w.op(what)
	epoch := w.epoch
	w.home(name).send(&shard.Schedule{By: "sim", Name: name, Look: look, Do: do, Reply: func(state []byte, err error) {
		if epoch != w.epoch || err != nil {
			if err != nil && epoch == w.epoch && !errors.Is(err, refusal.ErrScheduleNotFound) && !errors.Is(err, refusal.ErrDiskFull) && !errors.Is(err, journal.ErrFenced) {
				w.fail("%s: %v", what, err)
			}
			return
		}
		if b := w.judge.books[name]; b == nil || string(b.state) == "" {
			w.fail("%s of %s was acknowledged and is not in the journal", what, name)
		}
	}})
}

// jump moves the clock far.
func (w *World) jump() {
	switch n := w.rng.IntN(20); {
	case n < 7:
		w.op("the clock goes back an hour")
		w.wall -= hour
	case n < 13:
		w.op("the clock jumps an hour")
		w.wall += hour
	case n < 19:
		w.op("the clock jumps three days")
		w.wall += 3 * day
	default:
		w.op("the clock jumps ten years")
		w.wall += 10 * 365 * day
	}
}

// endSchedules lets the shards decide what is due, looks at the ledgers, and deletes every schedule: else new runs would come for ever.
func (w *World) endSchedules() {
	for range 40 {
		w.turnAll()
		w.commitAll()
	}
	for name, b := range w.judge.books {
		b.check(w, name, true)
	}
	for _, name := range []string{"alpha", "beta", "gamma"} {
		w.askSchedule("schedule: delete", name, func(st *schedules.State, d *schedules.Decision, now int64, _ schedules.Starter) string {
			if at := w.moments[name]; at != nil {
				at.deleted[st.Revision] = now
			}
			st.Delete(d, "sim", now)
			return "deleted"
		}, nil)
	}
}
