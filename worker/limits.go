package worker

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is kept of the texts of an Error, in bytes. Longer ones are cut, and end in CutMark.
const (
	MaxCode    = 128
	MaxType    = 256
	MaxMessage = 16 << 10
	MaxStack   = 64 << 10
)

// CutMark stands at the end of a text that was cut.
const CutMark = "...(cut)"

// Cut shortens a text to at most limit bytes, the mark included. It never cuts a character in two, and puts a
// question mark where the text is not UTF-8.
func Cut(text string, limit int) string {
	if len(text) > limit {
		at := limit - len(CutMark)
		for at > limit-len(CutMark)-utf8.UTFMax && !utf8.RuneStart(text[at]) {
			at--
		}
		return strings.ToValidUTF8(text[:at], "?") + CutMark
	}
	return strings.ToValidUTF8(text, "?")
}

// Cut brings each text of the error under its limit. A code that could not stand in one line keeps what is printable of it.
func (e *Error) Cut() {
	e.Code = strings.Map(printable, Cut(e.Code, MaxCode))
	e.Type = Cut(e.Type, MaxType)
	e.Message = Cut(e.Message, MaxMessage)
	e.Stack = Cut(e.Stack, MaxStack)
}

// printable replaces the characters that break a line or cannot be seen.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return '_'
	}
	return r
}
