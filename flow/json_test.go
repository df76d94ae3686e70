package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckJSONNamesWhatIsWrong(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		text  string
		limit int
		kind  error
		want  string
	}{
		{`{"a":[1,2]}`, 11, nil, ""},
		{`{"a":[1,2]}`, 10, ErrJSONTooLarge, "is 11 bytes, the limit is 10"},
		{"", 0, ErrJSONSyntax, "is not JSON: it is empty"},
		{" \n", 0, ErrJSONSyntax, "is not JSON: it is empty"},
		{"{\n\"a\": x}", 0, ErrJSONSyntax, "is not JSON: invalid character 'x' looking for beginning of value at byte 8, line 2"},
		{`"a" "b"`, 0, ErrJSONSyntax, "is not JSON: invalid character '\"' after top-level value at byte 5, line 1"},
		{`{"a":1,}`, 0, ErrJSONSyntax, "is not JSON: invalid character '}' looking for beginning of object key string at byte 8, line 1"},
		{"\"a\xff\"", 0, ErrJSONNotUTF8, "is not valid UTF-8 at byte 3, line 1"},
		{"NaN", 0, ErrJSONSyntax, "is not JSON: invalid character 'N' looking for beginning of value at byte 1, line 1"},
		{nested(64), 0, nil, ""},
		{nested(65), 0, ErrJSONTooDeep, "is nested 65 deep, the limit is 64"},
		{strings.Repeat("[", 1<<20), 0, ErrJSONTooDeep, "is nested 1048576 deep, the limit is 64"},
		{`"` + strings.Repeat("[", 1000) + `\"["`, 0, nil, ""},
	} {
		err := CheckJSON([]byte(c.text), c.limit)
		if c.kind == nil && err == nil {
			continue
		}
		if !errors.Is(err, c.kind) || err.Error() != c.want {
			t.Errorf("%.40q: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestEqualJSON(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[true,null]}`, " {\"b\" : [ true , null ] ,\n\"a\":1} ", true},
		{`"\u0041\/"`, `"A/"`, true},
		{`"\ud83d\ude00"`, `"😀"`, true},
		{`1`, `1.0`, false},
		{`1e2`, `100`, false},
		{`12345678901234567890`, `12345678901234567891`, false},
		{`[1,2]`, `[2,1]`, false},
		{`{"a":1,"a":2}`, `{"a":2,"a":1}`, false},
		{`{"a":1,"a":2}`, `{ "a":1, "a":2}`, true},
		{`"\ud800"`, `"\ud801"`, false},
		{`"\ud800"`, `"\ufffd"`, false},
		{`null`, `{}`, false},
		{`{`, `{`, true},
		{`{`, ` {`, false},
	} {
		if got := EqualJSON([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

// anyJSON draws a value as encoding/json has it, and half surrogate pairs besides.
func anyJSON() *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(),
		rapid.Map(rapid.Int64(), func(n int64) any { return json.Number(fmt.Sprint(n)) }),
		rapid.Map(rapid.Float64Range(-1e300, 1e300), func(f float64) any { b, _ := json.Marshal(f); return json.Number(b) }),
	)
	return rapid.OneOf(leaf, rapid.SliceOfN(leaf, 0, 4).AsAny(),
		rapid.MapOfN(rapid.String(), rapid.OneOf(leaf, rapid.SliceOfN(leaf, 0, 3).AsAny()), 0, 5).AsAny())
}

func TestTheReaderAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyJSON().Draw(t, "value")
		text, err := json.MarshalIndent(in, "", rapid.SampledFrom([]string{"", "\t"}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		agrees(t, text)
	})
}

type fataler interface{ Fatalf(string, ...any) }

// agrees says that the canonical form of a text is what encoding/json understands of the text.
func agrees(t fataler, text []byte) {
	v := readJSON(text)
	body := v.appendCanonical(nil)
	for _, c := range body {
		if c < 0x20 || c > 0x7e {
			t.Fatalf("canonical form %q holds %q", body, c)
		}
	}
	if v.duplicate() == nil && !reflect.DeepEqual(decode(t, text), decode(t, body)) {
		t.Fatalf("%q became %q", text, body)
	}
	again := readJSON(body)
	if twice := again.appendCanonical(nil); !bytes.Equal(twice, body) {
		t.Fatalf("canonical form %q has the canonical form %q", body, twice)
	}
}

func decode(t fataler, text []byte) any {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,-0.5e+3,"\ud83d\ude00\ud800x\u007f"],"":{},"b":null,"c":[true,false]}`))
	f.Add([]byte(`[[],{},"\\\"\/\b\f\n\r\t"]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if CheckJSON(text, 1<<16) == nil {
			agrees(t, text)
			if !EqualJSON(text, append([]byte(" "), text...)) {
				t.Fatalf("%q does not equal itself", text)
			}
		}
	})
}

// takes says that what Read takes is what its canonical form says, and that NewGraph takes it.
func takes(t *testing.T, text []byte) {
	d, problems := Read(text)
	if len(problems) > 0 {
		if problems.Error() == "" {
			t.Fatal("a problem without a word")
		}
		lines := 1 + bytes.Count(text, []byte{'\n'}) + bytes.Count(text, []byte{'\r'})
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines || (p.Line == 0) != (p.Column <= 0) {
				t.Fatalf("%q: line %d, column %d: %s", text, p.Line, p.Column, p.Detail)
			}
		}
		return
	}
	body, err := Canonical(d)
	if err != nil {
		t.Fatal(err)
	}
	again, problems := Read(body)
	if len(problems) > 0 {
		t.Fatalf("%q became %q: %v", text, body, problems)
	}
	if twice, err := Canonical(again); err != nil || !bytes.Equal(body, twice) {
		t.Fatalf("%q became %q and then %q, %v", text, body, twice, err)
	}
	if _, err := NewGraph(again); err != nil {
		t.Fatal(err)
	}
}

func FuzzRead(f *testing.F) {
	for _, dir := range []string{"document", "canonical", "invalid"} {
		names, _ := filepath.Glob(filepath.Join(testdata, dir, "*"))
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(takes)
}

func TestHostileTexts(t *testing.T) {
	const n = 1 << 18
	rep := strings.Repeat
	step := `{"name":"a","service_name":"s","handler_name":"h"`
	for name, text := range map[string]string{
		"deep open brackets":      `{"steps":` + rep("[", n),
		"deep open braces":        rep(`{"a":`, n),
		"deep yaml open brackets": "steps: " + rep("[", n),
		"deep yaml hidden":        "steps: " + rep(`["]",`, n/5),
		"deep yaml dashes":        rep("- ", n),
		"deep yaml dashes in rows": func() string {
			var b strings.Builder
			for i := range 2000 {
				b.WriteString(rep(" ", i) + "-\n")
			}
			return b.String()
		}(),
		"deep yaml keys in rows": func() string {
			var b strings.Builder
			for i := range 2000 {
				b.WriteString(rep(" ", i) + "a:\n")
			}
			return b.String()
		}(),
		"deep yaml questions":       rep("? ", n),
		"deep yaml colons":          rep(": ", n),
		"deep yaml tags":            rep("!a ", n),
		"deep yaml anchors":         rep("&a ", n),
		"deep yaml tags in rows":    rep("!a\n", n),
		"deep yaml anchors in rows": rep("&a\n", n),
		"deep yaml both in rows":    rep("&a\n!b\n", n/2),
		"yaml laughs":               "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\nsteps: [*g,*g,*g,*g,*g,*g,*g,*g]",
		"yaml long aliases":         "a: &a " + rep("x", n) + "\nsteps: [" + rep("*a,", 10_000) + "]",
		"yaml many marks":           "steps: [" + rep("a,", 4<<20-10) + "]",
		"yaml lines":                rep("a\n", n),
		"no bytes":                  "",
		"over 32 MiB":               rep(" ", MaxBytes) + "{}",
		"many unknown keys": `{"steps":[` + step + "," + func() string {
			var b strings.Builder
			for i := range 100_000 {
				fmt.Fprintf(&b, `"k%d":1,`, i)
			}
			return b.String()
		}() + `"z":1}]}`,
		"many object keys":   `{"steps":[` + step + `,"object_keys":["a"` + rep(`,"b"`, 500_000) + `]}]}`,
		"many dependencies":  `{"steps":[` + step + `,"dependencies":["a"` + rep(`,"b"`, 500_000) + `]}]}`,
		"many steps":         `{"steps":[1` + rep(",1", MaxSteps) + `]}`,
		"a long number":      `{"steps":[` + step + `,"timeout_ms":` + rep("9", n) + `}]}`,
		"a long name":        `{"steps":[{"name":"` + rep("é", n) + `"}]}`,
		"yaml a long number": "steps:\n- {name: a, service_name: s, handler_name: h, timeout_ms: 0x" + rep("f", n) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Read([]byte(text))
			if len(problems) == 0 {
				t.Fatal("was taken")
			}
			// What would make a parser recurse must not come as far as the parser.
			if deep := strings.Contains(problems.Error(), "nested"); deep != strings.HasPrefix(name, "deep ") {
				t.Errorf("%.200s", problems.Error())
			}
			if s := problems.Error(); len(s) > 4<<20 {
				t.Errorf("%d problems in %d bytes of text", len(problems), len(s))
			}
		})
	}
}

func TestProblemsAreCounted(t *testing.T) {
	d := &Definition{}
	for range 30_000 {
		d.Steps = append(d.Steps, Step{Name: "a"})
	}
	p := Validate(d)
	if len(p) != maxProblems+1 || p[maxProblems].Code != CodeMoreProblems || p[maxProblems].Detail != "79999 more problems are not listed" {
		t.Errorf("%d problems, at the end %+v", len(p), p[len(p)-1])
	}
}

func BenchmarkReadJSON(b *testing.B) {
	d := &Definition{}
	for i := range 10_000 {
		d.Steps = append(d.Steps, Task(fmt.Sprint("step", i), "service", "handler", After(fmt.Sprint("step", i-1))))
	}
	d.Steps[0].Dependencies = nil
	text, _ := Canonical(d)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, problems := Read(text); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}
