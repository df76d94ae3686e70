package expression

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var world = &Env{
	Input: json.RawMessage(` {"n": 3, "list": [1, 2.50, "x", null, {"a": 1}], "big": 12345678901234567890, "max": 9223372036854775807, "min": -9223372036854775808,
		"name": "W\u00f6rld \"q\"", "odd-key": {"z": 1, "a": 2}, "huge": 1e400, "empty": "", "twice": 1, "twice": 2} `),
	Steps: map[string]Step{
		"a":       {State: "completed", Output: json.RawMessage(`{"ok": true, "rows": [ {"id": 1, "w": 2.5}, {"id": 2, "w": 0.5} ]}`)},
		"odd-one": {State: "failed", Error: json.RawMessage(`{"code":"boom","message":"no"}`)},
	},
	Run:  Run{ID: "r1", Workflow: "w", Version: 3, CreatedAt: "2026-11-26T06:00:00Z"},
	Item: json.RawMessage(`{"k": [10, 20]}`), Index: 7, Output: json.RawMessage(`{"done": false}`), Round: 2,
	Fate: json.RawMessage(`{"state":"failed"}`),
}

const every = Item | Fate | Round

func TestEval(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		// A path gives its JSON byte for byte.
		{`input`, string(world.Input)},
		{`input.list`, `[1, 2.50, "x", null, {"a": 1}]`},
		{`input.list[1]`, `2.50`}, {`input.list[-1]`, `{"a": 1}`}, {`input["odd-key"]`, `{"z": 1, "a": 2}`},
		{`input.big`, `12345678901234567890`}, {`input.huge`, `1e400`}, {`input.name`, `"W\u00f6rld \"q\""`}, {`input.twice`, `2`},
		{`steps.a.output.rows[1].w`, `0.5`}, {`steps["odd-one"].error.code`, `"boom"`}, {`steps["odd-one"].output`, `null`}, {`steps.a.state`, `"completed"`},
		{`item`, `{"k": [10, 20]}`}, {`item.k[index - 6]`, `20`}, {`fate.state`, `"failed"`}, {`round`, `2`}, {`output.done`, `false`},
		{`[input.big, {x: input.list[1]}]`, `[12345678901234567890,{"x":2.50}]`},
		// null, and what is missing.
		{`input.missing`, `null`}, {`input.missing?.x.y`, `null`}, {`null`, `null`}, {`nil == null`, `true`}, {`input.missing ?? "d"`, `"d"`},
		{`steps["odd-one"].output?.rows[0]`, `null`},
		// Numbers.
		{`1 + 2 * 3`, `7`}, {`7 / 2`, `3.5`}, {`6 / 2`, `3`}, {`7 % 4`, `3`}, {`2 ** 10`, `1024`}, {`-input.n`, `-3`}, {`input.max - 1`, `9223372036854775806`},
		{`input.n == 3.0`, `true`}, {`9007199254740993 == 9007199254740992.0`, `false`}, {`input.max < 9223372036854775808.0`, `true`}, {`input.min % -1`, `0`},
		{`int("42") + int(2.9)`, `44`}, {`float("1.5")`, `1.5`}, {`round(2.5)`, `3`}, {`abs(-3)`, `3`}, {`max(1, [2.5, 2])`, `2.5`}, {`mean([1, 2])`, `1.5`}, {`median([3, 1, 2])`, `2`},
		{`sum([1, 2, 3])`, `6`}, {`bitshl(1, 3)`, `8`},
		// Texts.
		{`"a" + 'b'`, `"ab"`}, {`upper("ab") + lower("AB")`, `"ABab"`}, {`input.name[1]`, `"ö"`}, {`"Wörld"[1:3]`, `"ör"`}, {`len("Wörld")`, `5`}, {`indexOf("Wörld", "r")`, `2`},
		{`"abc" contains "b" and "abc" startsWith "a" and not ("abc" endsWith "b")`, `true`}, {`"a1" matches "^[a-z][0-9]$"`, `true`}, {`trim("  x ")`, `"x"`},
		{`split("a,b", ",")`, `["a","b"]`}, {`join(["a", "b"], "-")`, `"a-b"`}, {`replace("aaa", "a", "b", 2)`, `"bba"`}, {`repeat("ab", 2)`, `"abab"`},
		{`string(input.list[1]) + string(true)`, `"2.50true"`}, {`toJSON({b: 1, a: [null]})`, `"{\"a\":[null],\"b\":1}"`}, {`fromJSON("{\"a\": 1}").a`, `1`}, {`fromBase64(toBase64("é"))`, `"é"`},
		{"\"<&>\"", `"<&>"`},
		// Lists and objects; the order is that of sorted keys.
		{`filter(steps.a.output.rows, .w > 1)`, `[{"id": 1, "w": 2.5}]`}, {`map(steps.a.output.rows, .id * 10)`, `[10,20]`}, {`steps.a.output.rows | map(#.id) | sum()`, `3`},
		{`all([1, 2], # > 0) and any([1, 2], # > 1) and none([1], # > 1) and one([1, 2], # > 1)`, `true`}, {`count([true, false])`, `1`}, {`find([1, 2, 3], # > 1)`, `2`}, {`findLast([1, 2, 3], # > 1)`, `3`},
		{`findIndex([1], # > 1)`, `-1`}, {`findLastIndex([5, 6, 7], # < 7)`, `1`}, {`reduce(1..4, #acc + #, 0)`, `10`}, {`reduce([1, 2, 3], #acc * #)`, `6`}, {`map([5, 6], #index)`, `[0,1]`},
		{`sortBy(steps.a.output.rows, .w) | map(.id)`, `[2,1]`}, {`sortBy([1, 2], #, "desc")`, `[2,1]`}, {`sort(["b", "a"])`, `["a","b"]`}, {`groupBy([1, 2, 3], # % 2 == 0 ? "even" : "odd")`, `{"even":[2],"odd":[1,3]}`},
		{`keys(input["odd-key"])`, `["a","z"]`}, {`values(input["odd-key"])`, `[2,1]`}, {`toPairs(input["odd-key"])`, `[["a",2],["z",1]]`}, {`fromPairs([["x", 1]])`, `{"x":1}`},
		{`{z: 1, a: 2}`, `{"a":2,"z":1}`}, {`uniq([1, 1.0, "1", {a: 1}, {a: 1}])`, `[1,"1",{"a":1}]`}, {`flatten([1, [2, [3]]])`, `[1,2,3]`}, {`concat([1], [2])`, `[1,2]`}, {`reverse([1, 2])`, `[2,1]`},
		{`first([]) ?? last([1, 2])`, `2`}, {`take([1, 2], 1)`, `[1]`}, {`get(input, "nope")`, `null`}, {`[1, 2, 3][1:]`, `[2,3]`}, {`1..3`, `[1,2,3]`}, {`2 in [1, 2]`, `true`}, {`"n" in input`, `true`},
		{`len(input.list) + len(input["odd-key"])`, `7`}, {`type(input.n) + type(input.list) + type(null)`, `"intarraynil"`}, {`{a: [1, {b: 2}]} == {a: [1.0, {b: 2}]}`, `true`},
		// All the rest.
		{`let x = input.n; x * x`, `9`}, {`if input.n > 2 { "big" } else { "small" }`, `"big"`}, {`input.n > 5 ? 1 : 2`, `2`}, {`(input.n > 1 ?: false) ? 1 : 2`, `1`},
		{`run.id + run.workflow + string(run.version) + run.created_at`, `"r1w32026-11-26T06:00:00Z"`}, {`run.parent?.step`, `null`}, {`steps.a`, `{"error":null,"output":{"ok": true, "rows": [ {"id": 1, "w": 2.5}, {"id": 2, "w": 0.5} ]},"state":"completed"}`},
	} {
		p, err := Compile(c.text, every)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got, err := p.Eval(world)
		if err != nil {
			t.Errorf("%v", err)
		} else if string(got) != c.want {
			t.Errorf("%s gave %s, want %s", c.text, got, c.want)
		} else if !json.Valid(got) {
			t.Errorf("%s gave %s", c.text, got)
		}
	}
}

func TestEvalFails(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`input.missing.x`, `at character 15`}, {`input.missing.x`, `cannot take x of null`}, {`input.n.x`, `cannot take x of a number`}, {`input.list[9]`, `there is no item 9: the list has 5`},
		{`input.max + 1`, `too large for 64 bits`}, {`input.min - 1`, `too large`}, {`-input.min`, `too large`}, {`input.max * 2`, `too large`}, {`input.min * -1`, `too large`},
		{`sum([input.max, 1])`, `too large`}, {`bitshl(input.max, 1)`, `too large`}, {`abs(input.min)`, `too large`},
		{`1 / 0`, `cannot divide by 0`}, {`1 % 0`, `cannot divide by 0`}, {`1e308 * 10`, `no number`}, {`(-1.0) ** 0.5`, `no number`}, {`input.huge + 1`, `the number 1e400 is too large`}, {`int(1e30)`, `too large`},
		{`input.name + input.n`, `cannot add a text and a number`}, {`input.n > input.name`, `cannot compare a number with a text`}, {`input.n ? 1 : 2`, `want true or false, not a number`},
		{`input.n and true`, `want true or false`}, {`map(input, #)`, `map wants a list, not an object`}, {`len(input.n)`, `len wants`}, {`"x" matches input.name + "("`, `no regular expression`},
		{`groupBy(input.list, # == 1 ? null : [1])`, `groupBy wants`}, {`"x" matches input.name + "(" + repeat("a", 500) + "){1000}"`, `repeats too much`}, {`"x" matches "" + "(" + repeat("a", 500) + "){1000}"`, `repeats too much`},
		{`fromBase64("/w==")`, `no text`}, {`fromJSON("{")`, `not JSON`}, {`int("x")`, `no whole number`},
		{`reduce(1..100, [#acc], 0)`, `nested over 64 deep`},
		// Bounds.
		{`let l = 1..3000; all(l, all(l, all(l, true)))`, `it takes more than 10000000 operations`},
		{`repeat("x", 1000000000)`, `it needs more than 16777216 bytes`}, {`1..1000000000`, `it needs more than`}, {`reduce(1..40, #acc + #acc, "x")`, `it needs more than`},
		{`replace(repeat("a", 10000), "a", repeat("b", 10000))`, `it needs more than`}, {`join(map(1..5000, repeat("x", 5000)))`, `it needs more than`},
		{`map(1..5000, sort(1..500, "desc"))`, `it`}, {`map(1..10000, repeat("a", 5000) matches "(a*)*b")`, `it`},
	} {
		p, err := Compile(c.text, every)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		got, err := p.Eval(world)
		if err == nil {
			t.Errorf("%s gave %s", c.text, got)
		} else if !strings.Contains(err.Error(), c.want) || err.Slow {
			t.Errorf("%v; want %q", err, c.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{``, `it is empty`}, {` `, `it is empty`}, {`1 +`, "at character 3 of `1 +`: unexpected token EOF"}, {"1 +\n  )", `line 2, character 3`},
		{`$env`, `$env is not known`}, {`$env.input`, `$env`}, {`foo`, `unknown name foo; known are input, steps and run`}, {`item`, `a step with for_each`}, {`round`, `round is a function`}, {`output`, `repeat.until`}, {`map`, `map is a function`},
		{`steps[input.x]`, `a step must be named literally`}, {`steps`, `literally`}, {`let s = steps; s.a`, `literally`}, {`map(["a"], steps[#])`, `literally`}, {`keys(steps)`, `literally`},
		{`steps.a.outptu`, `outptu`}, {`run.foo`, `foo`}, {`now()`, `now is no function. There is no clock`}, {`date("2026-01-01")`, `no clock`}, {`input.f()`, `no function`}, {`f(1)`, `f is no function`},
		{`"a" + 1`, `mismatched types`}, {`b"x"`, `bytes`}, {`let input = 1; input`, `cannot`}, {`let item = 1; item`, `another meaning`}, {`map([1], #foo)`, `#foo`}, {`99999999999999999999`, `integer`}, {`len(1)`, `len`},
		{`"` + strings.Repeat("x", MaxText) + `"`, `the limit is 8192`}, {strings.Repeat("(", 30) + "true" + strings.Repeat(" ?: true)", 30), `too complex`}, {`true ? 1`, `unexpected`},
		{`"x" matches "("`, `no regular expression`}, {`"x" matches "(` + strings.Repeat("abc", 100) + `){1000}"`, `repeats too much`}, {`"x" matches "` + strings.Repeat("a", 1025) + `"`, `the limit is 1024`},
	} {
		p, err := Compile(c.text, 0)
		if err == nil {
			t.Errorf("%s was taken: %v", c.text, p.Steps())
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q", err, c.want)
		}
	}
}

// Who is told that a name is unknown is told which ones there are where it stands.
func TestWhichNamesThereAre(t *testing.T) {
	for names, want := range map[Names]string{0: "input, steps and run", Round: "input, steps, run, output and round", Item: "input, steps, run, item and index",
		every: "input, steps, run, fate, item, index, output and round"} {
		if _, err := Compile("foo", names); err == nil || !strings.HasSuffix(err.Error(), "unknown name foo; known are "+want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func TestStepsAndKinds(t *testing.T) {
	p, err := Compile("steps.a.output > 1 &&\n steps[\"odd-one\"]?.state == steps.a.state", 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []Ref{{"a", 1, 7}, {"odd-one", 2, 8}}
	if got := p.Steps(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%v", got)
	}
	for text, kind := range map[string]Kind{`true`: Boolean, `input.x`: Anything, `[1]`: List, `"x"`: Other, `1`: Other, `input.x == 1`: Boolean, `map(input, #)`: List, `null`: Anything} {
		if p, err := Compile(text, 0); err != nil || p.Gives() != kind {
			t.Errorf("%s: %v, %v", text, p.Gives(), err)
		}
	}
	if ok, err := p.True(world); ok || err == nil {
		t.Error("an output that is an object was compared with a number")
	}
	for text, want := range map[string]string{`input.n == 3`: "true", `false`: "false", `input.n`: "it gave 3, not true or false"} {
		p, _ := Compile(text, 0)
		got, err := p.True(world)
		if want == "true" != got || (err != nil) != strings.HasPrefix(want, "it") || err != nil && err.Reason != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	p, _ = Compile("input.list", 0)
	list, err := p.List(world)
	var items []string
	EachItem(list, func(item []byte) { items = append(items, string(item)) })
	if err != nil || len(items) != 5 || items[1] != "2.50" {
		t.Errorf("%q %v", items, err)
	}
}

func TestTemplates(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{`{"a":1.50,"b":[null,"x"]}`, `{"a":1.50,"b":[null,"x"]}`},
		{`"${ input.list }"`, `[1, 2.50, "x", null, {"a": 1}]`}, {`"${input.n}"`, `3`}, {`"n=${ input.n }, ${input.list[1]} ${ true } ${ input.name }"`, `"n=3, 2.50 true Wörld \"q\""`},
		{`{"k":"${ {a: '}', b: {c: 1}} }","l":["${ input.big }","$${ x }","$$${ y }","$ {"]}`, `{"k":{"a":"}","b":{"c":1}},"l":[12345678901234567890,"${ x }","$${ y }","$ {"]}`},
		{`"\u0024{ input.n }"`, `3`}, {`{"${ x }":1}`, `{"${ x }":1}`}, {`""`, `""`}, {`" ${ input.n }"`, `" 3"`},
	} {
		tpl, errs := CompileTemplate(json.RawMessage(c.template), 0)
		if errs != nil {
			t.Errorf("%s: %v", c.template, errs)
			continue
		}
		if got, err := tpl.Eval(world); err != nil || string(got) != c.want {
			t.Errorf("%s gave %s, want %s (%v)", c.template, got, c.want, err)
		}
	}
	for _, c := range []struct{ template, want string }{
		{`"x ${ input.list }"`, `it gave a list, which cannot stand in a text`}, {`"x ${ null }"`, `it gave null`}, {`{"a":"y ${ input }"}`, `an object`}, {`["${ input.missing.x }"]`, `cannot take x of null`},
	} {
		tpl, errs := CompileTemplate(json.RawMessage(c.template), 0)
		if errs != nil {
			t.Errorf("%s: %v", c.template, errs)
			continue
		}
		if got, err := tpl.Eval(world); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s gave %s, %v; want %q", c.template, got, err, c.want)
		}
	}
	if _, errs := CompileTemplate(json.RawMessage(`{"a":"${ ","b":"${ foo } ${ 1 + }","c":"${}"}`), 0); len(errs) != 4 {
		t.Errorf("%v", errs)
	}
	tpl, errs := CompileText("user:${ steps.a.output.rows[0].id }/${ input.n }", 0)
	if got, err := tpl.Text(world); errs != nil || err != nil || got != "user:1/3" || tpl.Plain() || len(tpl.Steps()) != 1 {
		t.Errorf("%q %v %v", got, errs, err)
	}
	if tpl, _ := CompileText("$${x}", 0); !tpl.Plain() {
		t.Error("an escape counts as an expression")
	} else if got, _ := tpl.Text(world); got != "${x}" {
		t.Error(got)
	}
	if tpl, _ := CompileText("${ input.n }", 0); tpl.Plain() {
		t.Error("plain")
	} else if got, err := tpl.Text(world); got != "3" || err != nil {
		t.Error(got, err)
	}
	for text, want := range map[string]bool{"${ x }": true, " ${x} ": true, "${ a } + ${ b }": false, "x": false, "${": false, "{x}": false} {
		if Wrapped(text) != want {
			t.Errorf("%s", text)
		}
	}
}

// The bounds hold for whatever is written: this is what the fuzzer looks for, too.
func FuzzEval(f *testing.F) {
	for _, s := range []string{`all(1..3000, all(1..3000, true))`, `map(input.list, #) | toJSON()`, `steps.a.output.rows[0]?.id ?? "x"`, `"a" matches "(a*)*"`, `reduce(1..40, #acc + #acc, "x")`, `${ input.n }`, `{"a": 1}`,
		`let x = 1; x ** 2`, `groupBy(input.list, string(#))`, `((true ?: true) ?: true)`, `toPairs(input)`, `sortBy(1..100, -#, "desc")`, `split(repeat("a", 1000), "")`} {
		f.Add(s)
	}
	operations = MaxOperations / 100
	f.Cleanup(func() { operations = MaxOperations })
	f.Fuzz(func(t *testing.T, text string) {
		begin := time.Now()
		if p, err := Compile(text, every); err == nil {
			out, err := p.Eval(world)
			if err == nil && (!json.Valid(out) || len(out) > MaxMemory) {
				t.Fatalf("%q gave %.200s", text, out)
			}
			if err != nil && (err.Slow || err.Reason == "") {
				t.Fatalf("%q: %v", text, err)
			}
			again, err2 := p.Eval(world)
			if string(again) != string(out) || (err == nil) != (err2 == nil) {
				t.Fatalf("%q gave %s, then %s", text, out, again)
			}
		}
		b, _ := json.Marshal(map[string]string{"k": text})
		if tpl, errs := CompileTemplate(b, every); errs == nil {
			if out, err := tpl.Eval(world); err == nil && !json.Valid(out) {
				t.Fatalf("%q gave %s", text, out)
			}
		}
		if d := time.Since(begin); d > 60*time.Second {
			t.Fatalf("%q took %s", text, d)
		}
	})
}

// TestEachItemOfWhatIsNoList ends, whatever the bytes are: what a journal gives may come from a program that is wrong.
func TestEachItemOfWhatIsNoList(t *testing.T) {
	for list, want := range map[string]int{`[]`: 0, `[1,"a,b",[2,3],{"c":[4]}]`: 4, ` [ 1 , 2 ] `: 2, `{"a":1}`: 0, `7`: 0, `"[1,2]"`: 0, ``: 0, `[1}2:`: -1, `[}]`: -1, `[1,2`: -1, `["a`: -1} {
		n := 0
		EachItem([]byte(list), func([]byte) { n++ })
		if n != want && want >= 0 || n > len(list) {
			t.Errorf("%s has %d items, want %d", list, n, want)
		}
	}
}
