package flow

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// ValidName checks a name of a workflow, step, service, handler, signal or timer: 1 to 128 of letters, digits, _ - . :
func ValidName(name string) error { return validName(name) }

// ValidRunID checks an id that a caller gave to a run or a signal: 1 to 128 of letters, digits, _ - . :
func ValidRunID(id string) error { return validName(id) }

func validName(s string) error {
	if s == "" {
		return fmt.Errorf("is empty; want 1 to 128 of letters, digits, _ - . :")
	}
	if len(s) > 128 {
		return fmt.Errorf("is %d bytes long; want 1 to 128 of letters, digits, _ - . :", len(s))
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.', c == ':':
		default:
			return fmt.Errorf("%q has a character that is not one of letters, digits, _ - . :", s)
		}
	}
	return nil
}

// ValidObjectKey checks an object key: 1 to 256 bytes of printable UTF-8.
func ValidObjectKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("object key is empty; want 1 to 256 bytes of printable UTF-8")
	case len(key) > 256:
		return fmt.Errorf("object key is %d bytes long; want 1 to 256", len(key))
	case !utf8.ValidString(key):
		return fmt.Errorf("object key %q is not valid UTF-8", key)
	}
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("object key %q has a character that does not print", key)
		}
	}
	return nil
}
