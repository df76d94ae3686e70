package flow

import (
	"encoding/json"
	"strings"
	"testing"
)

// What stands for all the texts that the fast look and encoding/json must agree on.
var texts = []string{"", " ", "null", " true\n", "false", "nul", "nulll", "truefalse", "0", "-0", "-", "+1", "01", "-01", "1.", ".5", "1.5", "1e5", "1E+5", "1e-05", "1e", "1e+", "1.5e3x", "0x10", "12 3",
	`""`, `"a"`, `"`, `"a`, `"a\"`, `"a\\"`, `"\u00e9\ud800"`, `"\u00g9"`, `"\u00e"`, `"\u"`, "\"\\u\x101\x11A\"", "\"\\u00AF\"", "\"\\u00@F\"", `"\x"`, `"\/\b\f\n\r\t\""`, "\"a\tb\"", "\"a\x1fb\"", "\"a\x7fb\"", "\"\x00\"", `"é日本𝄞"`, "'a'",
	"[]", "[ ]", "[1]", "[1,2]", "[1,]", "[,1]", "[1 2]", "[1", "[", "]", "[]]", "[[1],[2,[3]]]", "[{}]", "[}",
	"{}", "{ }", `{"a":1}`, `{"a":1,"b":[{"c":null}]}`, `{"a":1,}`, `{,"a":1}`, `{"a"}`, `{"a":}`, `{"a" : 1 , "a" : 2}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1`, `{"a"`, `{`, `{1:2}`, `{"a":1]`, "\ufeff1", "1,", "\v1"}

func TestTheFastLookAtJSONAgreesWithTheLibrary(t *testing.T) {
	agree := func(text string) {
		t.Helper()
		if got, want := good([]byte(text), MaxNesting), json.Valid([]byte(text)) && nesting([]byte(text)) <= MaxNesting; got != want {
			t.Errorf("%.80q: %v, want %v", text, got, want)
		}
	}
	for _, text := range texts {
		for pad := range 9 { // where in a group of eight bytes something stands must not matter
			agree(text)
			agree(`["` + strings.Repeat("x", pad) + `",` + text + `]`)
			agree(`{"` + strings.Repeat("x", pad) + `":` + text + `}`)
			if s, ok := strings.CutPrefix(text, `"`); ok {
				agree(`"` + strings.Repeat("x", pad) + s)
			}
		}
	}
	for c := range 256 {
		for at := range 10 {
			b := []byte(`"0123456789abcdef"`)
			b[1+at] = byte(c)
			agree(string(b))
		}
	}
	for _, depth := range []int{MaxNesting, MaxNesting + 1} {
		agree(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		agree(strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth))
	}
}

func FuzzGood(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := good(b, MaxNesting), json.Valid(b) && nesting(b) <= MaxNesting; got != want {
			t.Errorf("%q: %v, want %v", b, got, want)
		}
	})
}

func BenchmarkCheckJSON(b *testing.B) {
	text := []byte(`"` + strings.Repeat("abcdefgh", 1<<17) + `"`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := CheckJSON(text, 0); err != nil {
			b.Fatal(err)
		}
	}
}
