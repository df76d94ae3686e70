package flow

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
)

const (
	ms              = "_ms"
	durationPattern = `^0$|^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$`
)

var (
	durationText = regexp.MustCompile(durationPattern)
	durationUnit = [...]int64{7 * 24 * 3600_000, 24 * 3600_000, 3600_000, 60_000, 1000, 1}

	errTooLong = errors.New("too long")
)

type tooLong struct{ text string }

func (e *tooLong) Error() string        { return "is out of range: " + e.text }
func (e *tooLong) Is(target error) bool { return target == errTooLong }

// ParseDuration reads a duration of a definition and gives it in milliseconds: whole numbers with the units w, d (24 h), h, m,
// s and ms, the largest first, each once: 30s, 1h30m, 2d; and 0. The error's text goes on after the name of the key.
func ParseDuration(text string) (int64, error) {
	if text == "0" {
		return 0, nil
	}
	m := durationText.FindStringSubmatch(text)
	if text == "" || m == nil {
		return 0, fmt.Errorf("%s is not a duration; want whole numbers with the units w, d, h, m, s and ms, the largest first, such as 30s or 1h30m", quote(text))
	}
	total := int64(0)
	for i, unit := range durationUnit {
		if m[i+1] == "" {
			continue
		}
		digits := m[i+1][:len(m[i+1])-1]
		if unit == 1 {
			digits = digits[:len(digits)-1]
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > (math.MaxInt64-total)/unit {
			return 0, &tooLong{cut(text, 64)}
		}
		total += n * unit
	}
	return total, nil
}

// durationHint says how a duration is written as text, to somebody who wrote one where milliseconds belong.
func durationHint(key string, v *value) string {
	short := len(key) - len(ms)
	if v.kind != '"' || short <= 0 || key[short:] != ms {
		return ""
	}
	if _, err := ParseDuration(v.text); err != nil {
		return ""
	}
	return " (a duration as text is " + key[:short] + ": " + v.text + ")"
}
