package expression

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// machine is one evaluation. What goes wrong is a panic with an *Error, which run turns into an error.
type machine struct {
	text  string
	env   *Env
	ops   int
	bytes int       // that it may still make
	room  int       // that are left for its value
	until time.Time // the clock's bound
	check int       // operations that are left when the clock is looked at next

	vars   []variable
	scopes []scope
	seen   map[*byte]*opened
	at     ast.Node // what is evaluated
}

type variable struct {
	name  string
	value any
}

// scope is where a predicate stands.
type scope struct {
	item  any
	index int
	acc   any
}

// opened is JSON that was looked into, and how often.
type opened struct {
	times  int
	list   []any
	object map[string]any
}

// operations is MaxOperations; the fuzzer takes fewer, to try more.
var operations = MaxOperations

// run does one evaluation.
func run(text string, env *Env, do func(m *machine) []byte) (out json.RawMessage, err *Error) {
	for try := 1; ; try++ {
		out, err = once(text, env, do)
		if err == nil || !err.Slow || try == tries {
			return out, err
		}
	}
}

func once(text string, env *Env, do func(m *machine) []byte) (out json.RawMessage, err *Error) {
	m := &machine{text: text, env: env, ops: operations, bytes: MaxMemory, room: MaxMemory, check: operations, until: time.Now().Add(Patience), seen: map[*byte]*opened{}}
	defer func() {
		switch why := recover().(type) {
		case nil:
		case *Error:
			out, err = nil, why
		default:
			out, err = nil, m.errorAt(fmt.Sprint(why)) // a defect of ours, or of the library's: the step fails, the engine does not
		}
	}()
	return do(m), nil
}

// Eval evaluates the expression and gives its value as JSON.
func (p *Program) Eval(env *Env) (json.RawMessage, *Error) {
	return run(p.text, env, func(m *machine) []byte { return m.encoded(m.eval(p.root)) })
}

// True evaluates a condition: anything but true and false is an error.
func (p *Program) True(env *Env) (bool, *Error) {
	out, err := p.Eval(env)
	if err != nil {
		return false, err
	}
	switch string(out) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &Error{Text: p.text, Reason: "it gave " + short(out) + ", not true or false"}
}

// List evaluates what must give a list.
func (p *Program) List(env *Env) (json.RawMessage, *Error) {
	out, err := p.Eval(env)
	if err != nil {
		return nil, err
	}
	if raw(out).first() != '[' {
		return nil, &Error{Text: p.text, Reason: "it gave " + short(out) + ", not a list"}
	}
	return out, nil
}

// EachItem calls with each item of a list in JSON, byte for byte.
func EachItem(list []byte, each func(item []byte)) {
	raw(list).items(func(v raw) { each(v) })
}

// short shows a value in a message.
func short(out []byte) string {
	if len(out) <= 64 {
		return string(out)
	}
	n := 60
	for n > 0 && !utf8.RuneStart(out[n]) {
		n--
	}
	return string(out[:n]) + "…"
}

func (m *machine) errorAt(reason string) *Error {
	e := &Error{Text: m.text, Reason: reason}
	if m.at != nil {
		e.Line, e.Column = position(m.text, m.at.Location().From)
	}
	return e
}

func (m *machine) fail(format string, args ...any) { panic(m.errorAt(fmt.Sprintf(format, args...))) }

// step counts operations: one for each part that is evaluated or item that is looked at, one for 16 bytes that are gone through.
func (m *machine) step(n int) {
	if m.ops -= n; m.ops < 0 {
		m.fail("it takes more than %d operations", MaxOperations)
	}
	if m.ops <= m.check {
		m.check = m.ops - 1<<14
		if time.Now().After(m.until) {
			e := m.errorAt(fmt.Sprintf("it takes more than %s", Patience))
			e.Slow = true
			panic(e)
		}
	}
}

func (m *machine) through(bytes int) { m.step(1 + bytes/16) }

// grow counts bytes that are made.
func (m *machine) grow(n int) {
	if n < 0 || n > m.bytes {
		m.fail("it needs more than %d bytes", MaxMemory)
	}
	m.bytes -= n
	m.through(n)
}

// put counts bytes of the value that it gives.
func (m *machine) put(n int) {
	if m.room -= n; m.room < 0 {
		m.fail("its value has more than %d bytes", MaxMemory)
	}
	m.through(n)
}

const (
	sizeOfItem   = 16
	sizeOfMember = 48
)

// look gives a text or a number that was not looked at.
func (m *machine) look(v any) any {
	r, ok := v.(raw)
	if !ok {
		return v
	}
	switch c := r.first(); c {
	case '{', '[':
		return v
	case '"':
		m.grow(len(r))
		return r.text()
	default:
		m.through(len(r))
		n, ok := r.number()
		if !ok {
			m.fail("the number %s is too large", short(r.trim()))
		}
		return n
	}
}

// describe names the kind of a value in a message.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case raw:
		switch v.first() {
		case '{':
			return "an object"
		case '[':
			return "a list"
		case '"':
			return "a text"
		}
		return "a number"
	}
	return "nothing"
}

// list gives the items of a list; not ok: it is none.
func (m *machine) list(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case raw:
		if v.first() != '[' {
			return nil, false
		}
		o := m.open(v)
		if o.list == nil {
			m.through(len(v))
			o.list = []any{}
			v.items(func(item raw) {
				m.grow(sizeOfItem)
				o.list = append(o.list, wrap(item))
			})
		}
		return o.list, true
	}
	return nil, false
}

func (m *machine) open(v raw) *opened {
	o := m.seen[&v[0]]
	if o == nil {
		m.grow(sizeOfMember)
		o = &opened{}
		m.seen[&v[0]] = o
	}
	return o
}

// object gives all members of an object; not ok: it is none.
func (m *machine) object(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case map[string]any:
		return v, true
	case raw:
		if v.first() != '{' {
			return nil, false
		}
		o := m.open(v)
		if o.object == nil {
			m.through(len(v))
			o.object = map[string]any{}
			v.members(func(key, value raw) bool {
				m.grow(sizeOfMember + len(key))
				o.object[key.text()] = wrap(value)
				return true
			})
		}
		return o.object, true
	}
	return nil, false
}

// field gives what an object holds under a key, the last of it; nil when there is none. What is asked more than twice is opened.
func (m *machine) field(v any, key string) (any, bool) {
	r, ok := v.(raw)
	if ok && len(r) > 256 {
		o := m.open(r)
		if o.times++; o.times > 2 {
			ok = false
		}
	}
	if !ok {
		object, _ := m.object(v)
		found, there := object[key]
		return found, there
	}
	m.through(len(r))
	var found any
	there := false
	r.members(func(k, value raw) bool {
		if k.is(key) {
			found, there = wrap(value), true
		}
		return true
	})
	return found, there
}

// encoded is a value as JSON.
func (m *machine) encoded(v any) []byte {
	if r, ok := v.(raw); ok { // as it came
		m.put(len(r))
		return r
	}
	return m.encode(nil, v, 0)
}

func (m *machine) encode(b []byte, v any, depth int) []byte {
	m.step(1)
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		m.put(20)
		return strconv.AppendInt(b, v, 10)
	case float64:
		m.put(24)
		return appendFloat(b, m.finite(v))
	case string:
		if m.put(len(v) + 2); !utf8.ValidString(v) {
			m.fail("it gave a text that is not valid UTF-8")
		}
		return appendText(b, v)
	case raw:
		m.put(len(v))
		if c := v.first(); depth > 0 && (c == '{' || c == '[') && depth+v.depth() > MaxNesting {
			m.fail("it gave a value that is nested over %d deep", MaxNesting)
		}
		return append(b, v...)
	case []any:
		m.deep(depth + 1)
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = m.encode(b, item, depth+1)
		}
		return append(b, ']')
	case map[string]any:
		m.deep(depth + 1)
		b = append(b, '{')
		for i, key := range sortedKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = m.encode(b, key, depth+1)
			b = append(b, ':')
			b = m.encode(b, v[key], depth+1)
		}
		return append(b, '}')
	}
	m.fail("it gave what is no JSON: %T", v)
	return nil
}

func (m *machine) deep(depth int) {
	if depth > MaxNesting {
		m.fail("it gave a value that is nested over %d deep", MaxNesting)
	}
}

func sortedKeys(o map[string]any) []string { return slices.Sorted(maps.Keys(o)) }

// finite refuses what is no number.
func (m *machine) finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		m.fail("the result is no number")
	}
	return f
}
