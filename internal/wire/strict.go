package wire

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/agnt5/agnt5d/internal/nearest"
	"github.com/agnt5/agnt5d/worker"
)

// maxElements bounds the elements of all lists and maps of one request together: what they take in memory is many times what
// they take on the wire. A worker may have 100,000 leases, and a heartbeat names all of them.
const maxElements = 110_000

func tooMany() error { return fmt.Errorf("there are more than %d elements in it", maxElements) }

// shape is what a JSON value must look like to be read into a Go type. nil: anything goes.
type shape struct {
	fields map[string]*shape // of an object with these keys
	each   *shape            // of the elements of an array, or of the values of an object with any keys
	list   bool
}

var shapes sync.Map // reflect.Type -> *shape

func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	s := newShape(t)
	shapes.Store(t, s)
	return s
}

func newShape(t reflect.Type) *shape {
	if t == reflect.TypeFor[json.RawMessage]() {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return newShape(t.Elem())
	case reflect.Slice:
		return &shape{each: newShape(t.Elem()), list: true}
	case reflect.Map:
		return &shape{each: newShape(t.Elem())}
	case reflect.Struct:
		s := &shape{fields: map[string]*shape{}}
		for _, f := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && name != "-" && name != "" {
				s.fields[name] = newShape(f.Type)
			}
		}
		return s
	}
	return nil
}

// checkShape looks at a JSON value before it is read into v: every key of an object is one that it has, in this very
// spelling, and stands there once; all lists together are not too long. encoding/json would take any case, and the last of
// several. The value is known to be JSON. Payloads in it are not looked into.
func checkShape(b []byte, v any) error {
	w := &walker{b: b, left: maxElements}
	s := shapeOf(reflect.TypeOf(v))
	if w.space(); s != nil && s.fields != nil && w.b[w.at] != '{' {
		return fmt.Errorf("the body: want an object, not %s", w.kind())
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
	case s == nil && (c == '{' || c == '['):
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
		}
		if err := w.value(s.each); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) object(s *shape) error {
	var few [16]string
	seen := few[:0] // keys of a struct are few; those of a map are in many
	var many map[string]bool
	w.at++
	for w.next() {
		key := string(w.text())
		if strings.Contains(key, `\`) {
			_ = json.Unmarshal([]byte(`"`+key+`"`), &key) // it is valid
		}
		under := s.each
		var twice bool
		if s.fields != nil {
			var known bool
			if under, known = s.fields[key]; !known {
				return s.unknown(key)
			}
			for _, k := range seen {
				twice = twice || k == key
			}
			seen = append(seen, key)
		} else {
			if w.left--; w.left < 0 {
				return tooMany()
			}
			if many == nil {
				many = map[string]bool{}
			}
			twice, many[key] = many[key], true
		}
		if twice {
			return fmt.Errorf("%q stands there twice", worker.Cut(key, maxShown))
		}
		w.space()
		w.at++ // the colon
		if err := w.value(under); err != nil {
			return err
		}
	}
	return nil
}

// maxShown is how many bytes of a strange name an error repeats.
const maxShown = 128

// unknown refuses a key that the object does not have, and says which one was perhaps meant.
func (s *shape) unknown(key string) error {
	for name := range s.fields {
		if strings.EqualFold(name, key) {
			return fmt.Errorf("unknown field %q: it is written %q", key, name)
		}
	}
	names := slices.Sorted(maps.Keys(s.fields))
	return fmt.Errorf("unknown field %q%s", worker.Cut(key, maxShown), nearest.Did(key, names))
}
