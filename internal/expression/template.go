package expression

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Template is JSON, or a text, in whose texts ${ EXPRESSION } is replaced. $${ stands for a literal ${.
type Template struct {
	root  part
	refs  []Ref
	plain bool // there is nothing to replace
}

// part is a piece of a template: JSON as it stands, a text of pieces, one expression alone, a list or an object.
type part struct {
	literal raw
	text    []piece
	alone   *Program
	list    []part
	keys    []raw
	members []part
}

// piece is a part of a text: a literal, or an expression.
type piece struct {
	literal string
	program *Program
}

// CompileTemplate reads the templates in JSON. Every error is reported.
func CompileTemplate(value json.RawMessage, names Names) (*Template, []*Error) {
	c := &templates{names: names, t: &Template{plain: true}}
	c.t.root = c.part(raw(value).trim())
	return c.t, c.errs
}

// CompileText reads the templates of one text, such as an object key.
func CompileText(text string, names Names) (*Template, []*Error) {
	c := &templates{names: names, t: &Template{plain: true}}
	pieces := c.pieces(text)
	c.t.root = part{text: pieces}
	if len(pieces) == 1 && pieces[0].program != nil {
		c.t.root = part{alone: pieces[0].program}
	}
	return c.t, c.errs
}

// Steps are the steps that its expressions name, each once.
func (t *Template) Steps() []Ref { return t.refs }

// Plain says whether there is no expression in it.
func (t *Template) Plain() bool { return t.plain }

// HasTemplate says whether a text or JSON may hold an expression, or an escape of one.
func HasTemplate[T string | json.RawMessage](text T) bool {
	return strings.Contains(string(text), "${")
}

type templates struct {
	names Names
	t     *Template
	errs  []*Error
}

func (c *templates) part(v raw) part {
	if !HasTemplate(json.RawMessage(v)) && !strings.Contains(string(v), `\u`) {
		return part{literal: v}
	}
	switch v.first() {
	case '[':
		p := part{list: []part{}}
		v.items(func(item raw) { p.list = append(p.list, c.part(item)) })
		return p
	case '{':
		p := part{members: []part{}}
		v.members(func(key, value raw) bool {
			p.keys = append(p.keys, key)
			p.members = append(p.members, c.part(value))
			return true
		})
		return p
	case '"':
		text := v.text()
		if !HasTemplate(text) {
			return part{literal: v}
		}
		pieces := c.pieces(text)
		if len(pieces) == 1 && pieces[0].program != nil {
			return part{alone: pieces[0].program}
		}
		return part{text: pieces}
	}
	return part{literal: v}
}

// pieces takes a text apart.
func (c *templates) pieces(text string) []piece {
	var all []piece
	literal := strings.Builder{}
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "$${"):
			literal.WriteString("${")
			i += 3
		case strings.HasPrefix(text[i:], "${"):
			end := closing(text[i+2:])
			if end < 0 {
				c.errs = append(c.errs, &Error{Text: text[i:], Reason: "the ${ has no } that ends it; a literal ${ is written $${"})
				return all
			}
			if literal.Len() > 0 {
				all = append(all, piece{literal: literal.String()})
				literal.Reset()
			}
			if p := c.compile(text[i+2 : i+2+end]); p != nil {
				all = append(all, piece{program: p})
			}
			i += 2 + end + 1
		default:
			literal.WriteByte(text[i])
			i++
		}
	}
	if literal.Len() > 0 {
		all = append(all, piece{literal: literal.String()})
	}
	return all
}

func (c *templates) compile(text string) *Program {
	p, err := Compile(text, c.names)
	if err != nil {
		c.errs = append(c.errs, err)
		return nil
	}
	c.t.plain = false
	for _, ref := range p.refs {
		known := false
		for _, other := range c.t.refs {
			known = known || other.Name == ref.Name
		}
		if !known {
			c.t.refs = append(c.t.refs, ref)
		}
	}
	return p
}

// closing finds the } that ends an expression: braces in it come in pairs, and those in its texts do not count.
func closing(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '"', '\'', '`':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' && c != '`' {
					i++
				}
			}
		}
	}
	return -1
}

// Wrapped says whether a bare expression was written as a template: ${ … }.
func Wrapped(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) > 2 && strings.HasPrefix(text, "${") && closing(text[2:]) == len(text)-3
}

// Eval fills in the template and gives its JSON.
func (t *Template) Eval(env *Env) (json.RawMessage, *Error) {
	return run("", env, func(m *machine) []byte { return m.fill(nil, &t.root, 0) })
}

// Text fills in the template of one text, such as an object key.
func (t *Template) Text(env *Env) (string, *Error) {
	out, err := run("", env, func(m *machine) []byte {
		if t.root.alone != nil {
			return []byte(m.inText(t.root.alone))
		}
		return []byte(m.join(t.root.text))
	})
	return string(out), err
}

func (m *machine) fill(b []byte, p *part, depth int) []byte {
	m.step(1)
	switch {
	case p.alone != nil:
		v := m.program(p.alone)
		return m.encode(b, v, depth)
	case p.text != nil:
		s := m.join(p.text)
		m.put(len(s))
		return appendText(b, s)
	case p.list != nil:
		b = append(b, '[')
		for i := range p.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = m.fill(b, &p.list[i], depth+1)
		}
		return append(b, ']')
	case p.members != nil:
		b = append(b, '{')
		for i := range p.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, p.keys[i]...), ':')
			b = m.fill(b, &p.members[i], depth+1)
		}
		return append(b, '}')
	}
	m.put(len(p.literal))
	return append(b, p.literal...)
}

// program evaluates one of the expressions of a template.
func (m *machine) program(p *Program) any {
	m.text, m.at, m.vars, m.scopes = p.text, nil, m.vars[:0], m.scopes[:0]
	return m.eval(p.root)
}

func (m *machine) join(pieces []piece) string {
	var b strings.Builder
	for i := range pieces {
		s := pieces[i].literal
		if pieces[i].program != nil {
			s = m.inText(pieces[i].program)
		}
		m.grow(len(s))
		b.WriteString(s)
	}
	return b.String()
}

// inText is a value as a part of a text.
func (m *machine) inText(p *Program) string {
	v := m.program(p)
	if m.at = p.root; v == nil || kindOfValue(v) == '[' || kindOfValue(v) == '{' {
		m.fail("it gave %s, which cannot stand in a text", describe(v))
	}
	s := m.written(v)
	if !utf8.ValidString(s) {
		m.fail("it gave a text that is not valid UTF-8")
	}
	return s
}
