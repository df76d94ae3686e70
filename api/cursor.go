package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/internal/cursor"
)

// placeIn gives the place behind which the page begins that a request wants; "": it wants the first.
func placeIn(r *http.Request, in string) (string, error) {
	if given := r.URL.Query().Get("cursor"); given != "" {
		return fromCursor("cursor", in, given)
	}
	return "", nil
}

// cursorOf is the cursor of a place; "": there are no more.
func cursorOf(in, place string) string {
	if place == "" {
		return ""
	}
	return cursor.To(in, place)
}

// fromCursor gives the place that a cursor stands for.
func fromCursor(name, in, given string) (string, error) {
	place := cursor.From(in, given)
	if place == "" {
		return "", notOurs(name, given)
	}
	return place, nil
}

func notOurs(name, given string) error {
	return problem("invalid_request", name+": "+quote(given)+" is not one that this list gave")
}

// after is the cursor of what follows a sequence in a history of the journal.
func after(history, in string, seq uint64) string {
	return cursor.To(in, strconv.FormatUint(seq, 36)+"~"+history)
}

// fromAfter gives the sequence. A cursor of before there were histories has none.
func (s *Server) fromAfter(name, in, given string) (uint64, error) {
	place, err := fromCursor(name, in, given)
	if err != nil {
		return 0, err
	}
	place, history, told := strings.Cut(place, "~")
	if told && history != s.history {
		return 0, problem("invalid_request", name+": "+quote(given)+" is of before a backup of the journal was put back, or of another journal: what came after it there is not what comes after it here. Begin anew")
	}
	n, err := strconv.ParseUint(place, 36, 64)
	if err != nil {
		return 0, notOurs(name, given)
	}
	return n, nil
}

// eventsAfter says after which sequence the events begin that a request wants: by its cursor, of a stream by Last-Event-ID, which
// a browser sends when it asks again, or by after.
func (s *Server) eventsAfter(r *http.Request, stream bool) (uint64, error) {
	q := r.URL.Query()
	if last := r.Header.Get("Last-Event-ID"); stream && last != "" {
		if n, err := strconv.ParseUint(last, 10, 64); err == nil { // of a daemon before there were cursors
			return n, nil
		}
		return s.fromAfter("Last-Event-ID", cursor.Events, last)
	}
	if c := q.Get("cursor"); c != "" {
		if q.Has("after") {
			return 0, problem("invalid_request", "give cursor or after, not both")
		}
		return s.fromAfter("cursor", cursor.Events, c)
	}
	n, _ := strconv.ParseUint(q.Get("after"), 10, 63) // its kind was checked
	return n, nil
}
