package cron

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	for _, c := range []struct{ text, zone, after, want string }{
		{"0 2 * * *", "", "2026-11-23T01:59:59Z", "2026-11-23T02:00:00Z"},
		{"0 2 * * *", "", "2026-11-23T02:00:00Z", "2026-11-24T02:00:00Z"},
		{"0 2 * * *", "", "2026-11-23T02:00:00.001Z", "2026-11-24T02:00:00Z"},
		{"0 2 * * *", "", "2026-11-23T01:59:59.999Z", "2026-11-23T02:00:00Z"},
		{"* * * * *", "", "2026-11-23T02:00:30Z", "2026-11-23T02:01:00Z"},
		{"@hourly", "", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z"},
		{"@daily", "", "2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z"},
		{"@midnight", "", "2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z"},
		{"@weekly", "", "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"},
		{"@monthly", "", "2026-11-23T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"@yearly", "", "2026-11-23T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"@annually", "", "2026-11-23T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"0 0 29 2 *", "", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 29 2 *", "", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 13 * FRI", "", "2026-11-23T00:00:00Z", "2026-11-27T00:00:00Z"}, // either day
		{"0 0 */2 * FRI", "", "2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z"},
		{"5/20 8-10 ? jan,DEC mon-fri", "", "2026-11-23T00:00:00Z", "2026-12-01T08:05:00Z"},
		{"0 3 * * *", "Europe/Berlin", "2026-11-23T00:00:00Z", "2026-11-23T02:00:00Z"},
		// 02:30 does not exist on 29 March 2026 in Berlin: the first instant after the gap is 03:00 summer time.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"*/10 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"*/10 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"},
		{"0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		// 02:30 exists twice on 25 October 2026 in Berlin: the first one is summer time.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"* * * * *", "Europe/Berlin", "2026-10-25T00:59:30Z", "2026-10-25T02:00:00Z"},
		{"* * * * *", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"},
		{"30 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-08T07:00:00Z"},
		{"0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{"*/15 * * * *", "Asia/Kolkata", "2026-11-23T00:01:00Z", "2026-11-23T00:15:00Z"},
		// Midnight does not exist in Santiago on 6 September 2026, half an hour is missing on Lord Howe, a day in Samoa.
		{"0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z"},
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z"},
		{"0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z"},
	} {
		s, err := Parse(c.text, c.zone)
		if err != nil {
			t.Errorf("%s %s: %v", c.text, c.zone, err)
			continue
		}
		after, _ := time.Parse(time.RFC3339, c.after)
		got, ok := s.Next(after)
		if !ok || got.UTC().Format(time.RFC3339) != c.want {
			t.Errorf("%s in %q after %s: %s %v, want %s", c.text, c.zone, c.after, got.UTC().Format(time.RFC3339), ok, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range [][2]string{{"", ""}, {" ", ""}, {"* * * * * *", ""}, {"@every 1s", ""}, {"@reboot", ""}, {"TZ=UTC * * * * *", ""},
		{"TZ=0", ""}, {"CRON_TZ=UTC 0 0 * * *", ""}, {"0 0 30 2 *", ""}, {"0 0 31 2,4,6,9,11 *", ""}, {"61 * * * *", ""}, {"60 * * * *", ""},
		{"* 24 * * *", ""}, {"* * 0 * *", ""}, {"* * * 13 *", ""}, {"* * * * 7", ""}, {"* * * *", ""}, {"5-1 * * * *", ""}, {"*/0 * * * *", ""},
		{"1,,2 * * * *", ""}, {", * * * *", ""}, {"+1 * * * *", ""}, {"-1 * * * *", ""}, {"1-2-3 * * * *", ""}, {"1/2/3 * * * *", ""},
		{"* * * foo *", ""}, {"@Daily", ""}, {"@daily ", ""}, {"a b c d e", ""}, {strings.Repeat("0,", 600) + "0 * * * *", ""},
		{"0 0 * * *", "Mars/Base"}, {"0 0 * * *", "Local"}, {"0 0 * * *", "../etc/passwd"}, {"0 0 * * *", "/etc/localtime"},
		{"0 0 * * *", "right/Europe/Berlin"}, {"0 0 * * *", "Europe/Berlin "}, {"0 0 * * *", "Europe"}, {"0 0 * * *", "+01:00"}} {
		if _, err := Parse(c[0], c[1]); err == nil {
			t.Errorf("%q in %q was accepted", c[0], c[1])
		}
	}
}

// What the rule says, word for word: walk minute by minute of real time, look at the clocks, and fire when they show a match for
// the first time, or have jumped over one.
func walk(s Schedule, after time.Time, days int) (time.Time, bool) {
	const lead = 36 * time.Hour
	t := after.Add(-lead).Truncate(time.Minute)
	wall := wallOf(t.In(s.zone)) // the latest that clocks have shown
	for end := after.Add(time.Duration(days) * 24 * time.Hour); t.Before(end); t = t.Add(time.Minute) {
		if now := wallOf(t.In(s.zone)); now.After(wall) {
			if next := s.spec.Next(wall); !next.IsZero() && !next.After(now) && t.After(after) {
				return t, true
			}
			wall = now
		}
	}
	return time.Time{}, false
}

func TestNextIsWhatTheClocksShow(t *testing.T) {
	zones := []string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Santiago", "Africa/Casablanca",
		"Europe/Dublin", "Antarctica/Troll", "Asia/Kathmandu", "America/St_Johns", "Asia/Pyongyang"}
	jumps := []string{"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", "2026-10-03T15:30:00Z",
		"2026-04-04T15:00:00Z", "2011-12-30T10:00:00Z", "2026-09-06T04:00:00Z", "2026-04-05T03:00:00Z", "2026-02-15T02:00:00Z", "2018-05-04T15:00:00Z"}
	texts := []string{"* * * * *", "*/10 * * * *", "30 * * * *", "30 2 * * *", "0 0 * * *", "15,45 1-3 * * *", "0 3 * * *", "59 23 * * *", "5 */6 * * SUN"}
	rapid.Check(t, func(t *rapid.T) {
		s, err := Parse(rapid.SampledFrom(texts).Draw(t, "text"), rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		jump, _ := time.Parse(time.RFC3339, rapid.SampledFrom(jumps).Draw(t, "near"))
		after := jump.Add(time.Duration(rapid.IntRange(-100_000, 100_000).Draw(t, "seconds")) * time.Second)
		want, found := walk(s, after, 3)
		got, ok := s.Next(after)
		if !ok || !got.After(after) || found && !got.Equal(want) || !found && got.Before(after.Add(3*24*time.Hour)) {
			t.Fatalf("after %s: got %s, want %s", after, got.UTC(), want.UTC())
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("0 2 * * *", "Europe/Berlin", int64(1774742399))
	f.Add("TZ=0", "", int64(0))
	f.Add("*/7 1-5/2 1,31 JAN-DEC MON", "Pacific/Apia", int64(1325200000))
	f.Fuzz(func(t *testing.T, text, zone string, unix int64) {
		s, err := Parse(text, zone)
		if err != nil {
			return
		}
		after := time.Unix(unix%(1<<37), 0)
		if at, ok := s.Next(after); !ok || !at.After(after) {
			t.Fatalf("%q in %q: next after %s is %s %v", text, zone, after.UTC(), at.UTC(), ok)
		}
	})
}

func BenchmarkNextEveryMinute(b *testing.B) {
	s, err := Parse("* * * * *", "Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		s.Next(at)
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse("0 3 * * *", "Europe/Berlin"); err != nil {
			b.Fatal(err)
		}
	}
}
