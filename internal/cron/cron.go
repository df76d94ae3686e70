// Package cron wraps the cron parser once, for flow and timers: what it accepts, and which moment a text means when the
// clocks of a zone jump.
//
// Accepted are five fields (minute hour day-of-month month day-of-week) and @hourly, @daily, @midnight, @weekly, @monthly,
// @yearly, @annually. A field is a list of *, ?, N or N-M, each with /STEP or without; months and days of the week have their
// English three-letter names, too; Sunday is 0. When both day fields are restricted a day matches that fits one of them. Not
// accepted: a seconds field, @every, @reboot, a TZ= prefix, and texts that never fire.
//
// A local time that does not exist (clocks go forward) fires at the first valid instant after the gap; one that exists twice
// (clocks go back) fires the first time. Several matches that fall on one instant so fire once.
package cron

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is a cron text in a zone. It is immutable.
type Schedule struct {
	spec    cron.Schedule
	zone    *time.Location
	elapsed bool // its hour field is * or */n: it follows elapsed time, see NextBy
}

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

var descriptors = map[string]bool{"@hourly": true, "@daily": true, "@midnight": true, "@weekly": true, "@monthly": true, "@yearly": true, "@annually": true}

// item is one of a field's list. The parser itself takes more, such as empty ones and signs.
var item = regexp.MustCompile(`^(\*|\?|([0-9]{1,2}|[A-Za-z]{3})(-([0-9]{1,2}|[A-Za-z]{3}))?)(/[0-9]{1,2})?$`)

const (
	wantFields = "want five fields (minute hour day-of-month month day-of-week)"
	maxText    = 1024
)

// Parse reads a cron text. zone is an IANA name; "" is UTC.
func Parse(text, zone string) (s Schedule, err error) {
	loc, err := Zone(zone)
	if err != nil {
		return Schedule{}, err
	}
	if len(text) > maxText {
		return Schedule{}, fmt.Errorf("cron text is %d bytes long, the limit is %d", len(text), maxText)
	}
	if err := check(text); err != nil {
		return Schedule{}, fmt.Errorf("cron %q: %w", text, err)
	}
	spec, err := parse(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("cron %q: %w", text, err)
	}
	s = Schedule{spec, loc, elapsed(text)}
	if match(spec, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("cron %q: never fires: no such day", text)
	}
	return s, nil
}

// check looks at what the parser would take and we do not.
func check(text string) error {
	fields := strings.Fields(text)
	switch {
	case strings.HasPrefix(text, "@"):
		if !descriptors[text] {
			return errors.New("want five fields, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually")
		}
		return nil
	case strings.Contains(text, "="):
		return errors.New("a zone prefix is not accepted; set time_zone")
	case len(fields) == 6:
		return errors.New(wantFields + ", it has 6; a seconds field is not accepted")
	case len(fields) != 5:
		return fmt.Errorf("%s, it has %d", wantFields, len(fields))
	}
	for _, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			if !item.MatchString(part) {
				return fmt.Errorf("cannot read %q; want *, N, N-M, each with /STEP or without, or a list of these", field)
			}
		}
	}
	return nil
}

// parse turns the parser's panics, which some texts provoke, into errors.
func parse(text string) (spec cron.Schedule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot be read: %v", p)
		}
	}()
	return parser.Parse(text)
}

// Next gives the first match strictly after a moment. ok is false when there is none.
//
// The parser is asked in UTC for wall times, as if the zone had no jumps; each is then placed into the zone. The instants so
// got grow with the wall times, and that of after's own wall time is not behind after: so the first instant behind after is
// that of a later wall time. Only where the clocks went back a few are to be passed over.
func (s Schedule) Next(after time.Time) (at time.Time, ok bool) {
	wall := wallOf(after.In(s.zone))
	for {
		if wall = match(s.spec, wall); wall.IsZero() {
			return time.Time{}, false
		}
		if at := place(wall, s.zone); at.After(after) {
			return at, true
		}
	}
}

// match gives the first wall time behind another that fits. The parser gives up after five years, but from 2096 to 2104 there
// is no 29 February.
func match(spec cron.Schedule, wall time.Time) time.Time {
	next := spec.Next(wall)
	if next.IsZero() {
		next = spec.Next(time.Date(wall.Year()+5, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Second))
	}
	return next
}

// wallOf is what the clocks show at a moment, to the second, as if it were UTC.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// farthest is more than clocks ever jumped.
const farthest = 26 * time.Hour

// place gives the instant of a wall time in a zone: the first of two, or the end of the gap that it falls into.
func place(wall time.Time, zone *time.Location) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	if !wallOf(at).Equal(wall) {
		return endOfGap(at, wall)
	}
	// The same wall time may have stood before, under an offset that was in force shortly before.
	first := at
	for start, _ := at.ZoneBounds(); !start.IsZero() && at.Sub(start) < farthest; {
		before := start.Add(-time.Second)
		_, offset := before.Zone()
		if t := wall.Add(-time.Duration(offset) * time.Second).In(zone); t.Before(first) && wallOf(t).Equal(wall) {
			first = t
		}
		start, _ = before.ZoneBounds()
	}
	return first
}

// endOfGap gives the first instant at which clocks show a later time than wall, which they never show.
func endOfGap(near, wall time.Time) time.Time {
	t := near.Add(-farthest)
	for {
		end := endOf(t)
		if end.IsZero() || end.Sub(near) > farthest { // there is no gap near: cannot be
			return near
		}
		if t = end; wallOf(t).After(wall) {
			return t
		}
	}
}
