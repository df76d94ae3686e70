package pack_test

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/internal/pack"
	"github.com/vmihailenco/msgpack/v5"
)

// Head and Skip know every form that a full msgpack encoder writes.
func TestEveryFormIsReadAndPassedOver(t *testing.T) {
	for _, c := range []struct {
		v    any
		kind pack.Kind
		n    uint64
	}{
		{nil, pack.Nil, 0}, {true, pack.Bool, 0}, {false, pack.Bool, 0},
		{uint8(5), pack.Uint, 5}, {uint16(70), pack.Uint, 70}, {uint32(70_000), pack.Uint, 70_000}, {uint64(math.MaxUint64), pack.Uint, math.MaxUint64},
		{int8(5), pack.Uint, 5}, {int16(300), pack.Uint, 300}, {int32(70_000), pack.Uint, 70_000}, {int64(math.MaxInt64), pack.Uint, math.MaxInt64},
		{int8(-5), pack.Negative, 0}, {int16(-300), pack.Negative, 0}, {int32(-70_000), pack.Negative, 0}, {int64(math.MinInt64), pack.Negative, 0},
		{float32(1.5), pack.Float, 0}, {1.5, pack.Float, 0},
		{"short", pack.String, 5}, {string(make([]byte, 200)), pack.String, 200}, {string(make([]byte, 300)), pack.String, 300}, {string(make([]byte, 70_000)), pack.String, 70_000},
		{make([]byte, 3), pack.Bin, 3}, {make([]byte, 300), pack.Bin, 300}, {make([]byte, 70_000), pack.Bin, 70_000},
		{[]int{1, 2}, pack.Array, 2}, {make([]int, 300), pack.Array, 300}, {make([]int, 70_000), pack.Array, 70_000},
		{map[string]any{"a": []any{1, map[string]any{}}}, pack.Map, 1},
		{time.Unix(1, 0), pack.Ext, 5}, {time.Unix(1, 2), pack.Ext, 9}, {time.Unix(-1, 2), pack.Ext, 13},
	} {
		b, err := msgpack.Marshal(c.v)
		if err != nil {
			t.Fatal(err)
		}
		if k, n := pack.NewReader(b).Head(); k != c.kind || n != c.n {
			t.Errorf("%T %x: kind %d, %d, want %d, %d", c.v, b[:1], k, n, c.kind, c.n)
		}
		r := pack.NewReader(append(b, 0xc0))
		if r.Skip(); r.Err() != nil || r.Len() != 1 {
			t.Errorf("%T %x: %d bytes are left: %v", c.v, b[:1], r.Len(), r.Err())
		}
		for cut := range len(b) {
			r := pack.NewReader(b[:cut])
			if r.Skip(); r.Err() == nil {
				t.Errorf("%T cut to %d of %d bytes: no error", c.v, cut, len(b))
			}
			if len(b) > 1000 {
				break
			}
		}
	}
	for _, b := range [][]byte{{0xc1}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0x7f, 0xff, 0xff, 0xff}, {0xc6, 0xff, 0xff, 0xff, 0xff}, {0x82, 0, 0, 0}} {
		r := pack.NewReader(b)
		if r.Skip(); r.Err() == nil {
			t.Errorf("%x: no error", b)
		}
	}
	deep := pack.NewReader(bytes.Repeat([]byte{0x91}, 8<<20))
	if deep.Skip(); deep.Err() == nil {
		t.Error("arrays without an end: no error")
	}
}
