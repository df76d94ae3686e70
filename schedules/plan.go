package schedules

import (
	"fmt"
	"hash/fnv"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/cron"
)

// ZoneData is the release of the zone data by which local times are worked out. The program carries it.
const ZoneData = cron.ZoneData

// Plan is when a definition is due. Times are Unix milliseconds. It is immutable.
type Plan struct {
	d        *Definition
	zone     *time.Location
	rule     cron.Rule
	crons    []cron.Schedule
	at       []int64 // ascending, each once
	dates    map[int]bool
	excludes []cron.Schedule
}

// NewPlan gives the plan of a definition. It fails only for one that Read would refuse.
func NewPlan(d *Definition) (*Plan, error) {
	p := &Plan{d: d}
	var err error
	if p.zone, err = cron.Zone(d.TimeZone); err != nil {
		return nil, err
	}
	p.rule.SkipGap = d.DST.Gap == "skip"
	switch d.DST.Overlap {
	case "second":
		p.rule.Twice = cron.Second
	case "both":
		p.rule.Twice = cron.Both
	}
	parse := func(text string, into *[]cron.Schedule) {
		s, bad := cron.Parse(text, d.TimeZone)
		if *into = append(*into, s); bad != nil {
			err = bad
		}
	}
	for _, text := range d.Cron {
		parse(text, &p.crons)
	}
	for _, e := range d.Exclude {
		for _, date := range e.Dates {
			day, bad := time.Parse(time.DateOnly, date)
			if bad != nil {
				err = bad
			}
			if p.dates == nil {
				p.dates = map[int]bool{}
			}
			p.dates[dateNumber(day)] = true
		}
		if e.Cron != "" {
			parse(e.Cron, &p.excludes)
		}
	}
	for _, t := range d.At {
		p.at = append(p.at, int64(t))
	}
	slices.Sort(p.at)
	p.at = slices.Compact(p.at)
	return p, err
}

func dateNumber(t time.Time) int { return t.Year()*10000 + int(t.Month())*100 + t.Day() }

// Zone is the zone in which the plan's local times are.
func (p *Plan) Zone() *time.Location { return p.zone }

// Next gives the first nominal time strictly after a moment, whether excluded or not.
func (p *Plan) Next(after int64) (nominal int64, ok bool) {
	if start := int64(p.d.StartAt); start != 0 {
		after = max(after, start-1)
	}
	switch {
	case p.d.EveryMS != 0:
		nominal, ok = p.every(after), true
	case len(p.at) > 0:
		i := sort.Search(len(p.at), func(i int) bool { return p.at[i] > after })
		if ok = i < len(p.at); ok {
			nominal = p.at[i]
		}
	default:
		var t time.Time
		t, ok = cron.Union(p.crons, time.UnixMilli(after), p.rule)
		nominal = t.UnixMilli()
	}
	if end := int64(p.d.EndAt); ok && end != 0 && nominal > end {
		return 0, false
	}
	return nominal, ok
}

// every gives the first instant strictly after a moment that is a whole number of intervals behind the first one.
func (p *Plan) every(after int64) int64 {
	first := int64(p.d.StartAt)
	gone := after - first
	n := gone / p.d.EveryMS
	if gone < 0 && gone%p.d.EveryMS != 0 {
		n--
	}
	return first + (n+1)*p.d.EveryMS
}

// Excluded says whether a nominal time is taken out.
func (p *Plan) Excluded(nominal int64) bool {
	if len(p.dates) == 0 && len(p.excludes) == 0 {
		return false
	}
	wall := cron.Wall(time.UnixMilli(nominal), p.zone)
	if p.dates[dateNumber(wall)] {
		return true
	}
	return slices.ContainsFunc(p.excludes, func(s cron.Schedule) bool { return s.Matches(wall) })
}

// Due gives when a nominal time is started: later by the jitter, which its name and time decide.
func (p *Plan) Due(nominal int64) int64 {
	if p.d.JitterMS == 0 {
		return nominal
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", p.d.Name, nominal)
	sum := h.Sum64() // its high bits are mixed worse than its low ones, for texts as alike as these
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	return nominal + int64(sum%uint64(p.d.JitterMS+1))
}

// Local is a nominal time as the clocks of the zone show it, with the offset.
func (p *Plan) Local(nominal int64) string {
	t := time.UnixMilli(nominal).In(p.zone)
	if t.Nanosecond() != 0 {
		return t.Format("2006-01-02T15:04:05.000Z07:00")
	}
	return t.Format(time.RFC3339)
}

// Note says what the jumps of clocks have to do with a nominal time; "": nothing.
func (p *Plan) Note(nominal int64) string {
	if len(p.crons) == 0 {
		return ""
	}
	t := time.UnixMilli(nominal).In(p.zone)
	wall := cron.Wall(t, p.zone)
	if shown := cron.Shown(wall, p.zone); len(shown) > 1 {
		which := "the first is taken"
		all := p.rule.Twice == cron.Both || slices.ContainsFunc(p.crons, func(s cron.Schedule) bool { return s.Elapsed() && s.Matches(wall) })
		switch {
		case all && shown[0].UnixMilli() == nominal:
			which = "both are taken, this is the first"
		case all:
			which = "both are taken, this is the second"
		case shown[0].UnixMilli() != nominal:
			which = "the second is taken"
		}
		return fmt.Sprintf("%s happens twice: clocks go back, %s", clockText(wall), which)
	}
	missing := p.missing(t)
	if len(missing) == 0 {
		return ""
	}
	verb := "does"
	if len(missing) > 1 {
		verb = "do"
	}
	return fmt.Sprintf("%s %s not exist: clocks go forward", strings.Join(missing, ", "), verb)
}

// missing gives the local times in the gap before t, if there is one, for which t stands.
func (p *Plan) missing(t time.Time) (texts []string) {
	start, _ := t.ZoneBounds()
	if !start.Equal(t) || p.rule.SkipGap {
		return nil
	}
	_, before := t.Add(-time.Second).Zone()
	gap := t.UTC().Add(time.Duration(before) * time.Second)
	wall := cron.Wall(t, p.zone)
	for ; gap.Before(wall) && len(texts) < 3; gap = gap.Add(time.Minute) {
		if slices.ContainsFunc(p.crons, func(s cron.Schedule) bool { return !s.Elapsed() && s.Matches(gap) }) {
			texts = append(texts, clockText(gap))
		}
	}
	if gap.Before(wall) && len(texts) == 3 {
		texts[2] = "…"
	}
	return texts
}

func clockText(wall time.Time) string { return wall.Format("15:04") }

// Skipped gives the first local time strictly behind a moment, before another, that does not exist and is skipped, with the instant at
// which the clocks jump over it; ok false: there is none, or the plan skips none.
func (p *Plan) Skipped(after, until int64) (at int64, wall string, ok bool) {
	if !p.rule.SkipGap || len(p.crons) == 0 {
		return 0, "", false
	}
	valid := *p
	valid.rule.SkipGap = false
	for t, there := valid.Next(after); there && t < until; t, there = valid.Next(t) {
		if missing := valid.missing(time.UnixMilli(t).In(p.zone)); len(missing) > 0 {
			return t, strings.Join(missing, ", "), true
		}
		if t-after > 400*24*3600_000 {
			break
		}
	}
	return 0, "", false
}
