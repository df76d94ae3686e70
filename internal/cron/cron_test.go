package cron

import (
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	for _, c := range []struct{ text, zone, after, want string }{
		{"0 2 * * *", "", "2026-11-23T01:59:59Z", "2026-11-23T02:00:00Z"},
		{"0 2 * * *", "", "2026-11-23T02:00:00Z", "2026-11-24T02:00:00Z"},
		{"@daily", "", "2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z"},
		{"0 0 29 2 *", "", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 3 * * *", "Europe/Berlin", "2026-11-23T00:00:00Z", "2026-11-23T02:00:00Z"},
		// 02:30 does not exist on 29 March 2026 in Berlin: the first instant after the gap is 03:00 summer time.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		// 02:30 exists twice on 25 October 2026 in Berlin: the first one is summer time.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"30 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-08T07:00:00Z"},
		{"0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{"*/15 * * * *", "Asia/Kolkata", "2026-11-23T00:01:00Z", "2026-11-23T00:15:00Z"},
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
	for _, c := range [][2]string{{"", ""}, {"* * * * * *", ""}, {"@every 1s", ""}, {"@reboot", ""}, {"TZ=UTC * * * * *", ""},
		{"TZ=0", ""}, {"CRON_TZ=UTC 0 0 * * *", ""}, {"0 0 30 2 *", ""}, {"61 * * * *", ""}, {"* * * *", ""}, {"0 0 * * *", "Mars/Base"},
		{"0 0 * * *", "Local"}, {"0 0 * * *", "../etc/passwd"}, {"@Daily", ""}, {"a b c d e", ""}} {
		if _, err := Parse(c[0], c[1]); err == nil {
			t.Errorf("%q in %q was accepted", c[0], c[1])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0 2 * * *", "Europe/Berlin")
	f.Add("TZ=0", "")
	f.Fuzz(func(t *testing.T, text, zone string) {
		s, err := Parse(text, zone)
		if err != nil {
			return
		}
		after := time.Date(2026, 3, 28, 23, 59, 59, 0, time.UTC)
		if at, ok := s.Next(after); ok && !at.After(after) {
			t.Fatalf("%q in %q: next after %s is %s", text, zone, after, at)
		}
	})
}
