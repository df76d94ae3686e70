package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxNesting is how deep JSON from outside may be nested.
const MaxNesting = 64

// What CheckJSON finds, for callers that answer each with a code of its own.
var (
	ErrJSONTooLarge = errors.New("too large")
	ErrJSONNotUTF8  = errors.New("not UTF-8")
	ErrJSONTooDeep  = errors.New("nested too deep")
	ErrJSONSyntax   = errors.New("not JSON")
)

// jsonError is one of the above with the values. Its text goes on after the name of what was checked.
type jsonError struct {
	kind error
	text string
	at   int // offset of the byte that is wrong, + 1; 0: none is
}

func (e *jsonError) Error() string        { return e.text }
func (e *jsonError) Is(target error) bool { return target == e.kind }

// CheckJSON says why bytes from outside are no good as a payload: too large (a limit of 0 is none), not UTF-8, nested deeper
// than MaxNesting, or not JSON. The error's text goes on after the payload's name: "is 12 bytes, the limit is 10".
func CheckJSON(b []byte, limit int) error { return checkJSON(b, limit, MaxNesting) }

func checkJSON(b []byte, limit, deepest int) error {
	if limit > 0 && len(b) > limit {
		return &jsonError{ErrJSONTooLarge, fmt.Sprintf("is %d bytes, the limit is %d", len(b), limit), 0}
	}
	if !utf8.Valid(b) {
		at := notUTF8At(b)
		return &jsonError{ErrJSONNotUTF8, "is not valid UTF-8" + byteLine(b, at), at}
	}
	if good(b, deepest) {
		return nil
	}
	if depth := nesting(b); depth > deepest {
		return &jsonError{ErrJSONTooDeep, fmt.Sprintf("is nested %d deep, the limit is %d", depth, deepest), 0}
	}
	if !json.Valid(b) {
		text, at := syntaxOf(b)
		return &jsonError{ErrJSONSyntax, "is not JSON" + text, at}
	}
	return nil
}

// notUTF8At gives the first byte that is no UTF-8, counted from 1.
func notUTF8At(b []byte) int {
	at := 0
	for at < len(b) {
		r, n := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at + 1
}

// byteLine says where the n-th byte stands.
func byteLine(b []byte, n int) string {
	return fmt.Sprintf(" at byte %d, line %d", n, 1+bytes.Count(b[:min(n, len(b))], []byte{'\n'}))
}

// syntaxOf says what is wrong with a text that is not JSON, and at which byte, counted from 1.
func syntaxOf(b []byte) (string, int) {
	if len(bytes.TrimSpace(b)) == 0 {
		return ": it is empty", 0
	}
	var v json.RawMessage // its syntax is all that is asked
	var syntax *json.SyntaxError
	if err := json.Unmarshal(b, &v); errors.As(err, &syntax) {
		at := int(syntax.Offset)
		return ": " + syntax.Error() + byteLine(b, at), at
	}
	return "", 0
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

// value is JSON as it was written: numbers keep their text, objects their keys in order, the second of two equal keys too.
//
// Strings are UTF-8, but for half a surrogate pair, which JSON can say and Unicode cannot: it is kept in the three bytes that
// UTF-8 would have for it. So the order of bytes is the order of code points, with these too, and nothing is lost.
type value struct {
	kind  byte  // one of n b # " [ {
	at    int32 // where it stands: a number that its source understands; 0: nowhere
	text  string
	items []value
	keys  []keyName
	cut   bool // of a text in YAML: a comment follows on its line
}

// commented says whether a comment follows a text of it.
func (v *value) commented() bool {
	return v.cut || slices.ContainsFunc(v.items, func(i value) bool { return i.commented() })
}

// keyName is a key of an object as it was written.
type keyName struct {
	text string
	at   int32
}

// DuplicateKeyError says that an object has a key twice.
type DuplicateKeyError struct{ Key string }

func (e *DuplicateKeyError) Error() string {
	return fmt.Sprintf("the key %s appears twice", quote(e.Key))
}

// duplicate gives a key that appears twice in an object, here or further in.
func (v *value) duplicate() error {
	_, err := v.duplicated()
	return err
}

// duplicated is duplicate, and where the second of the keys stands.
func (v *value) duplicated() (int32, error) {
	if key, twice := v.repeated(); twice {
		return key.at, &DuplicateKeyError{key.text}
	}
	for i := range v.items {
		if at, err := v.items[i].duplicated(); err != nil {
			return at, err
		}
	}
	return 0, nil
}

// repeated gives a key that appears twice in this object.
func (v *value) repeated() (keyName, bool) {
	if len(v.keys) <= 12 {
		for i, key := range v.keys {
			if slices.ContainsFunc(v.keys[:i], func(k keyName) bool { return k.text == key.text }) {
				return key, true
			}
		}
		return keyName{}, false
	}
	seen := make(map[string]bool, len(v.keys))
	for _, key := range v.keys {
		if seen[key.text] {
			return key, true
		}
		seen[key.text] = true
	}
	return keyName{}, false
}

// field gives what an object holds under a key, the last of it, and where the key stands; nil when there is none.
func (v *value) field(key string) (*value, int32) {
	if v.kind != '{' {
		return nil, 0
	}
	for i := len(v.keys) - 1; i >= 0; i-- {
		if v.keys[i].text == key {
			return &v.items[i], v.keys[i].at
		}
	}
	return nil, 0
}

// readJSON reads a JSON text that CheckJSON has passed: it looks for nothing that can be wrong.
func readJSON(b []byte) value {
	r := jsonReader{text: string(b)}
	return r.value()
}

type jsonReader struct {
	text string
	at   int
}

func (r *jsonReader) space() byte {
	for {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
}

func (r *jsonReader) value() value {
	c := r.space()
	at := int32(r.at + 1)
	v := r.bare(c)
	v.at = at
	return v
}

func (r *jsonReader) bare(c byte) value {
	switch c {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return value{kind: '"', text: r.string()}
	case 'n':
		r.at += len("null")
		return value{kind: 'n'}
	case 't':
		r.at += len("true")
		return value{kind: 'b', text: "true"}
	case 'f':
		r.at += len("false")
		return value{kind: 'b', text: "false"}
	}
	from := r.at
	for r.at < len(r.text) && strings.IndexByte("+-.0123456789Ee", r.text[r.at]) >= 0 {
		r.at++
	}
	return value{kind: '#', text: r.text[from:r.at]}
}

func (r *jsonReader) object() value {
	v := value{kind: '{'}
	r.at++ // {
	for {
		switch r.space() {
		case '}':
			r.at++
			return v
		case ',':
			r.at++
			r.space()
		}
		at := int32(r.at + 1)
		v.keys = append(v.keys, keyName{r.string(), at})
		r.space()
		r.at++ // :
		v.items = append(v.items, r.value())
	}
}

func (r *jsonReader) array() value {
	v := value{kind: '['}
	r.at++ // [
	for {
		switch r.space() {
		case ']':
			r.at++
			return v
		case ',':
			r.at++
		}
		v.items = append(v.items, r.value())
	}
}

func (r *jsonReader) string() string {
	r.at++ // "
	from := r.at
	for r.text[r.at] != '"' {
		if r.text[r.at] == '\\' {
			return r.escaped(from)
		}
		r.at++
	}
	r.at++
	return r.text[from : r.at-1]
}

// escaped goes on with a string at its first escape.
func (r *jsonReader) escaped(from int) string {
	b := []byte(r.text[from:r.at])
	for {
		switch c := r.text[r.at]; c {
		case '"':
			r.at++
			return string(b)
		case '\\':
			if c := r.text[r.at+1]; c != 'u' {
				b = append(b, unescaped[c])
				r.at += 2
				continue
			}
			b = appendRune(b, r.unicode())
		default:
			b = append(b, c)
			r.at++
		}
	}
}

var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unicode reads \uXXXX, and a second one when both make a surrogate pair.
func (r *jsonReader) unicode() rune {
	u := hex4(r.text[r.at+2:])
	r.at += 6
	if isHigh(u) && strings.HasPrefix(r.text[r.at:], `\u`) {
		if low := hex4(r.text[r.at+2:]); isLow(low) {
			r.at += 6
			return (u-0xd800)<<10 + (low - 0xdc00) + 0x10000
		}
	}
	return u
}

func hex4(s string) rune {
	var u rune
	for i := range 4 {
		switch c := s[i]; {
		case c <= '9':
			u = u<<4 | rune(c-'0')
		default:
			u = u<<4 | rune(c|0x20-'a'+10)
		}
	}
	return u
}

// EqualJSON says whether two JSON texts are the same value: white space, escapes and the order of keys do not matter, number
// text does. What is not JSON equals nothing but the same bytes.
func EqualJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if CheckJSON(a, 0) != nil || CheckJSON(b, 0) != nil {
		return false
	}
	va, vb := readJSON(a), readJSON(b)
	return bytes.Equal(va.appendCanonical(nil), vb.appendCanonical(nil))
}
