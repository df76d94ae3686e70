package expression

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// raw is a JSON value that nobody has looked into: a text, a number, a list or an object. null, true and false are always
// looked at. It is valid JSON, with white space around it or not.
//
// The other values are nil, bool, int64, float64, string, []any and map[string]any.
type raw []byte

// trim is raw without the white space around it.
func (r raw) trim() raw {
	for len(r) > 0 && isSpace(r[0]) {
		r = r[1:]
	}
	for len(r) > 0 && isSpace(r[len(r)-1]) {
		r = r[:len(r)-1]
	}
	return r
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// first is the byte that says of what kind the value is.
func (r raw) first() byte {
	for _, c := range r {
		if !isSpace(c) {
			return c
		}
	}
	return 0
}

// wrap makes a value of JSON from outside.
func wrap(b []byte) any {
	switch raw(b).first() {
	case 0, 'n':
		return nil
	case 't':
		return true
	case 'f':
		return false
	}
	return raw(b)
}

// skip gives where the value that begins at i ends. b is valid JSON; in what is not, it goes on by a byte at least.
func skip(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipText(b, i)
	case '{', '[':
		depth := 0
		for ; i < len(b); i++ {
			switch b[i] {
			case '"':
				i = skipText(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(b)
	}
	for i++; i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] != ':' && !isSpace(b[i]); {
		i++
	}
	return i
}

func skipText(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// members calls with each key, as it is written, and value of an object.
func (r raw) members(each func(key, value raw) bool) {
	b := r.trim()
	i := 1
	for {
		for i < len(b) && (isSpace(b[i]) || b[i] == ',') {
			i++
		}
		if i >= len(b) || b[i] == '}' {
			return
		}
		key := i
		i = skip(b, i)
		end := i
		for i < len(b) && (isSpace(b[i]) || b[i] == ':') {
			i++
		}
		if i >= len(b) {
			return
		}
		value := i
		i = skip(b, i)
		if !each(b[key:end], b[value:i]) {
			return
		}
	}
}

// items calls with each value of a list. What is no list has none.
func (r raw) items(each func(value raw)) {
	b := r.trim()
	if r.first() != '[' {
		return
	}
	i := 1
	for {
		for i < len(b) && (isSpace(b[i]) || b[i] == ',') {
			i++
		}
		if i >= len(b) || b[i] == ']' {
			return
		}
		from := i
		i = skip(b, i)
		each(b[from:i])
	}
}

// text is the text that a JSON text stands for.
func (r raw) text() string {
	b := r.trim()
	inner := b[1 : len(b)-1]
	if !slices.Contains(inner, '\\') {
		return string(inner)
	}
	var s string
	if json.Unmarshal(b, &s) != nil {
		return string(inner)
	}
	return s
}

// is says whether a JSON text stands for s.
func (r raw) is(s string) bool {
	if len(r) == len(s)+2 && string(r[1:len(r)-1]) == s && !slices.Contains(r, '\\') {
		return true
	}
	return slices.Contains(r, '\\') && r.text() == s
}

// number gives a whole number of 64 bits as int64, all else as float64; not ok: it is too large for either.
func (r raw) number() (v any, ok bool) {
	b := string(r.trim())
	if i, err := strconv.ParseInt(b, 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(b, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// depth is how deep lists and objects are nested in it.
func (r raw) depth() int {
	depth, deepest := 0, 0
	for i := 0; i < len(r); i++ {
		switch r[i] {
		case '"':
			i = skipText(r, i) - 1
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

const hexDigits = "0123456789abcdef"

// appendText writes a text as JSON.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			_, n := utf8.DecodeRuneInString(s[i:])
			b = append(b, s[i:i+n]...)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}

// appendFloat writes a number that is finite.
func appendFloat(b []byte, f float64) []byte {
	text, err := json.Marshal(f)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}
