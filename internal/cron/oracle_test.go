package cron

import (
	"flag"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var oracleYears = flag.Int("years", 0, "years from 2010 on that the oracle walks through minute by minute: 10 is the whole; 0: only days around changes")

// oracleZones have half hours and quarters, no changes at all, changes at midnight, changed rules, a skipped day; with a year in
// which something happened.
var oracleZones = []struct {
	name string
	year int
}{{"UTC", 2010}, {"Europe/Berlin", 2015}, {"Europe/London", 2012}, {"Europe/Dublin", 2013}, {"Europe/Moscow", 2014}, {"Europe/Istanbul", 2016},
	{"Europe/Lisbon", 2018}, {"America/New_York", 2011}, {"America/Los_Angeles", 2017}, {"America/Phoenix", 2012}, {"America/St_Johns", 2011},
	{"America/Caracas", 2016}, {"America/Sao_Paulo", 2019}, {"America/Santiago", 2015}, {"America/Havana", 2012}, {"America/Asuncion", 2010},
	{"Africa/Casablanca", 2018}, {"Africa/Cairo", 2014}, {"Africa/Juba", 2019}, {"Asia/Kolkata", 2010}, {"Asia/Kathmandu", 2010},
	{"Asia/Tehran", 2017}, {"Asia/Pyongyang", 2015}, {"Asia/Gaza", 2016}, {"Asia/Amman", 2013}, {"Australia/Lord_Howe", 2014},
	{"Australia/Adelaide", 2012}, {"Pacific/Apia", 2011}, {"Pacific/Chatham", 2016}, {"Antarctica/Troll", 2013}}

var oracleTexts = []string{"*/15 * * * *", "0 * * * *", "*/20 */6 * * *", "30 2 * * *", "0 0 * * *", "*/10 1-3 * * *", "59 23 * * SUN",
	"0 2 * * MON-FRI", "15 3 1,15 * *", "5 0-23 13 * FRI", "45 1 29 2 *"}

// field reads a field of a cron text as a person would: it knows no more than the texts above need.
func field(text string, first, last int, names map[string]int) map[int]bool {
	set := map[int]bool{}
	number := func(s string) int {
		if n, ok := names[s]; ok {
			return n
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			panic(s)
		}
		return n
	}
	for part := range strings.SplitSeq(text, ",") {
		step := 1
		part, every, has := strings.Cut(part, "/")
		if has {
			step = number(every)
		}
		from, to := first, last
		if part != "*" {
			a, b, ranged := strings.Cut(part, "-")
			from = number(a)
			if to = from; ranged {
				to = number(b)
			}
		}
		for n := from; n <= to; n += step {
			set[n] = true
		}
	}
	return set
}

// matcher says whether a minute, counted from 1970 as if the clocks were UTC, matches a text.
func matcher(text string) func(minute int64) bool {
	f := strings.Fields(text)
	days := map[string]int{"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}
	minutes, hours, dom, months, dow := field(f[0], 0, 59, nil), field(f[1], 0, 23, nil), field(f[2], 1, 31, nil), field(f[3], 1, 12, nil), field(f[4], 0, 6, days)
	known := map[int64]bool{}
	return func(minute int64) bool {
		day := minute / 1440
		fits, told := known[day]
		if !told {
			date := time.Unix(day*86400, 0).UTC()
			inMonth, inWeek := dom[date.Day()], dow[int(date.Weekday())]
			fits = months[int(date.Month())] && (inMonth && inWeek || f[2] != "*" && f[4] != "*" && (inMonth || inWeek))
			known[day] = fits
		}
		return fits && hours[int(minute/60%24)] && minutes[int(minute%60)]
	}
}

// clocks is what the clocks of a zone showed, minute by minute.
type clocks struct {
	from, to int64   // minutes since 1970
	shown    []int64 // at each minute, the local minute
	firstAt  []int64 // by local minute, from its own start: the first and the last minute that showed it; 0: none
	lastAt   []int64
	base     int64
}

func watch(zone *time.Location, from, to time.Time) *clocks {
	const edge = 2 * 1440
	c := &clocks{from: from.Unix()/60 - edge, to: to.Unix()/60 + edge}
	c.base = c.from - edge
	c.firstAt, c.lastAt = make([]int64, c.to-c.from+2*edge), make([]int64, c.to-c.from+2*edge)
	for m := c.from; m < c.to; m++ {
		t := time.Unix(m*60, 0).In(zone)
		local := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC).Unix() / 60
		c.shown = append(c.shown, local)
		if i := local - c.base; c.firstAt[i] == 0 {
			c.firstAt[i], c.lastAt[i] = m, m
		} else {
			c.lastAt[i] = m
		}
	}
	return c
}

// dues is what the rule says, word for word.
func (c *clocks) dues(text string, rule Rule) []int64 {
	matches := matcher(text)
	hour := strings.Fields(text)[1]
	set := map[int64]bool{}
	if hour == "*" || strings.HasPrefix(hour, "*/") {
		for i, local := range c.shown {
			if matches(local) {
				set[c.from+int64(i)] = true
			}
		}
	} else {
		for i, local := range c.shown {
			if i == 0 {
				continue
			}
			at := c.from + int64(i)
			for jumped := c.shown[i-1] + 1; jumped < local; jumped++ { // a gap
				if matches(jumped) && c.firstAt[jumped-c.base] == 0 && !rule.SkipGap {
					set[at] = true
				}
			}
			if !matches(local) {
				continue
			}
			first, last := c.firstAt[local-c.base], c.lastAt[local-c.base]
			if rule.Twice == Both || rule.Twice == First && at == first || rule.Twice == Second && at == last {
				set[at] = true
			}
		}
	}
	var all []int64
	for m := range set {
		all = append(all, m)
	}
	slices.Sort(all)
	return all
}

// windows are the days around each change of the clocks in the year, and a few of its first ones.
func windows(zone *time.Location, year int) [][2]time.Time {
	at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	all := [][2]time.Time{{at, at.AddDate(0, 0, 3)}}
	_, was := at.In(zone).Zone()
	for ; at.Year() == year; at = at.Add(time.Hour) {
		if _, offset := at.In(zone).Zone(); offset != was {
			was = offset
			day := at.Truncate(24 * time.Hour)
			all = append(all, [2]time.Time{day.AddDate(0, 0, -2), day.AddDate(0, 0, 3)})
		}
	}
	return all
}

// The oracle walks minute by minute: through the days around each change of a year, or, with -years 10, through ten whole years of 30
// zones, which are 158 million minutes.
func TestNextByIsWhatTheClocksShow(t *testing.T) {
	times := 0
	for _, z := range oracleZones {
		zone, err := Zone(z.name)
		if err != nil {
			t.Fatal(err)
		}
		parts := windows(zone, z.year)
		if *oracleYears > 0 {
			from := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
			parts = [][2]time.Time{{from, from.AddDate(*oracleYears, 0, 0)}}
		}
		for _, part := range parts {
			c := watch(zone, part[0], part[1])
			for _, text := range oracleTexts {
				times += c.compare(t, z.name, text, part[0], part[1])
			}
		}
	}
	t.Logf("%d zones, %d due times", len(oracleZones), times)
}

func (c *clocks) compare(t *testing.T, zone, text string, from, to time.Time) (times int) {
	s, err := Parse(text, zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []Rule{{}, {Twice: Second}, {SkipGap: true, Twice: Both}} {
		if s.Elapsed() && rule != (Rule{}) {
			continue
		}
		var got []int64
		for at, ok := s.NextBy(from.Add(-time.Second), rule); ok && at.Before(to); at, ok = s.NextBy(at, rule) {
			got = append(got, at.Unix()/60)
		}
		var want []int64
		for _, m := range c.dues(text, rule) {
			if m >= from.Unix()/60 && m < to.Unix()/60 {
				want = append(want, m)
			}
		}
		times += len(want)
		if slices.Equal(got, want) {
			continue
		}
		i := 0
		for i < len(got) && i < len(want) && got[i] == want[i] {
			i++
		}
		at := func(list []int64) string {
			if i >= len(list) {
				return "none"
			}
			return time.Unix(list[i]*60, 0).In(s.Zone()).Format(time.RFC3339)
		}
		t.Errorf("%s in %s, %+v: the %d. is %s, want %s", text, zone, rule, i+1, at(got), at(want))
	}
	return times
}

func TestBerlinsTwoDays(t *testing.T) {
	for _, c := range []struct {
		text, day string
		rule      Rule
		want      int
	}{
		{"*/15 * * * *", "2026-10-25", Rule{}, 100}, {"*/15 * * * *", "2026-03-29", Rule{}, 92}, {"*/15 * * * *", "2026-03-30", Rule{}, 96},
		{"@hourly", "2026-10-25", Rule{}, 25}, {"0 */2 * * *", "2026-10-25", Rule{}, 13}, {"0 */2 * * *", "2026-03-29", Rule{}, 11},
		{"30 2 * * *", "2026-10-25", Rule{}, 1}, {"30 2 * * *", "2026-10-25", Rule{Twice: Both}, 2}, {"30 2 * * *", "2026-10-25", Rule{Twice: Second}, 1},
		{"30 2 * * *", "2026-03-29", Rule{}, 1}, {"30 2 * * *", "2026-03-29", Rule{SkipGap: true}, 0},
		{"*/15 0-23 * * *", "2026-03-29", Rule{}, 92}, {"*/15 0-23 * * *", "2026-03-29", Rule{SkipGap: true}, 92}, {"*/15 0-23 * * *", "2026-10-25", Rule{}, 96},
	} {
		s, err := Parse(c.text, "Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		day, _ := time.ParseInLocation(time.DateOnly, c.day, s.Zone())
		n := 0
		for at, ok := s.NextBy(day.Add(-time.Second), c.rule); ok && at.Before(day.AddDate(0, 0, 1)); at, ok = s.NextBy(at, c.rule) {
			n++
		}
		if n != c.want {
			t.Errorf("%s on %s, %+v: %d times, want %d", c.text, c.day, c.rule, n, c.want)
		}
	}
}

// Timers wait by Next, which is the rule's zero value but for texts that follow elapsed time.
func TestNextIsTheZeroRule(t *testing.T) {
	for _, text := range []string{"30 2 * * *", "0 0 * * *", "*/10 1-3 * * *", "15,45 23 * * SUN"} {
		for _, zone := range []string{"Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Santiago"} {
			s, err := Parse(text, zone)
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2011, 12, 1, 0, 0, 0, 0, time.UTC)
			for range 2000 {
				a, _ := s.Next(at)
				b, _ := s.NextBy(at, Rule{})
				if !a.Equal(b) {
					t.Fatalf("%s in %s after %s: Next says %s, NextBy %s", text, zone, at, a, b)
				}
				at = a
			}
		}
	}
}

func TestDayIsWhatNextGives(t *testing.T) {
	for _, text := range oracleTexts {
		s, err := Parse(text, "")
		if err != nil {
			t.Fatal(err)
		}
		for day := time.Date(2028, 2, 1, 0, 0, 0, 0, time.UTC); day.Month() < 5; day = day.AddDate(0, 0, 1) {
			m, n := s.Day(day.Date()), 0
			for at, ok := s.Next(day.Add(-time.Second)); ok && at.Before(day.AddDate(0, 0, 1)); at, ok = s.Next(at) {
				if n++; !m.Has(at.Hour()*60+at.Minute()) || !s.Matches(at) {
					t.Errorf("%s: %s is missing", text, at)
				}
			}
			if m.Count() != n {
				t.Errorf("%s on %s: %d minutes, want %d", text, day.Format(time.DateOnly), m.Count(), n)
			}
		}
	}
}

func TestTheZonesAreOurOwn(t *testing.T) {
	t.Setenv("ZONEINFO", t.TempDir())
	if n := len(Zones()); n < 590 {
		t.Errorf("%d zones", n)
	}
	for _, name := range Zones() {
		if _, err := load(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
