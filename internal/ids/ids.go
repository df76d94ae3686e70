// Package ids says which texts can be no id and no name at all, whatever else the rules of a kind allow: the empty one, "."
// and "..". In the path of a request they would mean another place, and so another thing.
package ids

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Check says what is wrong with an id or name. The error's text goes on after what it is for: "is empty".
func Check(s string) error {
	switch s {
	case "":
		return errors.New("is empty")
	case ".", "..":
		return fmt.Errorf("is %q, which means a place in a path and so can name nothing", s)
	}
	return nil
}

// kinds is what stands in a path after a part of that name.
var kinds = map[string]string{"workflows": "workflow name", "runs": "run id", "signals": "signal name", "timers": "timer key", "objects": "object key",
	"workers": "worker id", "services": "service name", "errors": "error code"}

// CheckPath checks each part of an escaped path, without its query: one that is empty, "." or "..", escaped or not, is an
// error that names what should stand there.
func CheckPath(escaped string) error {
	_, err := Parts(escaped)
	return err
}

// Parts gives the parts of an escaped path, unescaped: none of "/". The error is that of CheckPath.
func Parts(escaped string) ([]string, error) {
	rest, ok := strings.CutPrefix(escaped, "/")
	switch {
	case !ok:
		return nil, fmt.Errorf("the path %q does not begin with /", escaped)
	case rest == "":
		return nil, nil
	}
	parts, before := strings.Split(rest, "/"), ""
	for i := range parts {
		text, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil, fmt.Errorf("the path: %w", err)
		}
		if err := Check(text); err != nil {
			what := kinds[before]
			if what == "" {
				what = "part of the path after /" + before
			}
			return nil, fmt.Errorf("the %s %w", what, err)
		}
		parts[i], before = text, text
	}
	return parts, nil
}

// Word writes an id as one word of a shell's command: in quotes when it holds marks that a shell takes for its own.
func Word(id string) string {
	if strings.ContainsAny(id, "[]#") {
		return "'" + id + "'"
	}
	return id
}
