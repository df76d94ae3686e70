package flow

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// appendCanonical writes compact JSON with sorted keys, in ASCII, number text as given: what Python's json.dumps writes with
// sort_keys and separators (",", ":").
func (v *value) appendCanonical(dst []byte) []byte {
	switch v.kind {
	case 'n':
		return append(dst, "null"...)
	case 'b', '#':
		return append(dst, v.text...)
	case '"':
		return appendASCII(dst, v.text)
	case '[':
		dst = append(dst, '[')
		for i := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.items[i].appendCanonical(dst)
		}
		return append(dst, ']')
	}
	var few [16]int
	order := few[:0]
	for i := range v.keys {
		order = append(order, i)
	}
	// By code points, which is the order of the bytes; equal keys as they stand.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v.keys[a].text, v.keys[b].text) })
	dst = append(dst, '{')
	for i, at := range order {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendASCII(dst, v.keys[at].text)
		dst = append(dst, ':')
		dst = v.items[at].appendCanonical(dst)
	}
	return append(dst, '}')
}

// appendASCII writes a JSON string in ASCII: the short escapes, \uxxxx for other control characters, for DEL and for all that
// is not ASCII, beyond 16 bits as a surrogate pair.
func appendASCII(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			i++
			dst = appendPlain(dst, c)
			continue
		}
		r, n := decodeRune(s[i:])
		i += n
		if r > 0xffff {
			r -= 0x10000
			dst = appendEscape(dst, 0xd800+r>>10)
			r = 0xdc00 + r&0x3ff
		}
		dst = appendEscape(dst, r)
	}
	return append(dst, '"')
}

func appendPlain(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	if c < 0x20 || c == 0x7f {
		return appendEscape(dst, rune(c))
	}
	return append(dst, c)
}

func appendEscape(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

func isHigh(r rune) bool { return r >= 0xd800 && r < 0xdc00 }
func isLow(r rune) bool  { return r >= 0xdc00 && r < 0xe000 }

// appendRune appends UTF-8, and half a surrogate pair in the bytes that UTF-8 would have for it.
func appendRune(b []byte, r rune) []byte {
	if isHigh(r) || isLow(r) {
		return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return utf8.AppendRune(b, r)
}

// decodeRune is the inverse of appendRune. What is neither is U+FFFD.
func decodeRune(s string) (rune, int) {
	if r, n := utf8.DecodeRuneInString(s); r != utf8.RuneError || n > 1 {
		return r, n
	}
	if len(s) >= 3 && s[0] == 0xed && s[1]&0xe0 == 0xa0 && s[2]&0xc0 == 0x80 {
		return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3
	}
	return utf8.RuneError, 1
}
