package worker

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Types that speak JSON for themselves.
var (
	readers = []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}
	writers = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}
)

// speaks says whether the type, or a pointer to it, has one of the methods.
func speaks(t reflect.Type, methods []reflect.Type) bool {
	for _, m := range methods {
		if t.Implements(m) || reflect.PointerTo(t).Implements(m) {
			return true
		}
	}
	return false
}

// jsonType says which part of a type encoding/json can never read, or write. What an interface will hold is not known.
func jsonType(t reflect.Type, methods []reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || speaks(t, methods) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%s has no form in JSON", t)
	case reflect.Map:
		switch k := t.Key(); {
		case k.Kind() == reflect.String, k.Kind() >= reflect.Int && k.Kind() <= reflect.Uintptr, speaks(k, methods):
		default:
			return fmt.Errorf("keys of type %s have no form in JSON", k)
		}
		return jsonType(t.Elem(), methods, seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return jsonType(t.Elem(), methods, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if _, _, ok := jsonField(f); !ok || strings.Contains(f.Tag.Get("json"), ",omitzero") {
				continue
			}
			if err := jsonType(f.Type, methods, seen); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
	}
	return nil
}
