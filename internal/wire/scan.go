package wire

import (
	"fmt"
	"reflect"

	"github.com/agnt5/agnt5d/internal/pack"
)

// maxDepth bounds how deep the values of an answer lie in each other: the library passes over unknown fields by recursion.
const maxDepth = 64

// scan looks at a body in msgpack before it is decoded, for the library trusts what it is told: five bytes would make it allocate
// a gigabyte, and nested arrays would use up the stack. Lengths fit what remains, nothing lies too deep, and nothing follows. Of a
// request every field is one that its message has, of its type and given once, and all lists together are not too long.
// It takes time in proportion to the body, and no memory but for the keys of a map.
func scan(b []byte, v any) error {
	s := &scanner{Reader: pack.NewReader(b), left: maxElements}
	sh := shapeOf(reflect.TypeOf(v))
	var err error
	switch k, _ := pack.NewReader(b).Head(); {
	case len(b) > 0 && k != pack.Map:
		err = &mismatch{want: sh.want, got: kindNames[k]}
	case answer(v):
		err = s.skip(maxDepth)
	default:
		err = s.value(sh)
	}
	switch {
	case s.Err() != nil: // else what err says comes of it
		return fmt.Errorf("msgpack: %w", s.Err())
	case err != nil:
		return err
	case s.Len() > 0:
		return fmt.Errorf("msgpack: extra bytes after the value")
	}
	return nil
}

type scanner struct {
	*pack.Reader
	left int // elements that may still come
}

// kindNames are what an error calls the kinds.
var kindNames = map[pack.Kind]string{pack.Nil: "null", pack.Bool: "bool", pack.Uint: "number", pack.Negative: "negative number", pack.Float: "floating-point number",
	pack.String: "string", pack.Bin: "bytes", pack.Array: "array", pack.Map: "object", pack.Ext: "extension"}

// skip passes over one value.
func (s *scanner) skip(depth int) error {
	k, n := s.Head()
	switch k {
	case pack.Map:
		n *= 2
	case pack.Array:
	case pack.String, pack.Bin, pack.Ext:
		s.Take(n)
		return nil
	default:
		return nil
	}
	if depth == 0 {
		return fmt.Errorf("msgpack: values are nested deeper than %d", maxDepth)
	}
	for ; n > 0 && s.Err() == nil; n-- {
		if err := s.skip(depth - 1); err != nil {
			return err
		}
	}
	return nil
}

// value passes over one value, which has the shape. Nil is like a field that is not there.
func (s *scanner) value(sh *shape) error { return s.some(sh, true) }

func (s *scanner) some(sh *shape, orNil bool) error {
	k, n := s.Head()
	wrong := func() error {
		if s.Err() != nil {
			return nil // the value is not even msgpack
		}
		if sh == nil {
			return &mismatch{want: "bytes that hold JSON", got: kindNames[k]}
		}
		return &mismatch{want: sh.want, got: kindNames[k]}
	}
	switch k {
	case pack.Nil:
		if !orNil && sh != nil {
			return sh.noNull()
		}
	case pack.Bin:
		if s.Take(n); sh != nil {
			return wrong()
		}
	case pack.String:
		if s.Take(n); sh == nil || sh.want != aString {
			return wrong()
		}
	case pack.Bool:
		if sh == nil || sh.want != aBool {
			return wrong()
		}
	case pack.Uint, pack.Negative:
		if sh == nil || sh.want != aNumber || k == pack.Negative && sh.unsigned {
			return wrong()
		}
		if n > 1<<63-1 && !sh.unsigned {
			return &mismatch{want: fmt.Sprintf("at most %d", int64(1<<63-1)), got: fmt.Sprint(n)}
		}
	case pack.Array:
		if sh == nil || !sh.list {
			return wrong()
		}
		return s.elements(n, sh.each)
	case pack.Map:
		switch {
		case sh == nil || sh.want != anObject:
			return wrong()
		case sh.fields != nil:
			return s.fields(n, sh)
		}
		return s.entries(n, sh.each)
	default:
		return wrong()
	}
	return nil
}

func (s *scanner) elements(n uint64, each *shape) error {
	if uint64(s.left) < n {
		return tooMany()
	}
	s.left -= int(n)
	for ; n > 0 && s.Err() == nil; n-- {
		if err := s.some(each, false); err != nil {
			return err
		}
	}
	return nil
}

// fields passes over the fields of a message.
func (s *scanner) fields(n uint64, sh *shape) error {
	var seen uint64
	for ; n > 0 && s.Err() == nil; n-- {
		key := s.Text()
		if s.Err() != nil {
			break
		}
		m, known := sh.fields[string(key)]
		if !known {
			return sh.unknown(string(key))
		}
		if seen&(1<<m.at) != 0 {
			return twice(string(key))
		}
		seen |= 1 << m.at
		if err := s.value(m.shape); err != nil {
			return under(m.name, err)
		}
	}
	return nil
}

// entries passes over a map with keys of the caller's own.
func (s *scanner) entries(n uint64, each *shape) error {
	if uint64(s.left) < n {
		return tooMany()
	}
	s.left -= int(n)
	var seen map[string]bool
	if n > 1 {
		seen = make(map[string]bool, n)
	}
	for ; n > 0 && s.Err() == nil; n-- {
		key := string(s.Text())
		if seen[key] && s.Err() == nil {
			return twice(key)
		}
		if seen != nil {
			seen[key] = true
		}
		if err := s.value(each); err != nil {
			return under(key, err)
		}
	}
	return nil
}
