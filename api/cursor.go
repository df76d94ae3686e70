package api

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// A cursor is a place in a list, as text that only this daemon reads: the version of its form, what it is a place in, and where.
// The numbers of a journal that is one file are one sequence; those of several are to stand one beside the other, with a dot
// between, as a sequence says which file it is of.
const cursorForm = "1"

// What a cursor is a place in.
const (
	inEvents  = "e"
	inRuns    = "r"
	inObjects = "o"
	inSpans   = "s"
	inLogs    = "l"
)

func toCursor(in, place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorForm + in + place))
}

// fromCursor gives the place.
func fromCursor(name, in, cursor string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	place, ok := strings.CutPrefix(string(b), cursorForm+in)
	if err != nil || !ok || place == "" {
		return "", problem("invalid_request", name+": "+quote(cursor)+" is not one that this list gave")
	}
	return place, nil
}

// after is the cursor of what follows a sequence.
func after(in string, seq uint64) string { return toCursor(in, strconv.FormatUint(seq, 36)) }

func fromAfter(name, in, cursor string) (uint64, error) {
	place, err := fromCursor(name, in, cursor)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(place, 36, 64)
	if err != nil {
		return 0, problem("invalid_request", name+": "+quote(cursor)+" is not one that this list gave")
	}
	return n, nil
}

// eventsAfter says after which sequence the events begin that a request wants: by its cursor, of a stream by Last-Event-ID, which
// a browser sends when it asks again, or by after.
func eventsAfter(r *http.Request, stream bool) (uint64, error) {
	q := r.URL.Query()
	if last := r.Header.Get("Last-Event-ID"); stream && last != "" {
		if n, err := strconv.ParseUint(last, 10, 64); err == nil { // of a daemon before there were cursors
			return n, nil
		}
		return fromAfter("Last-Event-ID", inEvents, last)
	}
	if c := q.Get("cursor"); c != "" {
		if q.Has("after") {
			return 0, problem("invalid_request", "give cursor or after, not both")
		}
		return fromAfter("cursor", inEvents, c)
	}
	n, _ := strconv.ParseUint(q.Get("after"), 10, 63) // its kind was checked
	return n, nil
}
