package model

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/agnt5/agnt5d/internal/jsontext"
)

// Marshal is json.Marshal, but for two things: a json.RawMessage is written byte for byte, white space and all, and <, >
// and & stay as they are. Payloads come out as they went in.
func Marshal(v any) ([]byte, error) { return appendValue(nil, reflect.ValueOf(v)) }

var rawType = reflect.TypeFor[json.RawMessage]()

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	if !v.IsValid() {
		return append(b, "null"...), nil
	}
	if v.Type() == rawType {
		if v.Len() == 0 {
			return append(b, "null"...), nil
		}
		return append(b, v.Bytes()...), nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		return appendValue(b, v.Elem())
	case reflect.Struct:
		b = append(b, '{')
		b, _, err := appendFields(b, v, true)
		return append(b, '}'), err
	case reflect.Map:
		return appendMap(b, v)
	case reflect.Slice, reflect.Array:
		b = append(b, '[')
		var err error
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, v.Index(i)); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case reflect.String:
		if v.Type() == numberType {
			return append(b, v.String()...), nil
		}
		return jsontext.AppendString(b, v.String()), nil
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	}
	out, err := json.Marshal(v.Interface())
	return append(b, out...), err
}

var numberType = reflect.TypeFor[json.Number]()

// field is what is known of a struct's field.
type field struct {
	index     int
	name      []byte // with its quotes and colon
	omitempty bool
	inline    bool // an embedded struct: its fields are the outer one's
}

var known sync.Map // reflect.Type -> []field

func fieldsOf(t reflect.Type) []field {
	if f, ok := known.Load(t); ok {
		return f.([]field)
	}
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			out = append(out, field{index: i, inline: true})
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		out = append(out, field{index: i, name: append(jsontext.AppendString(nil, name), ':'), omitempty: opts == "omitempty"})
	}
	known.Store(t, out)
	return out
}

func appendFields(b []byte, v reflect.Value, first bool) ([]byte, bool, error) {
	var err error
	for _, f := range fieldsOf(v.Type()) {
		value := v.Field(f.index)
		if f.inline {
			if value.Kind() == reflect.Pointer {
				value = value.Elem()
			}
			if b, first, err = appendFields(b, value, first); err != nil {
				return b, first, err
			}
			continue
		}
		if f.omitempty && empty(value) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, f.name...)
		if b, err = appendValue(b, value); err != nil {
			return b, first, err
		}
	}
	return b, first, nil
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	}
	return v.IsZero()
}

func appendMap(b []byte, v reflect.Value) ([]byte, error) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	b = append(b, '{')
	var err error
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(jsontext.AppendString(b, k.String()), ':')
		if b, err = appendValue(b, v.MapIndex(k)); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}
