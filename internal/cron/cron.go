// Package cron wraps the cron parser once, for flow and timers: what it accepts, and which moment a text means when the
// clocks of a zone jump.
//
// Accepted are five fields (minute hour day-of-month month day-of-week) and @hourly, @daily, @midnight, @weekly, @monthly,
// @yearly, @annually. Not accepted: a seconds field, @every, @reboot, a TZ= prefix, and texts that never fire.
//
// A local time that does not exist (clocks go forward) fires at the first valid instant after the gap; one that exists twice
// (clocks go back) fires the first time.
package cron

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is a cron text in a zone.
type Schedule struct {
	spec cron.Schedule
	zone *time.Location
}

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

var descriptors = map[string]bool{"@hourly": true, "@daily": true, "@midnight": true, "@weekly": true, "@monthly": true, "@yearly": true, "@annually": true}

// Parse reads a cron text. zone is an IANA name; "" is UTC.
func Parse(text, zone string) (s Schedule, err error) {
	defer func() { // the parser panics on some texts
		if p := recover(); p != nil {
			err = fmt.Errorf("cron %q: cannot be read", text)
		}
	}()
	loc, err := Zone(zone)
	if err != nil {
		return Schedule{}, err
	}
	switch {
	case strings.HasPrefix(text, "@"):
		if !descriptors[text] {
			return Schedule{}, fmt.Errorf("cron %q: want five fields, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually", text)
		}
	case strings.Contains(text, "="):
		return Schedule{}, fmt.Errorf("cron %q: a zone prefix is not accepted; set time_zone", text)
	case len(strings.Fields(text)) != 5:
		return Schedule{}, fmt.Errorf("cron %q: want five fields (minute hour day-of-month month day-of-week), it has %d", text, len(strings.Fields(text)))
	}
	spec, err := parser.Parse(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("cron %q: %w", text, err)
	}
	s = Schedule{spec, loc}
	if _, ok := s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return Schedule{}, fmt.Errorf("cron %q: never fires", text)
	}
	return s, nil
}

// Zone finds a zone by its IANA name; "" is UTC.
func Zone(name string) (*time.Location, error) {
	switch {
	case name == "":
		return time.UTC, nil
	case name == "Local" || strings.HasPrefix(name, "/") || strings.Contains(name, ".."):
		return nil, fmt.Errorf("time_zone %q: want an IANA name such as Europe/Berlin", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time_zone %q: unknown; want an IANA name such as Europe/Berlin", name)
	}
	return loc, nil
}

// Next gives the first match strictly after a moment. ok is false when there is none in the years that are looked at.
//
// The parser is asked in UTC for wall times, as if the zone had no jumps; what it answers is then placed into the zone.
func (s Schedule) Next(after time.Time) (at time.Time, ok bool) {
	local := after.In(s.zone)
	wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), time.UTC)
	// A wall time may stand twice around a jump back, so begin early and take the first instant that is after.
	wall = wall.Add(-25 * time.Hour)
	for range 4000 {
		wall = s.spec.Next(wall)
		if wall.IsZero() {
			return time.Time{}, false
		}
		if at := place(wall, s.zone); at.After(after) {
			return at, true
		}
	}
	return time.Time{}, false
}

// place gives the instant of a wall time in a zone: the first of two, or the end of the gap that it falls into.
func place(wall time.Time, zone *time.Location) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	if same(at, wall) {
		// The same wall time may have stood before: look at each offset that was in force in the day before.
		first := at
		for h := 1; h <= 26; h++ {
			_, then := at.Add(-time.Duration(h) * time.Hour).Zone()
			_, now := at.Zone()
			if earlier := at.Add(-time.Duration(then-now) * time.Second); then != now && earlier.Before(first) && same(earlier, wall) {
				first = earlier
			}
		}
		return first
	}
	// In a gap: the first instant whose wall time is behind it. The jump lies within a day of at.
	low, high := at.Add(-26*time.Hour), at.Add(26*time.Hour)
	behind := func(t time.Time) bool { return !wallOf(t).Before(wall) }
	for high.Sub(low) > time.Second {
		mid := low.Add(high.Sub(low) / 2)
		if behind(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high.Truncate(time.Second)
}

func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

func same(t, wall time.Time) bool { return wallOf(t).Equal(wall.Truncate(time.Second)) }
