package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// maxElements bounds the elements of all lists and maps of one request together: what they take in memory is many times what
// they take on the wire. A worker may have 100,000 leases, and a heartbeat names all of them.
const maxElements = 110_000

func tooMany() error { return fmt.Errorf("there are more than %d elements in it", maxElements) }

// checkShape looks at a JSON value before it is read into v: every key of an object is one that it has, in this very
// spelling, and appears once; all lists together are not too long. encoding/json would take any case, and the last of
// several. The value is known to be JSON. Payloads in it are not looked into.
func checkShape(b []byte, v any) error {
	w := &walker{b: b, left: maxElements}
	s := shapeOf(reflect.TypeOf(v))
	if w.space(); s != nil && s.fields != nil && w.b[w.at] != '{' {
		return &mismatch{want: s.want, got: w.kind()}
	}
	return w.value(s)
}

// walker goes over valid JSON.
type walker struct {
	b    []byte
	at   int
	left int // elements that may still come
}

func (w *walker) space() {
	for w.at < len(w.b) && (w.b[w.at] == ' ' || w.b[w.at] == '\n' || w.b[w.at] == '\t' || w.b[w.at] == '\r') {
		w.at++
	}
}

// kind names what begins here.
func (w *walker) kind() string {
	switch w.b[w.at] {
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}

// text passes over a string and gives it as it stands, without its quotes.
func (w *walker) text() []byte {
	from := w.at + 1
	for w.at = from; w.b[w.at] != '"'; w.at++ {
		if w.b[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	return w.b[from : w.at-1]
}

func (w *walker) value(s *shape) error {
	w.space()
	switch c := w.b[w.at]; {
	case c == '"':
		w.text()
	case (c == '{' || c == '[') && s.leaf(): // a payload; or the type is wrong, and the decoder says so
		w.skip()
	case c == '{':
		return w.object(s)
	case c == '[':
		return w.array(s)
	default:
		for w.at < len(w.b) && !strings.ContainsRune(",]} \n\t\r", rune(w.b[w.at])) {
			w.at++
		}
	}
	return nil
}

// skip passes over an object or an array.
func (w *walker) skip() {
	for depth := 0; ; {
		switch w.b[w.at] {
		case '"':
			w.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if w.at++; depth == 0 {
			return
		}
	}
}

// next passes over what stands between elements. It reports false behind the last one.
func (w *walker) next() bool {
	w.space()
	switch w.b[w.at] {
	case ',':
		w.at++
		w.space()
	case '}', ']':
		w.at++
		return false
	}
	return true
}

func (w *walker) array(s *shape) error {
	w.at++
	for w.next() {
		if s.list { // else the type is wrong, and the decoder says so
			if w.left--; w.left < 0 {
				return tooMany()
			}
			if s.each != nil && w.b[w.at] == 'n' {
				return s.each.noNull()
			}
		}
		if err := w.value(s.each); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) object(s *shape) error {
	var seen uint64 // fields
	var keys map[string]bool
	w.at++
	for w.next() {
		key := string(w.text())
		if strings.Contains(key, `\`) {
			_ = json.Unmarshal([]byte(`"`+key+`"`), &key) // it is valid
		}
		below, again := s.each, false
		if s.fields != nil {
			m, known := s.fields[key]
			if below = m.shape; !known {
				return s.unknown(key)
			}
			again = seen&(1<<m.at) != 0
			seen |= 1 << m.at
		} else {
			if w.left--; w.left < 0 {
				return tooMany()
			}
			if keys == nil {
				keys = map[string]bool{}
			}
			again, keys[key] = keys[key], true
		}
		if again {
			return twice(key)
		}
		w.space()
		w.at++ // the colon
		if err := w.value(below); err != nil {
			return under(key, err)
		}
	}
	return nil
}
