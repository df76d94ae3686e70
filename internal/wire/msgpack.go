package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// Messages are encoded by github.com/vmihailenco/msgpack. Those that travel for every step write and read their fields
// themselves (EncodeMsgpack, DecodeMsgpack): without reflection, payloads without a copy, and names that come again and again kept
// once. The others are read by their tags. Before anything is decoded, scan has looked at all of it.

func appendMsgpack(b []byte, v any) ([]byte, error) {
	to := &sink{b}
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(to)
	enc.SetCustomStructTag("json")
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		return b, err
	}
	return to.b, nil
}

func readMsgpack(b []byte, v any) error {
	if err := scan(b, v); err != nil {
		return err
	}
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(&source{b: b})
	dec.SetCustomStructTag("json")
	return dec.Decode(v)
}

// sink is where an encoder writes; it never fails.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

func (s *sink) WriteByte(c byte) error {
	s.b = append(s.b, c)
	return nil
}

// source is what a decoder reads from.
type source struct {
	b     []byte
	at    int
	known map[string]string // see same
}

func (s *source) Read(p []byte) (int, error) {
	n := copy(p, s.b[s.at:])
	s.at += n
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (s *source) ReadByte() (byte, error) {
	if s.at >= len(s.b) {
		return 0, io.EOF
	}
	s.at++
	return s.b[s.at-1], nil
}

func (s *source) UnreadByte() error {
	s.at--
	return nil
}

// writer puts fields into a sink, which takes all that it is given: there are no errors to hand on.
type writer struct{ *msgpack.Encoder }

func (w writer) text(key, v string) {
	_ = w.EncodeString(key)
	_ = w.EncodeString(v)
}

// number writes what is below 0 in 8 bytes: releases from before the library read no other form.
func (w writer) number(key string, v int64) {
	_ = w.EncodeString(key)
	if v < 0 {
		_ = w.EncodeInt64(v)
		return
	}
	_ = w.EncodeUint(uint64(v))
}

func (w writer) bin(key string, v []byte) {
	_ = w.EncodeString(key)
	_ = w.EncodeBytes(v)
}

func (w writer) list(key string, n int) {
	_ = w.EncodeString(key)
	_ = w.EncodeArrayLen(n)
}

func (w writer) texts(key string, all []string) {
	w.list(key, len(all))
	for _, s := range all {
		_ = w.EncodeString(s)
	}
}

func (w writer) bins(key string, m map[string]json.RawMessage) {
	_ = w.EncodeString(key)
	_ = w.EncodeMapLen(len(m))
	for _, k := range keys(m) {
		w.bin(k, m[k])
	}
}

// keys gives the keys of a map in order.
func keys[T any](m map[string]T) []string {
	if len(m) == 0 {
		return nil
	}
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// reader reads what scan has passed. The first error sticks; later reads give zero. Nil is read as zero.
type reader struct {
	dec *msgpack.Decoder
	src *source
	err error
}

func readerOf(dec *msgpack.Decoder) *reader {
	src, ok := dec.Buffered().(*source)
	if !ok {
		return &reader{dec: dec, src: &source{}, err: fmt.Errorf("messages are read by wire.Decode")}
	}
	return &reader{dec: dec, src: src}
}

// read calls one of the decoder's methods.
func read[T any](r *reader, next func(*msgpack.Decoder) (T, error)) (v T) {
	if r.err == nil {
		v, r.err = next(r.dec)
	}
	return v
}

func (r *reader) int() int64   { return read(r, (*msgpack.Decoder).DecodeInt64) }
func (r *reader) uint() uint64 { return read(r, (*msgpack.Decoder).DecodeUint64) }

// bytes reads a string or bytes, which point into the source. Nil comes back as nil.
func (r *reader) bytes() []byte {
	n := read(r, (*msgpack.Decoder).DecodeBytesLen)
	if r.err != nil || n < 0 {
		return nil
	}
	from := r.src.at
	if n > len(r.src.b)-from {
		r.err = io.ErrUnexpectedEOF
		return nil
	}
	r.src.at += n
	return r.src.b[from:r.src.at:r.src.at]
}

func (r *reader) text() string { return string(r.bytes()) }

// same reads a string of which there are few in a body: names, codes.
func (r *reader) same() string {
	b := r.bytes()
	s, ok := r.src.known[string(b)]
	if !ok && len(b) > 0 {
		if r.src.known == nil {
			r.src.known = map[string]string{}
		}
		s = string(b)
		r.src.known[s] = s
	}
	return s
}

// null passes over nil, if that is what comes.
func (r *reader) null() bool {
	if r.err != nil || r.src.at >= len(r.src.b) || r.src.b[r.src.at] != 0xc0 {
		return false
	}
	r.src.at++
	return true
}

// fields hands each key of a map to field, which reads its value, or says that it knows no such field: an answer may have some.
func (r *reader) fields(field func(key []byte) bool) {
	for n := read(r, (*msgpack.Decoder).DecodeMapLen); n > 0 && r.err == nil; n-- {
		if key := r.bytes(); r.err == nil && !field(key) {
			r.err = r.dec.Skip()
		}
	}
}

func (r *reader) each(element func()) {
	for n := read(r, (*msgpack.Decoder).DecodeArrayLen); n > 0 && r.err == nil; n-- {
		element()
	}
}

func (r *reader) texts(into *[]string) { r.each(func() { *into = append(*into, r.text()) }) }

// bins reads a map of payloads, nil as an empty one.
func (r *reader) bins(into *map[string]json.RawMessage) {
	n := read(r, (*msgpack.Decoder).DecodeMapLen)
	if n <= 0 {
		return
	}
	m := make(map[string]json.RawMessage, min(n, 64))
	for ; n > 0 && r.err == nil; n-- {
		key := r.same()
		m[key] = r.bytes()
	}
	*into = m
}
