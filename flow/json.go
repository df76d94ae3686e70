package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxNesting is how deep JSON from outside may be nested.
const MaxNesting = 64

// CheckJSON says why bytes from outside are no good as a payload: too large, not UTF-8, not JSON, or nested too deep.
func CheckJSON(b []byte, limit int) error {
	if limit > 0 && len(b) > limit {
		return fmt.Errorf("is %d bytes, the limit is %d", len(b), limit)
	}
	if !utf8.Valid(b) {
		return errors.New("is not valid UTF-8")
	}
	if depth := nesting(b); depth > MaxNesting {
		return fmt.Errorf("is nested %d deep, the limit is %d", depth, MaxNesting)
	}
	if !json.Valid(b) {
		return fmt.Errorf("is not JSON%s", where(b))
	}
	return nil
}

func where(b []byte) string {
	var v any
	var syntax *json.SyntaxError
	if err := json.Unmarshal(b, &v); errors.As(err, &syntax) {
		return fmt.Sprintf(": %s at byte %d", syntax.Error(), syntax.Offset)
	}
	return ""
}

// nesting is how deep brackets outside of strings are nested.
func nesting(b []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		}
	}
	return deepest
}

// value is JSON as it was written: numbers keep their text, objects their keys in order.
type value struct {
	kind  byte // one of n b # " [ {
	text  string
	items []value
	keys  []string
	at    int // byte offset, for messages
}

// DuplicateKeyError says that an object has a key twice.
type DuplicateKeyError struct{ Key string }

func (e *DuplicateKeyError) Error() string { return fmt.Sprintf("the key %q stands twice", e.Key) }

// parseJSON reads a JSON text that CheckJSON has passed.
func parseJSON(b []byte, strict bool) (value, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	return readValue(dec, strict)
}

func readValue(dec *json.Decoder, strict bool) (value, error) {
	tok, err := dec.Token()
	if err != nil {
		return value{}, err
	}
	switch t := tok.(type) {
	case nil:
		return value{kind: 'n'}, nil
	case bool:
		return value{kind: 'b', text: strconv.FormatBool(t)}, nil
	case json.Number:
		return value{kind: '#', text: t.String()}, nil
	case string:
		return value{kind: '"', text: t}, nil
	}
	v := value{kind: byte(tok.(json.Delim))}
	seen := map[string]bool{}
	for dec.More() {
		if v.kind == '{' {
			k, err := dec.Token()
			if err != nil {
				return v, err
			}
			key := k.(string)
			if seen[key] && strict {
				return v, &DuplicateKeyError{key}
			}
			seen[key] = true
			v.keys = append(v.keys, key)
		}
		item, err := readValue(dec, strict)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
	}
	_, err = dec.Token()
	return v, err
}

// appendCanonical writes compact JSON with sorted keys, in ASCII, number text as given.
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
	order := make([]int, len(v.keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return bytes.Compare([]byte(v.keys[a]), []byte(v.keys[b])) })
	dst = append(dst, '{')
	for i, at := range order {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendASCII(dst, v.keys[at])
		dst = append(dst, ':')
		dst = v.items[at].appendCanonical(dst)
	}
	return append(dst, '}')
}

// appendASCII writes a JSON string in ASCII, as Python's json.dumps does: the short escapes, \u00xx for other control
// characters and DEL as it is, \uxxxx for what is not ASCII.
func appendASCII(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r == '\b':
			dst = append(dst, '\\', 'b')
		case r == '\f':
			dst = append(dst, '\\', 'f')
		case r >= 0x20 && r < 0x80:
			dst = append(dst, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, hi, lo)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
	}
	return append(dst, '"')
}

// EqualJSON says whether two JSON texts are the same value: white space and the order of keys do not matter, number text
// does.
func EqualJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if CheckJSON(a, 0) != nil || CheckJSON(b, 0) != nil {
		return false
	}
	va, erra := parseJSON(a, false)
	vb, errb := parseJSON(b, false)
	return erra == nil && errb == nil && bytes.Equal(va.appendCanonical(nil), vb.appendCanonical(nil))
}
