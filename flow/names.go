package flow

import (
	"errors"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

const (
	maxName      = 128
	maxObjectKey = 256
	wantName     = "want 1 to 128 of letters, digits, _ : . -"
)

// ValidName checks a name of a workflow, step, service, handler, signal or timer: 1 to 128 of letters, digits, _ : . - of
// ASCII. The error's text goes on after what the name is for: "is empty; want 1 to ...".
func ValidName(name string) error {
	if name == "" {
		return errors.New("is empty; " + wantName)
	}
	if len(name) > maxName {
		return fmt.Errorf("%s is %d bytes long; %s", quote(name), len(name), wantName)
	}
	for i, r := range name {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.', c == ':':
		default:
			return fmt.Errorf("%s holds %q; %s", quote(name), r, wantName)
		}
	}
	return nil
}

// ValidRunID checks an id that a caller gave to a run or a signal. The rule is that of names.
func ValidRunID(id string) error { return ValidName(id) }

// ValidObjectKey checks an object key: 1 to 256 bytes of printable UTF-8, inner blanks included.
func ValidObjectKey(key string) error {
	const want = "want 1 to 256 bytes of printable UTF-8"
	switch {
	case key == "":
		return errors.New("object key is empty; " + want)
	case len(key) > maxObjectKey:
		return fmt.Errorf("object key %s is %d bytes long; %s", quote(key), len(key), want)
	case !utf8.ValidString(key):
		return fmt.Errorf("object key %s is not valid UTF-8; %s", quote(key), want)
	}
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("object key %s holds %U, which does not print; %s", quote(key), r, want)
		}
	}
	return nil
}

// quote shows a text from outside in a message, cut when it is long.
func quote(s string) string { return strconv.Quote(cut(s, 64)) }

// cut shortens a text to about n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
