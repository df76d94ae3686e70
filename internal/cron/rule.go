package cron

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Rule says what a cron text means where the clocks of its zone jump.
type Rule struct {
	SkipGap bool  // a local time that does not exist does not fire; else the first valid instant after the gap does
	Twice   Twice // which of the instants of a local time that exists twice fires
}

// Twice picks among the instants at which clocks show one local time.
type Twice uint8

// The zero value is what Next does.
const (
	First Twice = iota
	Second
	Both
)

// elapsed says whether a text's hour field is * or */n.
func elapsed(text string) bool {
	if strings.HasPrefix(text, "@") {
		return text == "@hourly"
	}
	hour := strings.Fields(text)[1]
	return hour == "*" || hour == "?" || strings.HasPrefix(hour, "*/") && !strings.Contains(hour, ",")
}

// Elapsed says whether the schedule follows elapsed time: its hour field is * or */n. Then every matching local time fires each time
// the clocks show it, a gap adds nothing, and a Rule changes nothing.
func (s Schedule) Elapsed() bool { return s.elapsed }

// Zone is where the schedule's local times are those of.
func (s Schedule) Zone() *time.Location { return s.zone }

// NextBy is Next under a rule: the first match strictly after a moment. One instant fires once, whatever leads to it.
//
// It goes from one change of the zone's offset to the next. Between two of them local time runs like UTC, and the parser is asked
// there. Where the clocks go forward, what they jump over fires at the first instant after it; where they go back, they show what
// they showed before, and the parser is asked again.
func (s Schedule) NextBy(after time.Time, rule Rule) (at time.Time, ok bool) {
	t := after.In(s.zone)
	wall := match(s.spec, wallOf(t))
	for !wall.IsZero() {
		_, offset := t.Zone()
		end := endOf(t)
		at := wall.Add(-time.Duration(offset) * time.Second)
		if end.IsZero() || at.Before(end) {
			if at = at.In(s.zone); s.fires(at, wall, rule) {
				return at, true
			}
			wall = match(s.spec, wall)
			continue
		}
		t = end
		before, now := end.Add(time.Duration(offset)*time.Second), wallOf(end) // what the clocks would have shown, and what they show
		if now.Before(before) {
			wall = match(s.spec, now.Add(-time.Second))
			continue
		}
		if !wall.Before(now) {
			continue
		}
		if !s.elapsed && !rule.SkipGap && s.misses(wall.UTC(), now) {
			return end, true
		}
		wall = match(s.spec, now.Add(-time.Second))
	}
	return time.Time{}, false
}

// fires says whether a match fires at that instant, which shows the wall time.
func (s Schedule) fires(at, wall time.Time, rule Rule) bool {
	if s.elapsed || rule.Twice == Both || even(at) {
		return true
	}
	shown := Shown(wall, s.zone)
	if len(shown) < 2 {
		return true
	}
	if rule.Twice == Second {
		return shown[len(shown)-1].Equal(at)
	}
	return shown[0].Equal(at)
}

// misses says whether a match from a wall time on and before another is one that clocks never show.
func (s Schedule) misses(wall, until time.Time) bool {
	for ; !wall.IsZero() && wall.Before(until); wall = match(s.spec, wall) {
		if len(Shown(wall, s.zone)) == 0 {
			return true
		}
	}
	return false
}

// endOf gives a moment behind t up to which the offset of its zone stays as it is; zero: it does so for ever. Package time may give one
// that is not behind t: it takes the 31 December of a leap year for the end of a year.
func endOf(t time.Time) time.Time {
	_, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		return t.Add(time.Hour)
	}
	return end
}

// Shown gives the instants at which the clocks of a zone show a wall time, which is given as if it were UTC: mostly one, none in a gap,
// two where the clocks went back.
func Shown(wall time.Time, zone *time.Location) []time.Time {
	var found []time.Time
	t := wall.Add(-farthest).In(zone)
	last := wall.Add(farthest)
	for {
		_, offset := t.Zone()
		end := endOf(t)
		at := wall.Add(-time.Duration(offset) * time.Second)
		if !at.Before(t) && (end.IsZero() || at.Before(end)) {
			found = append(found, at.In(zone))
		}
		if end.IsZero() || end.After(last) {
			return found
		}
		t = end
	}
}

// Wall is what the clocks of a zone show at a moment, to the second, as if it were UTC.
func Wall(t time.Time, zone *time.Location) time.Time { return wallOf(t.In(zone)) }

// even says whether the clocks did not jump, and will not, so near to a moment that they could show its local time twice.
func even(t time.Time) bool {
	start, end := t.ZoneBounds()
	return (start.IsZero() || t.Sub(start) > farthest) && (end.IsZero() || end.Sub(t) > farthest)
}

// Quiet says whether the clocks of a zone run evenly through the local day that begins at a moment, and for a day before and after
// it: each local time is shown once then.
func Quiet(day time.Time, zone *time.Location) bool {
	start, end := day.In(zone).ZoneBounds()
	return (start.IsZero() || start.Before(day.Add(-2*farthest))) && (end.IsZero() || end.After(day.Add(3*farthest)))
}

// Minutes is a set of minutes of a day.
type Minutes [23]uint64

// Or adds those of another set.
func (m *Minutes) Or(o *Minutes) {
	for i := range m {
		m[i] |= o[i]
	}
}

// Without takes those of another set away.
func (m *Minutes) Without(o *Minutes) {
	for i := range m {
		m[i] &^= o[i]
	}
}

// Count is how many there are.
func (m *Minutes) Count() (n int) {
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// Has says whether a minute is in the set.
func (m *Minutes) Has(minute int) bool { return m[minute/64]&(1<<(minute%64)) != 0 }

// Day gives the minutes of a local date that match, as if the clocks did not jump.
func (s Schedule) Day(year int, month time.Month, day int) (m Minutes) {
	spec, ok := s.spec.(*cron.SpecSchedule)
	date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	if !ok || !dayMatches(spec, date) {
		return m
	}
	for h := range 24 {
		if spec.Hour&(1<<h) == 0 {
			continue
		}
		for min := range 60 {
			if spec.Minute&(1<<min) != 0 {
				m[(h*60+min)/64] |= 1 << ((h*60 + min) % 64)
			}
		}
	}
	return m
}

// Matches says whether a wall time, which is given as if it were UTC, is within a minute that matches.
func (s Schedule) Matches(wall time.Time) bool {
	spec, ok := s.spec.(*cron.SpecSchedule)
	return ok && spec.Minute&(1<<wall.Minute()) != 0 && spec.Hour&(1<<wall.Hour()) != 0 && dayMatches(spec, wall)
}

// starBit is how the parser marks a field that is not restricted.
const starBit = 1 << 63

// dayMatches is the parser's own rule: when both day fields are restricted, either may match.
func dayMatches(spec *cron.SpecSchedule, date time.Time) bool {
	if spec.Month&(1<<date.Month()) == 0 {
		return false
	}
	dom, dow := spec.Dom&(1<<date.Day()) != 0, spec.Dow&(1<<date.Weekday()) != 0
	if spec.Dom&starBit != 0 || spec.Dow&starBit != 0 {
		return dom && dow
	}
	return dom || dow
}

// Union gives the first match of several schedules strictly after a moment.
func Union(all []Schedule, after time.Time, rule Rule) (at time.Time, ok bool) {
	for i := range all {
		if t, there := all[i].NextBy(after, rule); there && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	return at, ok
}

// Zones gives the names of all zones that the program carries, in order.
func Zones() []string {
	all, err := files()
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(all))
	for name, f := range all {
		if !f.FileInfo().IsDir() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
