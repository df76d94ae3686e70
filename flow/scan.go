package flow

import (
	"bytes"
	"encoding/binary"
)

// good says that a text is JSON, nested at most deepest deep. Nearly all are, and large ones are mostly strings, of which it looks at
// eight bytes at a time: encoding/json looks at each byte through a function. What it refuses, encoding/json is asked about.
func good(b []byte, deepest int) bool {
	i := goodValue(b, space(b, 0), deepest)
	return i >= 0 && space(b, i) == len(b)
}

// The functions below give where what begins at i ends; -1: it is wrong.

func goodValue(b []byte, i, room int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '{', '[':
		if room == 0 {
			return -1
		}
		return goodList(b, i+1, b[i] == '{', room-1)
	case '"':
		return goodText(b, i+1)
	case 't':
		return goodWord(b, i, "true")
	case 'f':
		return goodWord(b, i, "false")
	case 'n':
		return goodWord(b, i, "null")
	}
	return goodNumber(b, i)
}

// goodList is an array or an object, from behind its bracket.
func goodList(b []byte, i int, object bool, room int) int {
	end := byte(']')
	if object {
		end = '}'
	}
	if i = space(b, i); i < len(b) && b[i] == end {
		return i + 1
	}
	for i < len(b) {
		if object {
			if b[i] != '"' {
				return -1
			}
			if i = goodText(b, i+1); i < 0 {
				return -1
			}
			if i = space(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
			i = space(b, i+1)
		}
		if i = goodValue(b, i, room); i < 0 {
			return -1
		}
		i = space(b, i)
		switch {
		case i >= len(b):
			return -1
		case b[i] == end:
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = space(b, i+1)
	}
	return -1
}

// goodText is a string, from behind its first quote.
func goodText(b []byte, i int) int {
	for i < len(b) {
		if i+8 <= len(b) && nothingSpecial(binary.LittleEndian.Uint64(b[i:])) {
			i += 8
			continue
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i++; i >= len(b) {
				return -1
			}
			if b[i] == 'u' {
				if i+4 >= len(b) || !fourHex(b[i+1:i+5]) {
					return -1
				}
				i += 4
			} else if bytes.IndexByte([]byte(`"\/bfnrt`), b[i]) < 0 {
				return -1
			}
		}
		i++
	}
	return -1
}

// nothingSpecial says that none of eight bytes is a quote, a backslash or a control character.
func nothingSpecial(x uint64) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	quote, slash := x^each*'"', x^each*'\\'
	return ((x-each*' ')&^x|(quote-each)&^quote|(slash-each)&^slash)&high == 0
}

func fourHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

func goodWord(b []byte, i int, word string) int {
	if !bytes.HasPrefix(b[i:], []byte(word)) {
		return -1
	}
	return i + len(word)
}

func goodNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	whole := digits(b, i)
	if whole == i || b[i] == '0' && whole > i+1 {
		return -1
	}
	i = whole
	if i < len(b) && b[i] == '.' {
		end := digits(b, i+1)
		if end == i+1 {
			return -1
		}
		i = end
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		end := digits(b, i)
		if end == i {
			return -1
		}
		i = end
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}
