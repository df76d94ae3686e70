// Package pack writes and reads the forms of msgpack that the journal is made of, by hand and without an allocation: events and
// snapshots are written for every step. What is not that hot is encoded with github.com/vmihailenco/msgpack, which a test of
// package event holds these forms to (docs/adr/0004).
package pack

import (
	"encoding/binary"
	"fmt"
	"math"
)

// AppendArray appends an array header.
func AppendArray(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
}

// AppendMap appends a map header.
func AppendMap(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x80|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xde), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdf), uint32(n))
}

// AppendUint appends an unsigned integer in its shortest form.
func AppendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 128:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
}

// AppendInt appends a signed integer.
func AppendInt(dst []byte, v int64) []byte {
	if v >= 0 {
		return AppendUint(dst, uint64(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
}

// AppendBool appends true or false.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// AppendString appends a string.
func AppendString(dst []byte, s string) []byte {
	n := len(s)
	switch {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, s...)
}

// AppendBin appends bytes; nil is written as nil and comes back as nil.
func AppendBin(dst, b []byte) []byte {
	n := len(b)
	switch {
	case b == nil:
		return append(dst, 0xc0)
	case n <= math.MaxUint8:
		dst = append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
	return append(dst, b...)
}

// Reader reads what the appenders wrote. The first error sticks; every later read gives zero. A declared length is
// checked against what remains before anything is allocated for it.
type Reader struct {
	buf []byte
	err error
}

// NewReader reads from b, whose bytes the results point into.
func NewReader(b []byte) *Reader { return &Reader{buf: b} }

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// Len is how many bytes remain.
func (r *Reader) Len() int { return len(r.buf) }

// Fail makes what was read malformed. The first failure stays.
func (r *Reader) Fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("malformed %s with %d bytes left", what, len(r.buf))
	}
	r.buf = nil
}

func (r *Reader) take(n int, what string) []byte {
	if n < 0 || n > len(r.buf) {
		r.Fail(what)
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

func (r *Reader) byte(what string) byte {
	if b := r.take(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (r *Reader) be(n int, what string) uint64 {
	var v uint64
	for _, b := range r.take(n, what) {
		v = v<<8 | uint64(b)
	}
	return v
}

// Array reads an array header; the count is never more than the bytes that remain.
func (r *Reader) Array() int {
	return r.header(0x90, 0xdc, "array")
}

// Map reads a map header.
func (r *Reader) Map() int { return r.header(0x80, 0xde, "map") }

func (r *Reader) header(fix, wide byte, what string) int {
	var n uint64
	switch c := r.byte(what); {
	case r.err != nil:
		return 0
	case c&0xf0 == fix:
		n = uint64(c & 0x0f)
	case c == wide:
		n = r.be(2, what)
	case c == wide+1:
		n = r.be(4, what)
	default:
		r.Fail(what)
		return 0
	}
	if n > uint64(len(r.buf)) {
		r.Fail(what)
		return 0
	}
	return int(n)
}

// Uint reads an unsigned integer.
func (r *Reader) Uint() uint64 {
	switch c := r.byte("integer"); {
	case r.err != nil:
		return 0
	case c < 0x80:
		return uint64(c)
	case c == 0xcc:
		return r.be(1, "integer")
	case c == 0xcd:
		return r.be(2, "integer")
	case c == 0xce:
		return r.be(4, "integer")
	case c == 0xcf:
		return r.be(8, "integer")
	}
	r.Fail("integer")
	return 0
}

// Int reads a signed integer.
func (r *Reader) Int() int64 {
	if len(r.buf) > 0 && r.buf[0] == 0xd3 {
		r.buf = r.buf[1:]
		return int64(r.be(8, "integer"))
	}
	v := r.Uint()
	if v > math.MaxInt64 {
		r.Fail("integer")
		return 0
	}
	return int64(v)
}

// Int32 reads a number that is not negative: the index of a step.
func (r *Reader) Int32() int32 {
	v := r.Uint()
	if v > math.MaxInt32 {
		r.Fail("step index")
		return 0
	}
	return int32(v)
}

// Uint32 reads an unsigned integer of 32 bits.
func (r *Reader) Uint32() uint32 {
	v := r.Uint()
	if v > math.MaxUint32 {
		r.Fail("32-bit integer")
		return 0
	}
	return uint32(v)
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	switch r.byte("boolean") {
	case 0xc3:
		return true
	case 0xc2:
	default:
		r.Fail("boolean")
	}
	return false
}

// String reads a string into memory of its own.
func (r *Reader) String() string { return string(r.Text()) }

// Text reads a string; the bytes point into the Reader's buffer.
func (r *Reader) Text() []byte {
	n := -1
	switch c := r.byte("string"); {
	case r.err != nil:
		return nil
	case c&0xe0 == 0xa0:
		n = int(c & 0x1f)
	case c == 0xd9:
		n = int(r.be(1, "string"))
	case c == 0xda:
		n = int(r.be(2, "string"))
	case c == 0xdb:
		n = int(r.be(4, "string"))
	}
	return r.take(n, "string")
}

// Bin reads bytes; they point into the Reader's buffer. Nil comes back as nil, empty as empty.
func (r *Reader) Bin() []byte {
	n := -1
	switch c := r.byte("bytes"); {
	case r.err != nil, c == 0xc0:
		return nil
	case c == 0xc4:
		n = int(r.be(1, "bytes"))
	case c == 0xc5:
		n = int(r.be(2, "bytes"))
	case c == 0xc6:
		n = int(r.be(4, "bytes"))
	}
	return r.take(n, "bytes")
}

// Kind is what a value is.
type Kind uint8

// Kinds of values.
const (
	Nil Kind = iota
	Bool
	Uint     // a whole number from 0
	Negative // a whole number below 0
	Float
	String
	Bin
	Array
	Map
	Ext // an extension, a time for example
)

// Head reads what a value of any type begins with. n is the number itself for Uint, the bytes that follow for String, Bin and Ext,
// the elements of an Array, and the pairs of a Map; never more than the bytes that remain can hold. Other values are read whole.
func (r *Reader) Head() (k Kind, n uint64) {
	c := r.byte("value")
	least := uint64(1) // bytes of each
	switch {
	case r.err != nil:
		return Nil, 0
	case c < 0x80:
		return Uint, uint64(c)
	case c >= 0xe0:
		return Negative, 0
	case c < 0x90:
		k, n, least = Map, uint64(c&0x0f), 2
	case c < 0xa0:
		k, n = Array, uint64(c&0x0f)
	case c < 0xc0:
		k, n = String, uint64(c&0x1f)
	case c == 0xc0:
		return Nil, 0
	case c == 0xc2 || c == 0xc3:
		return Bool, 0
	case c >= 0xc4 && c <= 0xc6:
		k, n = Bin, r.be(1<<(c-0xc4), "bytes")
	case c >= 0xc7 && c <= 0xc9:
		k, n = Ext, r.be(1<<(c-0xc7), "extension")+1 // the byte that names its type
	case c == 0xca || c == 0xcb:
		r.take(4<<(c-0xca), "number")
		return Float, 0
	case c >= 0xcc && c <= 0xcf:
		return Uint, r.be(1<<(c-0xcc), "integer")
	case c >= 0xd0 && c <= 0xd3:
		size := 1 << (c - 0xd0)
		v := int64(r.be(size, "integer")<<(64-8*size)) >> (64 - 8*size)
		if v < 0 {
			return Negative, 0
		}
		return Uint, uint64(v)
	case c >= 0xd4 && c <= 0xd8:
		k, n = Ext, 1+1<<(c-0xd4)
	case c >= 0xd9 && c <= 0xdb:
		k, n = String, r.be(1<<(c-0xd9), "string")
	case c == 0xdc || c == 0xdd:
		k, n = Array, r.be(2<<(c-0xdc), "array")
	case c == 0xde || c == 0xdf:
		k, n, least = Map, r.be(2<<(c-0xde), "map"), 2
	default: // 0xc1 is never used
		r.Fail("value")
	}
	if n > uint64(len(r.buf))/least {
		r.Fail("value")
		return Nil, 0
	}
	return k, n
}

// Take reads n bytes, as many as Head said; they point into the Reader's buffer.
func (r *Reader) Take(n uint64) []byte { return r.take(int(n), "value") }

// Skip passes over one value of any type, with all that it holds. It takes no stack, however deep the value is.
func (r *Reader) Skip() {
	for left := uint64(1); left > 0 && r.err == nil; left-- {
		switch k, n := r.Head(); k {
		case Array:
			left += n
		case Map:
			left += 2 * n
		case String, Bin, Ext:
			r.Take(n)
		}
	}
}
