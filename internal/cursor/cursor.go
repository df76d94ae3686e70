// Package cursor is the one form of cursors: a place in a list, as text that only this program reads.
package cursor

import (
	"encoding/base64"
	"strings"
)

// form is the version of the form. The numbers of a journal that is one file are one sequence; those of several are to stand one
// beside the other, with a dot between, as a sequence says which file it is of.
const form = "1"

// What a cursor is a place in.
const (
	Events  = "e"
	Runs    = "r" // the newest start first
	Ends    = "n" // the newest end first
	Objects = "o"
	Spans   = "s"
	Logs    = "l"
	Items   = "i"

	Schedules = "c"
	Ledger    = "d"
)

// To gives the cursor of a place.
func To(in, place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(form + in + place))
}

// From gives the place; "": the cursor is none of that list.
func From(in, cursor string) string {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	place, ok := strings.CutPrefix(string(b), form+in)
	if err != nil || !ok {
		return ""
	}
	return place
}
