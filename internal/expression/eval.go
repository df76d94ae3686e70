package expression

import (
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// nothing is what a chain gives whose ?. met null: what follows in the chain is not looked at, and the chain gives null.
type nothing struct{}

func (m *machine) eval(n ast.Node) any {
	v := m.link(n)
	if _, stopped := v.(nothing); stopped {
		return nil
	}
	return v
}

// link evaluates a part of a chain such as a?.b.c[0].
func (m *machine) link(n ast.Node) any {
	m.at = n
	m.step(1)
	switch n := n.(type) {
	case *ast.NilNode:
		return nil
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode:
		return int64(n.Value)
	case *ast.FloatNode:
		return m.finite(n.Value)
	case *ast.StringNode:
		return n.Value
	case *ast.IdentifierNode:
		return m.name(n.Value)
	case *ast.UnaryNode:
		return m.unary(n)
	case *ast.BinaryNode:
		return m.binary(n)
	case *ast.ChainNode:
		return m.link(n.Node)
	case *ast.MemberNode:
		return m.member(n)
	case *ast.SliceNode:
		return m.slice(n)
	case *ast.BuiltinNode:
		return m.call(n)
	case *ast.PredicateNode:
		return m.eval(n.Node)
	case *ast.PointerNode:
		return m.pointer(n)
	case *ast.ConditionalNode:
		return m.conditional(n)
	case *ast.VariableDeclaratorNode:
		m.vars = append(m.vars, variable{n.Name, m.eval(n.Value)})
		v := m.eval(n.Expr)
		m.vars = m.vars[:len(m.vars)-1]
		return v
	case *ast.SequenceNode:
		var v any
		for _, part := range n.Nodes {
			v = m.eval(part)
		}
		return v
	case *ast.ArrayNode:
		m.grow(sizeOfItem * len(n.Nodes))
		list := make([]any, 0, len(n.Nodes))
		for _, item := range n.Nodes {
			list = append(list, m.eval(item))
		}
		return list
	case *ast.MapNode:
		return m.makeObject(n)
	}
	m.fail("it cannot be evaluated (%T)", n)
	return nil
}

func (m *machine) name(name string) any {
	for i := len(m.vars) - 1; i >= 0; i-- {
		if m.vars[i].name == name {
			return m.vars[i].value
		}
	}
	switch name {
	case "input":
		return wrap(m.env.Input)
	case "run":
		r := m.env.Run
		m.grow(5 * sizeOfMember)
		return map[string]any{"id": r.ID, "workflow": r.Workflow, "version": r.Version, "created_at": r.CreatedAt, "parent": wrap(r.Parent)}
	case "item":
		return wrap(m.env.Item)
	case "index":
		return m.env.Index
	case "fate":
		return wrap(m.env.Fate)
	case "output":
		return wrap(m.env.Output)
	case "round":
		return m.env.Round
	}
	return nil // null
}

func (m *machine) member(n *ast.MemberNode) any {
	if step, ok := m.stepAt(n); ok {
		m.grow(3 * sizeOfMember)
		return map[string]any{"state": step.State, "output": wrap(step.Output), "error": wrap(step.Error)}
	}
	if of, ok := n.Node.(*ast.MemberNode); ok {
		if step, ok := m.stepAt(of); ok {
			if key, literal := n.Property.(*ast.StringNode); literal {
				m.step(1)
				return step.field(key.Value)
			}
		}
	}
	of := m.link(n.Node)
	if _, stopped := of.(nothing); stopped {
		return of
	}
	if of == nil && n.Optional {
		return nothing{}
	}
	key := m.look(m.eval(n.Property))
	m.at = n
	return m.get(of, key)
}

// stepAt is the step that steps.NAME names.
func (m *machine) stepAt(n *ast.MemberNode) (Step, bool) {
	base, ok := n.Node.(*ast.IdentifierNode)
	if !ok || base.Value != "steps" {
		return Step{}, false
	}
	name, literal := n.Property.(*ast.StringNode)
	if !literal {
		return Step{}, false
	}
	return m.env.Steps[name.Value], true
}

func (s *Step) field(key string) any {
	switch key {
	case "state":
		return s.State
	case "output":
		return wrap(s.Output)
	case "error":
		return wrap(s.Error)
	}
	return nil
}

func (m *machine) get(of, key any) any {
	switch of := of.(type) {
	case nil:
		if name, ok := key.(string); ok {
			m.fail("cannot take %s of null; with ?. it would be null", short([]byte(name)))
		}
		m.fail("cannot take an item of null; with ?. it would be null")
	case string:
		return m.character(of, key)
	}
	switch kindOfValue(of) {
	case '[':
		list, _ := m.list(of)
		i := m.index(key, len(list))
		if i < 0 || i >= len(list) {
			m.fail("there is no item %v: the list has %d", key, len(list))
		}
		return list[i]
	case '{':
		name, ok := key.(string)
		if !ok {
			m.fail("a key of an object is a text, not %s", describe(key))
		}
		v, _ := m.field(of, name)
		return v
	case '"':
		return m.character(m.look(of).(string), key)
	}
	if name, ok := key.(string); ok {
		m.fail("cannot take %s of %s", short([]byte(name)), describe(of))
	}
	m.fail("cannot take an item of %s", describe(of))
	return nil
}

// kindOfValue is '[', '{' or '"', else 0.
func kindOfValue(v any) byte {
	switch v := v.(type) {
	case []any:
		return '['
	case map[string]any:
		return '{'
	case string:
		return '"'
	case raw:
		if c := v.first(); c == '[' || c == '{' || c == '"' {
			return c
		}
	}
	return 0
}

// index is a place in a list or text of that length; one from the end is negative.
func (m *machine) index(key any, length int) int {
	i, ok := key.(int64)
	if !ok {
		m.fail("a place in a list or a text is a whole number, not %s", describe(key))
	}
	if i < 0 {
		i += int64(length)
	}
	return int(max(-1, min(i, int64(length))))
}

func (m *machine) character(s string, key any) any {
	m.through(len(s))
	n := utf8.RuneCountInString(s)
	i := m.index(key, n)
	if i < 0 || i >= n {
		m.fail("there is no character %v: the text has %d", key, n)
	}
	return runes(s, i, i+1)
}

// runes is a part of a text, in characters.
func runes(s string, from, to int) string {
	start, n := 0, 0
	for i := range s {
		if n == from {
			start = i
		}
		if n == to {
			return s[start:i]
		}
		n++
	}
	if from >= n {
		return ""
	}
	return s[start:]
}

func (m *machine) slice(n *ast.SliceNode) any {
	of := m.link(n.Node)
	if _, stopped := of.(nothing); stopped {
		return of
	}
	list, isList := m.list(of)
	text, isText := m.look(of).(string)
	length := len(list)
	if isText {
		m.through(len(text))
		length = utf8.RuneCountInString(text)
	}
	from, to := 0, length
	if n.From != nil {
		from = m.bound(m.look(m.eval(n.From)), length)
	}
	if n.To != nil {
		to = m.bound(m.look(m.eval(n.To)), length)
	}
	from = min(from, to)
	m.at = n
	switch {
	case isList:
		return list[from:to:to]
	case isText:
		return runes(text, from, to)
	}
	m.fail("cannot take a part of %s", describe(of))
	return nil
}

func (m *machine) bound(key any, length int) int { return max(0, m.index(key, length)) }

func (m *machine) pointer(n *ast.PointerNode) any {
	if len(m.scopes) == 0 {
		m.fail("# stands outside of a predicate")
	}
	s := &m.scopes[len(m.scopes)-1]
	switch n.Name {
	case "index":
		return int64(s.index)
	case "acc":
		return s.acc
	}
	return s.item
}

func (m *machine) conditional(n *ast.ConditionalNode) any {
	cond := m.eval(n.Cond)
	yes := m.truth(cond, n.Cond)
	switch {
	case yes && n.Exp1 == n.Cond: // a ?: b
		return cond
	case yes:
		return m.eval(n.Exp1)
	}
	return m.eval(n.Exp2)
}

func (m *machine) truth(v any, of ast.Node) bool {
	b, ok := v.(bool)
	if !ok {
		m.at = of
		m.fail("want true or false, not %s", describe(v))
	}
	return b
}

func (m *machine) makeObject(n *ast.MapNode) any {
	object := make(map[string]any, len(n.Pairs))
	for _, p := range n.Pairs {
		pair, ok := p.(*ast.PairNode)
		if !ok {
			continue
		}
		key, ok := m.look(m.eval(pair.Key)).(string)
		if !ok {
			m.at = pair.Key
			m.fail("a key of an object must be a text")
		}
		m.grow(sizeOfMember + len(key))
		object[key] = m.eval(pair.Value)
	}
	return object
}
