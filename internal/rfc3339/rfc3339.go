// Package rfc3339 prints times as everything that people and programs read of the engine has them.
package rfc3339

import "time"

// Format prints Unix milliseconds as RFC 3339 with milliseconds in UTC.
func Format(ms int64) string {
	const day, year10000 = 86_400_000, 253_402_300_800_000
	if ms < 0 || ms >= year10000 {
		return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	b := [24]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 23: 'Z'}
	y, m, d := date(int(ms / day))
	digits(b[0:4], y)
	digits(b[5:7], m)
	digits(b[8:10], d)
	rest := int(ms % day)
	digits(b[11:13], rest/3_600_000)
	digits(b[14:16], rest/60_000%60)
	digits(b[17:19], rest/1000%60)
	digits(b[20:23], rest%1000)
	return string(b[:])
}

// date gives the date of a day that is counted from 1970-01-01. Statuses hold many times, and the library takes several times as long. Years
// begin in March here, and their months have 31, 30, 31, 30, 31 days over and over.
func date(days int) (year, month, day int) {
	days += 719_468 // since 0000-03-01
	era, days := days/146_097, days%146_097
	year = (days - days/1460 + days/36_524 - days/146_096) / 365
	days -= 365*year + year/4 - year/100
	month = (5*days + 2) / 153
	day = days - (153*month+2)/5 + 1
	year += era * 400
	if month += 3; month > 12 {
		return year + 1, month - 12, day
	}
	return year, month, day
}

// digits writes a number with leading zeros.
func digits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}
