package schedules

import (
	"time"

	"github.com/agnt5/agnt5d/internal/cron"
)

// Count counts the nominal times after a moment up to another one, and how many of them are excluded, without looking at each: whole
// days on which the clocks run evenly are counted from the texts.
func (p *Plan) Count(after, until int64) (n, excluded int64) {
	if start := int64(p.d.StartAt); start != 0 {
		after = max(after, start-1)
	}
	if end := int64(p.d.EndAt); end != 0 {
		until = min(until, end)
	}
	if until <= after {
		return 0, 0
	}
	plain := len(p.dates) == 0 && len(p.excludes) == 0
	if p.d.EveryMS != 0 && plain {
		return (p.every(until) - p.every(after)) / p.d.EveryMS, 0
	}
	if len(p.at) > 0 {
		return p.each(after, until)
	}
	date := cron.Wall(time.UnixMilli(after), p.zone)
	midnight := func(n int) time.Time {
		return time.Date(date.Year(), date.Month(), date.Day()+n, 0, 0, 0, 0, p.zone)
	}
	for from := after; from < until; date = date.AddDate(0, 0, 1) {
		day, at := midnight(0), midnight(1)
		to := min(max(at.UnixMilli()-1, from), until) // times up to the end of the day
		var more, less int64
		if from == day.UnixMilli()-1 && to == at.UnixMilli()-1 && even(day, p.zone) {
			more, less = p.day(day)
		} else {
			more, less = p.each(from, to)
		}
		n, excluded, from = n+more, excluded+less, to
	}
	return n, excluded
}

// even says whether the clocks run evenly for long enough around a day that each of its local times is shown once.
func even(day time.Time, zone *time.Location) bool {
	_, before := day.Add(-26 * time.Hour).In(zone).Zone()
	for _, h := range []time.Duration{0, 24, 50} {
		if _, offset := day.Add(h * time.Hour).In(zone).Zone(); offset != before {
			return false
		}
	}
	return true
}

func (p *Plan) each(after, until int64) (n, excluded int64) {
	for t, ok := p.Next(after); ok && t <= until; t, ok = p.Next(t) {
		if n++; p.Excluded(t) {
			excluded++
		}
	}
	return n, excluded
}

// day counts those of a whole local day.
func (p *Plan) day(day time.Time) (n, excluded int64) {
	var out cron.Minutes
	for _, s := range p.excludes {
		m := s.Day(day.Date())
		out.Or(&m)
	}
	all := p.dates[dateNumber(day)]
	if p.d.EveryMS == 0 {
		var m cron.Minutes
		for _, s := range p.crons {
			own := s.Day(day.Date())
			m.Or(&own)
		}
		n = int64(m.Count())
		if all {
			return n, n
		}
		m.Without(&out)
		return n, n - int64(m.Count())
	}
	within := func(from, length int64) int64 { return (p.every(from+length-1) - p.every(from-1)) / p.d.EveryMS }
	start := day.UnixMilli()
	n = within(start, 24*3600_000)
	if all {
		return n, n
	}
	for minute := range 1440 {
		if out.Has(minute) {
			excluded += within(start+int64(minute)*60_000, 60_000)
		}
	}
	return n, excluded
}
