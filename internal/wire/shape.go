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

// shape is what a value must look like to be read into a Go type. nil: of a payload, or of what may be anything.
type shape struct {
	want     string            // what an error calls it
	fields   map[string]member // of an object with these keys, 64 at most
	each     *shape            // of the elements of an array, or of the values of an object with any keys
	list     bool              // an array
	unsigned bool              // a number that is not negative
}

// member is a field of an object.
type member struct {
	name  string
	at    int // its place
	shape *shape
}

// leaf says that there is nothing in the value to look at.
func (s *shape) leaf() bool { return s == nil || s.want != anArray && s.want != anObject }

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
	if t == reflect.TypeFor[json.RawMessage]() || t.Kind() == reflect.Interface {
		return nil
	}
	s := &shape{want: kindOf(t)}
	switch t.Kind() {
	case reflect.Pointer:
		return newShape(t.Elem())
	case reflect.Slice, reflect.Array:
		s.each, s.list = newShape(t.Elem()), true
	case reflect.Map:
		s.each = newShape(t.Elem())
	case reflect.Struct:
		s.fields = map[string]member{}
		for _, f := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && name != "-" && name != "" {
				s.fields[name] = member{name, len(s.fields), newShape(f.Type)}
			}
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.unsigned = true
	}
	return s
}

const (
	aString  = "a string"
	aBool    = "true or false"
	anArray  = "an array"
	anObject = "an object"
	aNumber  = "a number"
)

// kindOf is what JSON calls a Go type.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.String:
		return aString
	case reflect.Bool:
		return aBool
	case reflect.Slice, reflect.Array:
		return anArray
	case reflect.Struct, reflect.Map:
		return anObject
	}
	return aNumber
}

// mismatch says that a value is not of the type that its field has.
type mismatch struct{ field, want, got string }

func (m *mismatch) Error() string {
	field := m.field
	if field == "" {
		field = "the body"
	}
	return fmt.Sprintf("%s: want %s, not %s", field, m.want, m.got)
}

// noNull refuses null among the elements of a list: it is none of them. As a field it stands for one that is not there.
func (s *shape) noNull() error { return &mismatch{want: s.want + " for each element", got: "null"} }

// under puts the name of the field that holds the value before a mismatch.
func under(name string, err error) error {
	if m, ok := err.(*mismatch); ok {
		if m.field = worker.Cut(name, maxShown) + "." + m.field; m.field[len(m.field)-1] == '.' {
			m.field = m.field[:len(m.field)-1]
		}
	}
	return err
}

// maxShown is how many bytes of a strange name an error repeats.
const maxShown = 128

func twice(key string) error { return fmt.Errorf("%q is given twice", worker.Cut(key, maxShown)) }

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
